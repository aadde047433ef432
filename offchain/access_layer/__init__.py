"""The blockchain access layer: takes in what Light Nodes send. Its anchoring daemon is `oracles.anchoring`."""
