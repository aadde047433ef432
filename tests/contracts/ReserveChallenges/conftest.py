"""The session and its accuser are those of OutcomeChallenges; its book has a reserve."""

from collections.abc import Callable
from typing import Any

import pytest

from offchain.protocol.lists import ListDocument
from tests.contracts.OutcomeChallenges.conftest import play_book
from tests.contracts.outcomes import SmallBook
from tests.contracts.reserves import with_reserve

__all__ = ["play_book"]


@pytest.fixture
def book(play_book: Callable[..., SmallBook]) -> SmallBook:
    """The session's book, complete; its market outcome is due."""
    return play_book(with_reserve)


@pytest.fixture
def honest(market: Any, book: SmallBook, clearing_oracle: Any) -> ListDocument:
    """The outcome with three reserved entries: of the marginal offer, of the next one, and of another PoD."""
    return book.honest(clearing_oracle.address, bytes(market.CommitmentBook.seed(book.terms.session)))
