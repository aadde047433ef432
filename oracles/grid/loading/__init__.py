"""A network from the DSO's files: read without trusting them, checked as a whole, and what its switches join."""
