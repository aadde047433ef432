"""Where documents are kept: by content id, in a folder or in IPFS."""
