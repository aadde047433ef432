"""What stands on chain of a session's outcomes, as D2.3's documents: what every copy that is sent around is held to."""

from collections import defaultdict

from offchain.chain.market_view import MarketView, Round
from offchain.protocol.cid import Cid
from offchain.protocol.documents.outcome import MarketOutcome, TechnicalOutcome
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OFFER, OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE
from offchain.protocol.lists import ListDocument, Record
from offchain.protocol.outcome_documents import Part, accepted_document, matched_document, parts_of
from offchain.protocol.products import Side
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Outcome
from offchain.store.documents import DocumentMissing, DocumentStore
from offchain.store.lists import fetch_list_document, fetch_refusals


class AnchoredOutcomes:
    """Reads chain and store, nothing cached. What raises FlexledgerError can't be had now, or isn't what was posted."""

    def __init__(self, view: MarketView, documents: DocumentStore) -> None:
        self._view = view
        self._documents = documents

    def session_ids(self) -> list[int]:
        """All sessions, oldest first."""
        return self._view.session_ids()

    def terms(self, session: int) -> SessionTerms:
        """What a session fixed at its creation."""
        return self._view.terms(session)

    def market_time_s(self, session: int) -> int:
        """The clock that the session's deadlines go by."""
        return self._view.market_time_s(session)

    def rounds(self, session: int) -> list[Round]:
        """The rounds of clearing that stand, in order."""
        return self._view.rounds(session)

    def validated(self, session: int) -> Outcome | None:
        """The validated outcome that stands, if any."""
        return self._view.validated_outcome(session)

    def market_document(self, terms: SessionTerms, round_: Round) -> MarketOutcome:
        """Table 9 of a round's market outcome."""
        return matched_document(terms, round_.market.hash(), self._lists("market outcome", round_.market))

    def technical_document(self, terms: SessionTerms, round_: Round) -> TechnicalOutcome | None:
        """Table 12 of a round's technical outcome, if one stands."""
        if round_.technical is None:
            return None
        refusals = fetch_refusals(self._documents, round_.technical)
        market = self._lists("market outcome", round_.market)
        return accepted_document(terms, round_.market.hash(), market, refusals)

    def validated_parts(self, terms: SessionTerms, posted: Outcome) -> defaultdict[Side | str, Part]:
        """Each participant's part of a validated outcome (see `parts_of`)."""
        reveals = [entry.reveal for entry in self._view.book(terms.session)]
        return parts_of(self._lists("validated outcome", posted), reveals, self._offers(terms))

    def _lists(self, what: str, posted: Outcome) -> ListDocument:
        roots = {
            OUTCOME_BY_OFFER: posted.byOfferRoot,
            OUTCOME_BY_REQUEST: posted.byRequestRoot,
            OUTCOME_RESERVE: posted.reserveRoot,
        }
        return fetch_list_document(self._documents, what, Cid(posted.cidCodec, posted.cidDigest), roots)

    def _offers(self, terms: SessionTerms) -> dict[int, tuple[str, list[Record]]]:
        """By commitment: the aggregator and its offers; those of a document that can't be read are told to nobody."""
        out = {}
        for entry in self._view.book(terms.session):
            if entry.reveal.side is not Side.OFFER:
                continue
            try:
                document = ListDocument.from_bytes(self._documents.get(entry.cid), joint=True)
                offers = document.list_of(OFFER).records()
            except (DocumentMissing, InvalidInput):
                continue
            if len(offers) == entry.reveal.leaf_count:
                out[entry.reveal.commitment] = (entry.reveal.player, offers)
        return out
