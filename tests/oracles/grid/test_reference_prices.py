"""Reference prices: aggregators publish them, the DSO's requests are sized by them, and nobody's bad ones hurt another."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from offchain.aggregator.reference_prices import publish_reference_prices
from offchain.market.client import MarketRefused
from offchain.market.service import DocumentKind
from offchain.protocol.book_documents import Area, BaselineEntry, baseline_document
from offchain.protocol.cid import cid_of
from offchain.protocol.documents.base import build, parse
from offchain.protocol.documents.reference_prices import PodReference, ReferencePrices
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import BASELINE
from offchain.protocol.products import Product
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import NoticeKind
from oracles.grid.daemon import GridDaemon, GridDaemonSettings
from oracles.grid.reference_prices import flexible_pod, published_references
from scripts.demo.cast import Person
from tests.chain.real_time_day import StandInNetwork
from tests.chain.small_market import CAST, FIRST, SECOND, TERMS, pod, prepared, small_market
from tests.chain.workers import shared_folder
from tests.market.desk import Desk, desk_of, leaf_salt

CAP = 90_000


def reference(price: int, **more: object) -> PodReference:
    return parse(PodReference, {"activeUp": {"priceUeurPerKw": price}, **more})


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(shared_folder(tmp_path_factory) / "small-market")


@pytest.fixture
def desk(original: Path, tmp_path: Path) -> Iterator[Desk]:
    """Before the gate opens."""
    with small_market(original, tmp_path) as market, desk_of(market, tmp_path) as desk:
        yield desk


def publish(desk: Desk, author: Person, prices: dict[int, int], session: int = TERMS.session) -> None:
    references = {pod(number): reference(price) for number, price in prices.items()}
    publish_reference_prices(desk.market.speaking_as(author), desk.client(author), references, session)


def notarise(desk: Desk, author: Person, raw: bytes, hashed: bytes) -> None:
    cid = cid_of(raw)
    notice = (NoticeKind.REFERENCE_PRICES, TERMS.session, keccak256(hashed), cid.digest, cid.codec)
    desk.market.speaking_as(author).send("DataNotary", "notarise", *notice)


def published(desk: Desk) -> dict[int, int]:
    """The price that counts of each numbered PoD's active power up."""
    market = desk.market
    found = published_references(market.view, market.documents, TERMS, market.view.pods())
    said = {number: found.get(pod(number), PodReference()).of(Product.ACTIVE_UP) for number in range(4)}
    return {number: each.price_ueur_per_kw for number, each in said.items() if each is not None}


def test_the_last_that_its_aggregator_published_before_the_gate_opened_counts(desk: Desk) -> None:
    publish(desk, FIRST, {0: 10, 2: 20}, session=0)
    publish(desk, FIRST, {0: 11})
    publish(desk, FIRST, {0: 12, 1: 1})
    publish(desk, SECOND, {1: 30, 2: 1})
    assert published(desk) == {0: 12, 1: 30, 2: 20}
    desk.market.chain.advance_to(desk.market.chain.now_s() + 60)
    publish(desk, FIRST, {0: 11})
    assert published(desk) == {0: 11, 1: 30, 2: 20}, "back to what was published before"
    desk.market.chain.advance_to(TERMS.gateOpening)
    publish(desk, FIRST, {0: 13})
    assert published(desk) == {0: 11, 1: 30, 2: 20}


def test_what_cant_be_read_counts_for_nothing_and_what_stood_before_it_does(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    publish(desk, FIRST, {0: 10})
    nonsense, other = b'{"pods":1}', b'{"pods":{}}'
    for raw in (nonsense, other):
        desk.market.documents.put(raw)
    notarise(desk, FIRST, nonsense, nonsense)
    notarise(desk, FIRST, other, b"another's hash")
    notarise(desk, FIRST, b"kept back", b"kept back")
    assert published(desk) == {0: 10}
    assert caplog.text.count("ignored") == 3


def test_the_market_takes_no_prices_that_are_none(desk: Desk) -> None:
    with pytest.raises(MarketRefused, match="priceUeurPerKw"):
        desk.client(FIRST).bring(
            DocumentKind.REFERENCE_PRICES,
            b'{"pods":{"0x%s":{"activeUp":{"priceUeurPerKw":0}}}}' % pod(0).hex().encode(),
        )


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"activeUp": {"priceUeurPerKw": 1, "stepW": 0}}, "activeUp.stepW"),
        ({"activeUp": {"priceUeurPerKw": 1, "leastW": 2**32}}, "activeUp.leastW"),
        ({"activeUp": {"priceUeurPerKw": 2**53}}, "activeUp.priceUeurPerKw"),
        ({"mostWh": -1}, "mostWh"),
        ({"paybackPermille": [1001]}, r"paybackPermille\[0\]"),
        ({"paybackPermille": [400, 601]}, "paybackPermille"),
        ({"paybackPermille": [1] * 9}, "paybackPermille"),
    ],
)
def test_refusals_name_the_field(content: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        parse(PodReference, content)


def test_pods_go_by_their_pseudonyms() -> None:
    with pytest.raises(InvalidInput, match="pods"):
        build(ReferencePrices, pods={"IT001E00000042": PodReference()})


def test_what_is_published_of_a_pod_is_what_it_is_sized_by() -> None:
    """With the grid fee on its price: the delivered price decides."""
    most_w = {product: np.full(4, 5_000) for product in (Product.ACTIVE_UP, Product.ACTIVE_DOWN)}
    said = parse(
        PodReference,
        {
            "activeUp": {"priceUeurPerKw": 70, "leastW": 500, "stepW": 100},
            "mostWh": 4_000,
            "paybackPermille": [300],
        },
    )
    made = flexible_pod(b"p", 3, most_w, said, 90, 7)
    up, down = made.flexibility[Product.ACTIVE_UP], made.flexibility[Product.ACTIVE_DOWN]
    assert (up.price_ueur_per_kw, up.least_w, up.step_w) == (77, 500, 100)
    assert (down.price_ueur_per_kw, down.least_w, down.step_w) == (90, 0, 1)
    assert (made.pod, made.node, made.most_wh, made.payback_permille) == (b"p", 3, 4_000, (300,))
    # Without any all prices are equal.
    bare = flexible_pod(b"p", 3, most_w, PodReference(), 90, 7)
    assert {each.price_ueur_per_kw for each in bare.flexibility.values()} == {90}
    # What costs more delivered than the cap isn't counted on.
    assert set(flexible_pod(b"p", 3, most_w, said, 90, 21).flexibility) == {Product.ACTIVE_DOWN}


class Asked:
    """The DSO's desk, which only remembers."""

    def __init__(self) -> None:
        self.areas: Sequence[Area] = ()

    def submit(self, terms: SessionTerms, areas: Sequence[Area]) -> None:
        assert terms == TERMS
        self.areas = areas


def test_the_dsos_request_counts_on_no_pod_that_is_dearer_than_its_cap(desk: Desk) -> None:
    """Four PoDs of 70 kW below a transformer of 250 kVA; one of them says that it costs more than the DSO pays."""
    market = desk.market
    for author, numbers in ((FIRST, (0, 2)), (SECOND, (1, 3))):
        entries = [BaselineEntry(pod(number), 3, 70_000, 0) for number in numbers]
        document = baseline_document(TERMS.session, author.address, entries, leaf_salt)
        cid = market.documents.put(document.to_bytes())
        notice = (NoticeKind.BASELINE, TERMS.session, document.list_of(BASELINE).root, cid.digest, cid.codec)
        market.speaking_as(author).send("DataNotary", "notarise", *notice)
    publish(desk, FIRST, {0: CAP + 1, 2: CAP})
    asked, grid = Asked(), market.speaking_as(CAST.oracles["grid"])
    daemon = GridDaemon(
        grid, market.documents, market.stores, StandInNetwork(), asked, GridDaemonSettings(CAP)
    )
    market.chain.advance_to(TERMS.baselineGate)
    daemon.step()
    market.chain.advance_to(TERMS.gateOpening)
    daemon.step()
    assert asked.areas
    named = {each for area in asked.areas for each, _ in area.effectiveness}
    assert pod(0) not in named
    assert named <= {pod(number) for number in (1, 2, 3)}
