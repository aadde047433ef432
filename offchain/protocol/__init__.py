"""Formats that chain, oracles, platforms and Light Nodes agree on. Pure: no I/O, imports nothing else of ours."""
