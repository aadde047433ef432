"""A system operator's player: one sealed document of requests a session."""

from collections.abc import Callable, Sequence

from offchain.market.client import MarketClient
from offchain.protocol.book_documents import Area, SaltOf, request_document
from offchain.protocol.products import Side
from offchain.protocol.terms import SessionTerms


class SealedRequests:
    """Of a DSO or TSO. `client`: its own, which also reveals. `side`: on which it asks. `salts`: of its document's leaves."""

    def __init__(self, client: MarketClient, side: Side, salts: Callable[[SessionTerms], SaltOf]) -> None:
        self.client = client
        self._side = side
        self._salts = salts

    def submit(self, terms: SessionTerms, areas: Sequence[Area]) -> None:
        """Commit to a request for these areas, unless one of this player's stands or is promised by the relayer, which is looked
        after: two would be asked for, and paid, together.

        So who asks anew while the gate is open, and finds other areas because a PoD has come or gone, has asked already. What
        was asked of a PoD that has gone nobody can offer.
        """
        if self.client.has_committed(terms.session, self._side):
            return
        promised = self.client.promised(terms.session, self._side)
        for sealed in promised:
            self.client.look_after(sealed)
        if promised:
            return
        document = request_document(terms.session, self.client.player, areas, self._salts(terms))
        self.client.commit(document, self._side, terms.gateClosure)
