"""The clearing oracle: from the revealed book to the market outcome, and from there to the validated outcome."""
