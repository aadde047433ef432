"""The market platform: relays commitments, takes and publishes documents, tells each participant its own outcome."""
