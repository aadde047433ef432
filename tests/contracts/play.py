"""Moves of a session, played against the deployed contracts as their participants would."""

from dataclasses import astuple, dataclass, replace
from typing import Any

from offchain.protocol.cid import RAW, Cid
from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SLOT_S, SessionTerms
from offchain.protocol.typed_data import (
    Commitment,
    NoticeKind,
    Outcome,
    Pair,
    Settlement,
    TechnicalOutcome,
    contract_domain,
    sealed_hash,
)
from tests.contracts.chain import next_block_at, now_s, travel_to

CHAIN_ID = 31337
EURO = 1_000_000
OFFER, DSO_REQUEST, TSO_REQUEST = 0, 1, 2
MARKET, TECHNICAL, VALIDATED = 0, 1, 2
FOREVER = 2**48 - 1
NOBODY = "0x" + "00" * 20
GRID_MODEL = keccak256(b"grid model")
CID = Cid(RAW, keccak256(b"document"))


def domain(contract: Any) -> bytes:
    """EIP-712 domain separator of a deployed contract."""
    return contract_domain(contract._name, CHAIN_ID, contract.address)


def session_terms(**changes: int) -> SessionTerms:
    """A day-ahead session that opens in 2,000 s; every deadline follows 1,000 s after the one before."""
    first = now_s() + 1000
    names = ("baselineGate", "gateOpening", "gateClosure", "revealDeadline", "documentsDeadline")
    names += ("marketOutcomeDeadline", "validatedOutcomeDeadline")
    deadlines = {name: first + 1000 * place for place, name in enumerate(names)}
    start = -(-(deadlines["validatedOutcomeDeadline"] + SLOT_S) // SLOT_S) * SLOT_S
    terms = SessionTerms(
        session=0,
        marketType=0,
        deliveryStart=start,
        slots=96,
        **deadlines,
        settlementDeadline=start + 97 * SLOT_S,
        challengeWindowS=500,
        penaltyUeurPerKw=30_000,
        tolerancePermille=300,
        bondPermille=20,
        bondFloorUeur=1 * EURO,
        outcomeBondUeur=5 * EURO,
    )
    return replace(terms, **changes)


def as_struct(terms: SessionTerms) -> tuple[int, ...]:
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

    def hash(self, session: int) -> bytes:
        """Its sealed hash in a session."""
        return sealed_hash(session, self.player.address, self.root, self.salt, self.leaf_count, self.cid)

    def commitment(self, market: Any, session: int, **changes: Any) -> Commitment:
        """Its commitment with the player's next nonce."""
        made = Commitment(
            session=session,
            player=self.player.address,
            side=self.side,
            sealedHash=self.hash(session),
            capUeur=self.cap_ueur,
            nonce=market.CommitmentBook.nonces(self.player),
            deadline=FOREVER,
        )
        return replace(made, **changes)

    def reveal_arguments(self, session: int, number: int) -> tuple[Any, ...]:
        """What `CommitmentBook.reveal` takes."""
        cid = (self.cid.digest, self.cid.codec)
        return (session, number, self.root, self.salt, self.leaf_count, *cid)


def sealed(player: Any, side: int, cap_ueur: int, name: str = "document") -> Sealed:
    """A document of a player; another name is another document."""
    return Sealed(player, side, cap_ueur, keccak256(name.encode()), keccak256(f"{name} salt".encode()))


def commit(market: Any, session: int, document: Sealed) -> Any:
    """Commit to a document, sent by its player."""
    commitment = astuple(document.commitment(market, session))
    return market.CommitmentBook.commit(commitment, {"from": document.player})


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

    @property
    def session(self) -> int:
        """Its id."""
        return self.terms.session


def play_book(market: Any, terms: SessionTerms, documents: list[Sealed], grid_oracle: Any) -> None:
    """Play a session up to its reveals."""
    notarise_grid_model(market, terms.session, grid_oracle)
    travel_to(terms.gateOpening)
    for document in documents:
        commit(market, terms.session, document)
    travel_to(terms.gateClosure)
    for number, document in enumerate(documents, start=1):
        arguments = document.reveal_arguments(terms.session, number)
        market.CommitmentBook.reveal(*arguments, {"from": document.player})


def play_outcomes(market: Any, terms: SessionTerms, clearing_oracle: Any, grid_oracle: Any) -> Played:
    """Play a session from its reveals up to its validated outcome."""
    session = terms.session
    travel_to(terms.documentsDeadline)
    first = outcome(session, bytes(market.CommitmentBook.seed(session)))
    market.OutcomeBoard.postMarketOutcome(astuple(first), {"from": clearing_oracle})
    technical = technical_outcome(session, first.hash())
    market.OutcomeBoard.postTechnicalOutcome(astuple(technical), {"from": grid_oracle})
    validated = outcome(session, technical.hash())
    market.OutcomeBoard.postValidatedOutcome(astuple(validated), {"from": clearing_oracle})
    return Played(market, terms, validated.hash())


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


def post_settlement(played: Played, made: Settlement, pairs: list[Pair], oracle: Any) -> Any:
    """Post a settlement in the first second in which it may be."""
    next_block_at(played.terms.delivery_end_s)
    structs = [astuple(pair) for pair in pairs]
    return played.market.SettlementLedger.postSettlement(astuple(made), structs, {"from": oracle})


def finalise(played: Played, made: Settlement, pairs: list[Pair], sender: Any) -> Any:
    """Finalise a settlement in the first second in which it may be."""
    posted = played.market.SettlementLedger.posting(played.session)
    next_block_at(posted["postedAt"] + played.terms.challengeWindowS)
    structs = [astuple(pair) for pair in pairs]
    return played.market.SettlementLedger.finalise(astuple(made), structs, {"from": sender})
