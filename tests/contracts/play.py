"""Moves of a session, played against the deployed contracts as their participants would."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from brownie import accounts

from offchain.protocol.cid import RAW, Cid
from offchain.protocol.keccak import keccak256
from offchain.protocol.receipts import bundle, content
from offchain.protocol.terms import ANYBODY, SLOT_S, SessionTerms
from offchain.protocol.typed_data import (
    Commitment,
    NoticeKind,
    Opening,
    Outcome,
    Pair,
    Receipt,
    Settlement,
    TechnicalOutcome,
    contract_domain,
)
from tests.contracts.chain import next_block_at, now_s, travel_to

CHAIN_ID = 31337
EURO = 1_000_000
OFFER, DSO_REQUEST, TSO_REQUEST = 0, 1, 2
MARKET, TECHNICAL, MARKET_2, TECHNICAL_2, MARKET_3, TECHNICAL_3, VALIDATED, SETTLEMENT = range(8)
FOREVER = 2**48 - 1
NOBODY = "0x" + "00" * 20
GRID_MODEL = keccak256(b"grid model")
CID = Cid(RAW, keccak256(b"document"))


def domain(contract: Any) -> bytes:
    """EIP-712 domain separator of a deployed contract."""
    return contract_domain(contract._name.replace("Market", "CommitmentBook"), CHAIN_ID, contract.address)


def session_terms(**changes: Any) -> SessionTerms:
    """A day-ahead session that opens in 2,000 s; every deadline follows 1,000 s after the one before."""
    first = now_s() + 1000
    names = ("baselineGate", "gateOpening", "gateClosure", "revealDeadline", "documentsDeadline")
    names += ("marketOutcomeDeadline", "validatedOutcomeDeadline")
    deadlines = {name: first + 1000 * place for place, name in enumerate(names)}
    start = -(-(deadlines["validatedOutcomeDeadline"] + SLOT_S) // SLOT_S) * SLOT_S
    terms = SessionTerms(
        session=0,
        **deadlines,
        bondPermille=20,
        bondFloorUeur=1 * EURO,
        pausedBeforeS=0,
        takeoverS=300,
        outcomeBondPermille=100,
        slots=96,
        marketType=0,
        method=0,
        receipts=2,
        deliveryStart=start,
        settlementDeadline=start + 97 * SLOT_S,
        challengeWindowS=500,
        outcomeBondUeur=5 * EURO,
        tolerancePermille=300,
        clearingOracle=ANYBODY,
        penaltyUeurPerKw=30_000,
        demandWindowS=200,
        gridOracle=ANYBODY,
        settlementOracle=ANYBODY,
    )
    return replace(terms, **changes)


def as_struct(terms: SessionTerms) -> tuple[int | str, ...]:
    """SessionTerms as `MarketSessions.create` takes it."""
    return astuple(terms)[1:]


def fund(market: Any, account: Any, amount_ueur: int) -> None:
    """Give an account test euros and deposit them in the vault."""
    market.Euro.mint(account, amount_ueur, {"from": account})
    market.Euro.approve(market.Vault, amount_ueur, {"from": account})
    market.Vault.deposit(amount_ueur, {"from": account})


@dataclass(frozen=True)
class Sealed:
    """A document before its reveal."""

    player: Any
    side: int
    cap_ueur: int
    root: bytes
    salt: bytes
    leaf_count: int = 3
    cid: Cid = CID

    def opening(self, session: int) -> Opening:
        """What its sealed hash hides in a session."""
        player, cid = self.player.address, self.cid
        return Opening(session, player, self.root, self.salt, self.leaf_count, cid.digest, cid.codec)

    def hash(self, session: int) -> bytes:
        """Its sealed hash in a session."""
        return self.opening(session).hash()

    def commitment(self, market: Any, session: int, **changes: Any) -> Commitment:
        """Its commitment with the player's next nonce."""
        made = Commitment(
            session=session,
            player=self.player.address,
            side=self.side,
            sealedHash=self.hash(session),
            capUeur=self.cap_ueur,
            replaces=bytes(32),
            nonce=market.CommitmentBook.nonces(self.player),
            deadline=FOREVER,
        )
        return replace(made, **changes)


def sealed(player: Any, side: int, cap_ueur: int, name: str = "document") -> Sealed:
    """A document of a player; another name is another document."""
    return Sealed(player, side, cap_ueur, keccak256(name.encode()), keccak256(f"{name} salt".encode()))


def commit(market: Any, session: int, document: Sealed, **changes: Any) -> Any:
    """Commit to a document, sent by its player."""
    commitment = astuple(document.commitment(market, session, **changes))
    return market.CommitmentBook.commit(commitment, {"from": document.player})


def reveal(market: Any, session: int, document: Sealed, sender: Any | None = None) -> Any:
    """Reveal a document."""
    return market.CommitmentBook.reveal(
        astuple(document.opening(session)), {"from": sender or document.player}
    )


def key_of(account: Any) -> bytes:
    """An account's private key."""
    return bytes.fromhex(account.private_key.removeprefix("0x"))


def receipts(
    market: Any, terms: SessionTerms, found: bytes, cid: Cid = CID, **changes: Any
) -> tuple[int, bytes]:
    """Receipts of both stores for a content: the struct that contracts take."""
    until = terms.settlementDeadline + terms.challengeWindowS
    receipt = replace(Receipt(found, cid.digest, cid.codec, until), **changes)
    stores = [accounts.at(address) for address in market.stores]
    where = domain(market.Availability)
    made = bundle(receipt, where, [receipt.sign(where, key_of(store)) for store in stores])
    return astuple(made)


def certify(market: Any, terms: SessionTerms, document: Sealed, sender: Any | None = None) -> Any:
    """Put a revealed document into the book on both stores' receipts."""
    found = content((document.root, document.leaf_count))
    return market.Availability.certify(
        astuple(document.opening(terms.session)),
        receipts(market, terms, found, document.cid),
        {"from": sender or document.player},
    )


def outcome_content(made: Outcome) -> bytes:
    """Content of an outcome's document."""
    by_request = (made.byRequestRoot, made.byRequestLength)
    return content((made.byOfferRoot, made.byOfferLength), by_request, (made.reserveRoot, made.reserveLength))


def post_market(market: Any, terms: SessionTerms, made: Outcome, oracle: Any) -> Any:
    """Post a market outcome with both stores' receipts."""
    held = receipts(market, terms, outcome_content(made))
    return market.OutcomeBoard.postMarketOutcome(astuple(made), held, {"from": oracle})


def post_technical(market: Any, terms: SessionTerms, made: TechnicalOutcome, oracle: Any) -> Any:
    """Post a technical outcome with both stores' receipts."""
    held = receipts(market, terms, content((made.refusalRoot, made.refusalLength)))
    return market.OutcomeBoard.postTechnicalOutcome(astuple(made), held, {"from": oracle})


def post_validated(market: Any, terms: SessionTerms, made: Outcome, oracle: Any) -> Any:
    """Post a validated outcome with both stores' receipts."""
    held = receipts(market, terms, outcome_content(made))
    return market.OutcomeBoard.postValidatedOutcome(astuple(made), held, {"from": oracle})


def outcome(session: int, basis: bytes, **changes: Any) -> Outcome:
    """A market or validated outcome."""
    made = Outcome(
        session=session,
        byOfferRoot=keccak256(b"by offer"),
        byOfferLength=3,
        byRequestRoot=keccak256(b"by request"),
        byRequestLength=2,
        reserveRoot=bytes(32),
        reserveLength=0,
        cidDigest=CID.digest,
        cidCodec=CID.codec,
        acceptedWSlots=10_000,
        totalUeur=2 * EURO,
        basis=basis,
    )
    return replace(made, **changes)


def technical_outcome(session: int, market_outcome: bytes, **changes: Any) -> TechnicalOutcome:
    """A technical outcome of a market outcome's hash."""
    made = TechnicalOutcome(
        session=session,
        marketOutcomeHash=market_outcome,
        refusalRoot=keccak256(b"refusals"),
        refusalLength=1,
        gridModel=GRID_MODEL,
        cidDigest=CID.digest,
        cidCodec=CID.codec,
        refusedWSlots=500,
    )
    return replace(made, **changes)


def notarise_grid_model(market: Any, session: int, author: Any) -> Any:
    """Notarise the grid model that technical outcomes here name."""
    arguments = (NoticeKind.GRID_MODEL, session, GRID_MODEL, CID.digest, CID.codec)
    return market.DataNotary.notarise(*arguments, {"from": author})


@dataclass(frozen=True)
class Played:
    """A session that has its validated outcome."""

    market: Any
    terms: SessionTerms
    validated: bytes
    documents: tuple[Sealed, ...] = ()

    @property
    def session(self) -> int:
        """Its id."""
        return self.terms.session


def play_book(market: Any, terms: SessionTerms, documents: list[Sealed], grid_oracle: Any) -> None:
    """Play a session until its book is complete."""
    notarise_grid_model(market, terms.session, grid_oracle)
    travel_to(terms.gateOpening)
    for document in documents:
        commit(market, terms.session, document)
    travel_to(terms.gateClosure)
    for document in documents:
        reveal(market, terms.session, document)
        certify(market, terms, document)


def play_outcomes(
    market: Any, terms: SessionTerms, clearing_oracle: Any, grid_oracle: Any, documents: Sequence[Sealed] = ()
) -> Played:
    """Play a session with these documents in its book up to its validated outcome."""
    session = terms.session
    travel_to(terms.documentsDeadline)
    first = outcome(session, bytes(market.CommitmentBook.seed(session)))
    post_market(market, terms, first, clearing_oracle)
    technical = technical_outcome(session, first.hash())
    post_technical(market, terms, technical, grid_oracle)
    validated = outcome(session, technical.hash())
    post_validated(market, terms, validated, clearing_oracle)
    return Played(market, terms, validated.hash(), tuple(documents))


def settlement(played: Played, **changes: Any) -> Settlement:
    """A settlement of a played session, without claims."""
    made = Settlement(
        session=played.session,
        validatedOutcomeHash=played.validated,
        settlementRoot=keccak256(b"settlement"),
        settlementLength=2,
        claimRoot=bytes(32),
        claimLength=0,
        cidDigest=CID.digest,
        cidCodec=CID.codec,
        rewardsUeur=0,
    )
    return replace(made, **changes)


def post_settlement(
    played: Played, made: Settlement, pairs: list[Pair], oracle: Any, at_s: int | None = None
) -> Any:
    """Post a settlement with both stores' receipts; in the first second in which it may be, or at `at_s`."""
    trees = ((made.settlementRoot, made.settlementLength), (made.claimRoot, made.claimLength))
    held = receipts(played.market, played.terms, content(*trees))
    next_block_at(at_s or played.terms.delivery_end_s)
    structs = [astuple(pair) for pair in pairs]
    return played.market.OutcomeBoard.postSettlement(astuple(made), structs, held, {"from": oracle})


def gather(played: Played, documents: Sequence[Sealed], sender: Any) -> Any:
    """Gather what covers a session's documents."""
    players = [document.player for document in documents]
    hashes = [document.hash(played.session) for document in documents]
    return played.market.CommitmentBook.gather(played.session, players, hashes, {"from": sender})


def finalise(played: Played, made: Settlement, pairs: list[Pair], sender: Any) -> Any:
    """Gather what covers the session, and finalise its settlement in the first second in which it may be."""
    if played.market.CommitmentBook.tally(played.session)["ungathered"]:
        gather(played, played.documents, sender)
    posted = played.market.OutcomeBoard.posting(played.session, SETTLEMENT)
    next_block_at(posted["postedAt"] + played.terms.challengeWindowS)
    structs = [astuple(pair) for pair in pairs]
    return played.market.SettlementLedger.finalise(astuple(made), structs, {"from": sender})
