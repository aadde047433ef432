"""The DSO's technical platform: knows the PoDs and their points of measure, and forwards set points to Light Nodes."""
