"""What `make audit` runs over the contracts: forge's invariants and fuzz, and slither."""
