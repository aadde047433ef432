"""brownie scripts (deploy, console helpers) and the demo day."""
