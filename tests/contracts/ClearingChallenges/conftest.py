"""The session, its book and its accuser are those of OutcomeChallenges."""

from tests.contracts.OutcomeChallenges.conftest import book, honest, play_book

__all__ = ["book", "honest", "play_book"]
