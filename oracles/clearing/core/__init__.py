"""Clearing as pure functions from documents to documents: what the daemon posts and `verify` replays."""
