"""A deployment with participants, PoDs and one session on a local chain: made once a test run, copied for whoever needs it."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date
from functools import partial
from pathlib import Path

from offchain.chain.client import ChainClient
from offchain.chain.local import LocalChain
from offchain.chain.manifest import Manifest
from offchain.chain.market_view import MarketView
from offchain.protocol.keccak import keccak256
from offchain.protocol.market_time import day_start_s
from offchain.protocol.roles import Role
from offchain.protocol.terms import ANYBODY, SessionTerms
from offchain.protocol.typed_data import NO_POD, Registration
from offchain.store.documents import FolderStore
from offchain.store.receipts import Keeper, SharedDocuments, Stores
from scripts.demo.cast import ORACLE_ROLES, Cast, Person

HOUR_S = 3600
START_S = day_start_s(date(2026, 9, 10))
GENESIS_S = START_S - 18 * HOUR_S
CAST = Cast("tests")
STRANGER = CAST.person("stranger")
ADMIN = CAST.operator
FIRST, SECOND = CAST.aggregators
FUNDS_UEUR = 1_000_000 * 10**6
POD_LIMIT_W = 100_000
PODS_AT_START = 4
STAKE_UEUR = 100_000_000
ACTIVE_PRODUCTS = 0b11
READY, LOCK = "ready", "lock"

TERMS = SessionTerms(
    session=1,
    marketType=0,
    deliveryStart=START_S,
    slots=96,
    baselineGate=START_S - 14 * HOUR_S,
    gateOpening=START_S - 13 * HOUR_S,
    gateClosure=START_S - 9 * HOUR_S,
    revealDeadline=START_S - 8 * HOUR_S,
    documentsDeadline=START_S - 7 * HOUR_S,
    marketOutcomeDeadline=START_S - 6 * HOUR_S,
    validatedOutcomeDeadline=START_S - 4 * HOUR_S,
    settlementDeadline=START_S + 72 * HOUR_S,
    challengeWindowS=6 * HOUR_S,
    penaltyUeurPerKw=30_000,
    tolerancePermille=300,
    bondPermille=20,
    bondFloorUeur=1_000_000,
    outcomeBondUeur=10_000_000,
    pausedBeforeS=0,
    takeoverS=HOUR_S,
    outcomeBondPermille=100,
    method=0,
    receipts=2,
    clearingOracle=ANYBODY,
    gridOracle=ANYBODY,
    settlementOracle=ANYBODY,
    demandWindowS=HOUR_S,
)


def pod(number: int) -> bytes:
    """Pseudonym of a numbered PoD; even ones are the first aggregator's, odd ones the second's."""
    return keccak256(b"pod %d" % number)


@dataclass(frozen=True)
class SmallMarket:
    """The contracts on a chain of one's own, at the start of the session's day before."""

    chain: LocalChain
    manifest: Manifest
    folder: Path

    @property
    def documents(self) -> FolderStore:
        """The market's own documents."""
        return FolderStore(self.folder / "documents")

    def speaking_as(self, person: Person) -> ChainClient:
        """The chain, as somebody's account."""
        return ChainClient(self.chain.url, self.manifest, person.key)

    @property
    def operator(self) -> ChainClient:
        """The market operator's account."""
        return self.speaking_as(ADMIN)

    @property
    def view(self) -> MarketView:
        """What the contracts say."""
        return MarketView(self.operator)

    def register_pod(self, number: int) -> None:
        """Register a numbered PoD with its customer's consent."""
        owner, customer = CAST.aggregators[number % 2], CAST.person(f"customer {number}")
        chain = self.speaking_as(owner)
        made = chain.events("SettlementMechanismFactory", "MechanismCreated", aggregator=owner.address)
        consent = Registration(
            pod=pod(number),
            aggregator=owner.address,
            customer=customer.address,
            node=CAST.person(f"node {number}").address,
            mechanism=str(made[0].args["mechanism"]),
            maxUpW=POD_LIMIT_W,
            maxDownW=POD_LIMIT_W,
            maxUpVar=0,
            maxDownVar=0,
            replaces=NO_POD,
            nonce=0,
            deadline=START_S,
        )
        signature = consent.sign(chain.domain("PodRegistry"), customer.key)
        chain.send("PodRegistry", "register", consent, signature)
        dso = self.speaking_as(CAST.dso)
        for step in ("prequalifyGrid", "prequalifyProducts"):
            dso.send("PodRegistry", step, pod(number), ACTIVE_PRODUCTS, "")

    def keeper(self, person: Person) -> Keeper:
        """The store of one of the cast, in this process."""
        folder = FolderStore(self.folder / "stores" / person.name)
        return Keeper(self.operator, folder, person.key, person.address)

    @property
    def stores(self) -> Stores:
        """All stores of the cast."""
        return Stores([self.keeper(person) for person in CAST.stores], self.operator)

    @property
    def shared_documents(self) -> SharedDocuments:
        """The market's own documents, and the stores' where it lacks them."""
        return SharedDocuments(self.documents, self.stores)


def prepared(folder: Path, terms: SessionTerms = TERMS) -> Path:
    """A folder with a stopped small market. `terms`: its one session's."""
    return made_once(folder, partial(_prepare, terms=terms))


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, in which whichever test process comes first has made something."""
    with locked(folder):
        if not (folder / READY).exists():
            make(folder)
            (folder / READY).touch()
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one test process at a time is inside; the folder is there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def small_market(original: Path, folder: Path) -> Iterator[SmallMarket]:
    """A running copy of a small market that was made once: its chain and all that lies in its folder."""
    shutil.copytree(original, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(READY, LOCK))
    with LocalChain(folder / "chain") as chain:
        yield SmallMarket(chain, Manifest.load(folder / "manifest.json"), folder)


def _prepare(folder: Path, terms: SessionTerms) -> None:
    with small_market(made_once(folder.with_name("market-without-session"), _deploy), folder) as market:
        values = [getattr(terms, field.name) for field in fields(terms) if field.name != "session"]
        market.operator.send("MarketSessions", "create", tuple(values))
        market.operator.send("OutcomeBoard", "prepare", terms.session)


def _deploy(folder: Path) -> None:
    # Imported here: it brings the whole demo with it, which only the process that deploys needs.
    from scripts.demo.stage import deploy

    with LocalChain(folder / "chain", GENESIS_S) as chain:
        market = SmallMarket(chain, deploy(chain, folder, ADMIN), folder)
        operator = market.operator
        _register(operator, ADMIN, Role.OPERATOR)
        people = [(CAST.dso, Role.DSO), (CAST.tso, Role.TSO)]
        people += [(person, Role.AGGREGATOR) for person in CAST.aggregators]
        people += [(person, ORACLE_ROLES[kind]) for kind, person in CAST.oracles.items()]
        people += [(person, Role.STORE) for person in CAST.stores]
        for person, role in people:
            _register(operator, person, role)
        for person in (ADMIN, *(person for person, _ in people)):
            _fund(market, person)
        operator.send("RelayStakes", "stake", STAKE_UEUR)
        for person in CAST.stores:
            market.speaking_as(person).send("Availability", "stake", STAKE_UEUR)
        for person in CAST.aggregators:
            market.speaking_as(person).send(
                "SettlementMechanismFactory", "createFixedPrice", [[20_000] * 96] * 7, "fixed price"
            )
        for number in range(PODS_AT_START):
            market.register_pod(number)


def _register(operator: ChainClient, person: Person, role: Role) -> None:
    operator.send("ParticipantRegistry", "register", person.address, role.mask, person.name)


def _fund(market: SmallMarket, person: Person) -> None:
    chain = market.speaking_as(person)
    market.operator.send("Euro", "mint", person.address, FUNDS_UEUR)
    chain.send("Euro", "approve", chain.address_of("Vault"), FUNDS_UEUR)
    chain.send("Vault", "deposit", FUNDS_UEUR)
