"""The anchoring oracle: holds Light Node packets to their signatures, anchors them in batches, forwards them."""
