"""Daemons that watch the chain, compute off chain and post back with proofs."""
