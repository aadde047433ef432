"""Pure: from packets to verdicts, and from good readings to a batch with its proofs."""
