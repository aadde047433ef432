"""What an auditor does: replay a session from the chain and the documents, trusting neither operator nor oracles."""
