"""The DSO's own documents: grid model and forecast, anchored before the gate opens, and the technical outcome.

All are canonical JSON. A grid model goes by the keccak256 of its bytes, and so does a forecast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from offchain.protocol import canonical_json
from offchain.protocol.book_documents import PAYBACK_SLOTS
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import OUTCOME_BY_REQUEST, REFUSAL, Value
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.pods import outcome_salt
from offchain.protocol.products import Product
from oracles.grid.core.assessment import Assessment, Item
from oracles.grid.core.network import Document, GridModel, Integers, grid_model_from_document
from oracles.grid.core.switched_grid import Grid, SwitchedGrid

SWITCHED_FORMAT = "flexledger-switched-grid-1"
MOST_SLOTS = 1000
"""Of a switched grid: more than any window has."""
FORECAST_FORMAT = "flexledger-forecast-2"
FORECAST_BEYOND_SLOTS = PAYBACK_SLOTS
"""Quarter-hours after the delivery window that a forecast covers as well: in them comes what activations pay back."""
ELEMENTS_NOTE, SLOTS_NOTE, SENSITIVITIES_NOTE = "elements", "slots", "sensitivityPerMw"
"""In the notes of a technical outcome, by position of the refusal."""


@dataclass(frozen=True)
class ForecastBasis:
    """With what PoDs without a baseline were forecast: hash of the forecaster's document (empty: none was needed), hash of the
    readings that had ended by the issue, and which PoDs went by the learnt model, which by their typical profiles."""

    forecaster: bytes
    readings: bytes
    learnt: tuple[bytes, ...]
    typical: tuple[bytes, ...]


@dataclass(frozen=True, eq=False)
class Forecast:
    """What the DSO expects without flexibility: net absorbed at each node, W and var (slots, nodes), over the delivery
    window and FORECAST_BEYOND_SLOTS after it, and where the PoDs of the market are connected. `grid_model`: hash of the model
    whose nodes these are. `basis`: with what PoDs without a baseline were forecast; None where none was. `set_aside`: PoDs whose
    baselines can't be meant, and don't count in it."""

    session: int
    grid_model: bytes
    p_w: Integers
    q_var: Integers
    node_of_pod: Mapping[bytes, int]
    basis: ForecastBasis | None = None
    set_aside: frozenset[bytes] = frozenset()

    def fitting(self, nodes: int, slots: int) -> "Forecast":
        """Itself. Raises InvalidInput where it isn't for a model of so many nodes and a window of so many slots."""
        expected = slots + FORECAST_BEYOND_SLOTS, nodes
        for name, array in (("pW", self.p_w), ("qVar", self.q_var)):
            if array.shape != expected:
                raise InvalidInput(f"forecast.{name}", array.shape, f"must be of shape {expected}")
        return self


def grid_model_bytes(document: Document) -> bytes:
    """A grid model's document as it is stored and hashed."""
    return canonical_json.dumps(document, allow_floats=True)


def grid_model_of_bytes(raw: bytes) -> GridModel:
    """The model of a stored document. Raises InvalidInput where it isn't one."""
    return grid_model_from_document(_object(raw))


def switched_document(models: Sequence[Document], ranges: Sequence[tuple[int, int]]) -> Document:
    """The document of a grid that is switched. `ranges`, one after the other: how many slots, and which model holds in them."""
    return {
        "format": SWITCHED_FORMAT,
        "models": list(models),
        "ranges": [{"slots": slots, "model": model} for slots, model in ranges],
    }


def grid_from_document(document: Mapping[str, Any]) -> Grid:
    """The grid of a document: a model that holds all the time, or several by slot. Raises InvalidInput where it isn't one."""
    if document.get("format") != SWITCHED_FORMAT:
        return grid_model_from_document(document)
    models, ranges = document.get("models"), document.get("ranges")
    if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
        raise InvalidInput("gridModel.models", type(models).__name__, "must be a list of objects")
    if not isinstance(ranges, list) or not all(_is_range(each) for each in ranges):
        raise InvalidInput("gridModel.ranges", ranges, "must be a list of slots and model, both integers")
    slots, numbers = ([each[name] for each in ranges] for name in ("slots", "model"))
    if not all(0 < each <= MOST_SLOTS for each in slots) or sum(slots) > MOST_SLOTS:
        raise InvalidInput(
            "gridModel.ranges", slots, f"must be of at most {MOST_SLOTS} slots in all, each of one or more"
        )
    if sorted(set(numbers)) != list(range(len(models))) or not models:
        raise InvalidInput("gridModel.ranges", numbers, "must name each of the models, by its place from 0")
    of_slot = np.repeat(np.array(numbers, dtype=np.int64), slots)
    return SwitchedGrid(tuple(map(grid_model_from_document, models)), of_slot)


def _is_range(content: object) -> bool:
    return isinstance(content, dict) and all(type(content.get(name)) is int for name in ("slots", "model"))


def grid_of_bytes(raw: bytes, slots: int) -> Grid:
    """The grid of a stored document, for a window of so many slots. Raises InvalidInput where it isn't one."""
    grid = grid_from_document(_object(raw))
    if isinstance(grid, SwitchedGrid) and len(grid.model_of_slot) != slots + FORECAST_BEYOND_SLOTS:
        rule = f"must be of {slots + FORECAST_BEYOND_SLOTS} slots"
        raise InvalidInput("gridModel.ranges", len(grid.model_of_slot), rule)
    return grid


def _object(raw: bytes) -> Document:
    document = canonical_json.loads(raw, allow_floats=True)
    if not isinstance(document, dict):
        raise InvalidInput("gridModel", document, "must be an object")
    return document


def forecast_bytes(forecast: Forecast) -> bytes:
    """A forecast as it is stored and hashed; its basis and whose baselines are set aside, where there are any."""
    content: dict[str, object] = {
        "format": FORECAST_FORMAT,
        "session": forecast.session,
        "gridModel": "0x" + forecast.grid_model.hex(),
        "pW": forecast.p_w.tolist(),
        "qVar": forecast.q_var.tolist(),
        "nodeOfPod": {"0x" + pod.hex(): node for pod, node in forecast.node_of_pod.items()},
    }
    if forecast.basis is not None:
        content["basis"] = {
            "forecaster": "0x" + forecast.basis.forecaster.hex(),
            "readings": "0x" + forecast.basis.readings.hex(),
            "learnt": ["0x" + pod.hex() for pod in forecast.basis.learnt],
            "typical": ["0x" + pod.hex() for pod in forecast.basis.typical],
        }
    if forecast.set_aside:
        content["setAside"] = ["0x" + pod.hex() for pod in sorted(forecast.set_aside)]
    return canonical_json.dumps(content)


def forecast_of_bytes(raw: bytes) -> Forecast:
    """The forecast of a stored document. Raises InvalidInput where it isn't one."""
    content = canonical_json.loads(raw)
    if not isinstance(content, dict) or content.get("format") != FORECAST_FORMAT:
        raise InvalidInput("forecast.format", content, f"must be {FORECAST_FORMAT!r}")
    try:
        return Forecast(
            session=int(content["session"]),
            grid_model=bytes.fromhex(content["gridModel"][2:]),
            p_w=np.array(content["pW"], dtype=np.int64),
            q_var=np.array(content["qVar"], dtype=np.int64),
            node_of_pod={bytes.fromhex(pod[2:]): int(node) for pod, node in content["nodeOfPod"].items()},
            basis=_basis(content["basis"]) if "basis" in content else None,
            set_aside=frozenset(bytes.fromhex(pod[2:]) for pod in content.get("setAside", [])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise InvalidInput("forecast", str(problem), "must hold what forecast_bytes writes") from None


def _basis(content: Mapping[str, Any]) -> ForecastBasis:
    forecaster, readings = (bytes.fromhex(content[name][2:]) for name in ("forecaster", "readings"))
    learnt, typical = (
        tuple(bytes.fromhex(pod[2:]) for pod in content[name]) for name in ("learnt", "typical")
    )
    return ForecastBasis(forecaster, readings, learnt, typical)


def document_hash(raw: bytes) -> bytes:
    """What notary, requests and refusals call a grid model or forecast by."""
    return keccak256(raw)


@dataclass(frozen=True)
class OfferTerms:
    """What an offer's leaf says of how it may be accepted: its power, the least of it that may be if any is, its payback."""

    power_w: int
    min_w: int
    payback_w: tuple[int, ...]


def outcome_items(
    forecast: Forecast, market: ListDocument, offers: Mapping[int, OfferTerms], slack: int
) -> tuple[Item, ...]:
    """A market outcome's entries, in their order, as what is assessed: an entry's priority is its position.

    `offers`: by position in the book; none of those that count for nothing. An offer with the same power in several slots
    is a block. What an offer pays back comes after the last slot in which it runs, for each of its entries there.

    A PoD that the forecast doesn't place, registered since or supplied from elsewhere, changes nothing on the grid: it stands
    at the `slack`, and keeps nobody's outcome from being assessed. Raises InvalidInput for a product that there isn't.
    """
    entries = market.list_of(OUTCOME_BY_REQUEST).records()
    powers_w: dict[int, dict[int, set[int]]] = {}
    for entry in entries:
        slots = powers_w.setdefault(entry.integer("offerPosition"), {})
        slots.setdefault(entry.integer("slot"), set()).add(entry.integer("acceptedW"))
    items = []
    for entry in entries:
        position, accepted_w, slot = (entry.integer(name) for name in ("offerPosition", "acceptedW", "slot"))
        pod, slots, offer = entry.word("pod"), powers_w[position], offers.get(position)
        if entry.integer("product") > max(Product):
            raise InvalidInput("product", entry.integer("product"), f"must be at most {max(Product)}")
        is_block = len(slots) > 1 and len(set.union(*slots.values())) == 1
        item = Item(
            priority=entry.integer("position"),
            node=forecast.node_of_pod.get(pod, slack),
            slot=slot,
            product=Product(entry.integer("product")),
            accepted_w=accepted_w,
            min_w=min(offer.min_w, accepted_w) if offer else 0,
            block=position if is_block else None,
        )
        if offer and offer.power_w and slot == max(slots):
            item = replace(item, payback_w=offer.payback_w, offered_w=offer.power_w)
        items.append(item)
    return tuple(items)


def technical_outcome(
    assessment: Assessment, market: ListDocument, grid_model: bytes, author: str
) -> ListDocument:
    """The technical outcome: a leaf for every quantity refused, in full or in part, in order of the market outcome's
    entries. Its notes name for each the element, the slot in which that would be passed, and the element's sensitivity:
    milli-percent or micro-pu per MW (Mvar)."""
    entries = market.list_of(OUTCOME_BY_REQUEST).records()
    refusals = sorted(assessment.refusals, key=lambda refusal: refusal.item.priority)
    running_w = 0
    rows: list[list[Value]] = []
    for position, refusal in enumerate(refusals):
        entry = entries[refusal.item.priority]
        running_w += refusal.refused_w
        rows.append(
            [
                position,
                len(refusals),
                refusal.item.priority,
                entry.integer("offerPosition"),
                refusal.item.slot,
                int(refusal.item.product),
                refusal.refused_w,
                running_w,
                keccak256(refusal.element.key.encode()),
                refusal.margin,
                int(refusal.unit),
                grid_model,
                outcome_salt(entry.word("salt"), REFUSAL.number, position),
            ]
        )
    notes: dict[str, object] = {
        ELEMENTS_NOTE: [refusal.element.key for refusal in refusals],
        SLOTS_NOTE: [refusal.slot for refusal in refusals],
        SENSITIVITIES_NOTE: [refusal.sensitivity for refusal in refusals],
    }
    return ListDocument(market.session, author, (LeafList.of_rows(REFUSAL, rows),), notes if refusals else {})
