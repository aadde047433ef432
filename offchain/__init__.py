"""What people and platforms talk to: the protocol, the stores and one package per platform."""
