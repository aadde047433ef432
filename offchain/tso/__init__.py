"""The TSO simulator: requests of a transmission system operator at its connection points."""
