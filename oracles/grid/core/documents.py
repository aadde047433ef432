"""The DSO's own documents: grid model and forecast, anchored before the gate opens, and the technical outcome.

All are canonical JSON. A grid model goes by the keccak256 of its bytes, and so does a forecast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offchain.protocol import canonical_json
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import OUTCOME_BY_REQUEST, REFUSAL, Value
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.pods import outcome_salt
from offchain.protocol.products import Product
from oracles.grid.core.assessment import Assessment, Item, assess
from oracles.grid.core.network import Document, GridModel, Integers, grid_model_from_document

FORECAST_FORMAT = "flexledger-forecast-1"


@dataclass(frozen=True, eq=False)
class Forecast:
    """What the DSO expects without flexibility: net absorbed at each node, W and var (slots, nodes), and where the
    PoDs of the market are connected. `grid_model`: hash of the model whose nodes these are."""

    session: int
    grid_model: bytes
    p_w: Integers
    q_var: Integers
    node_of_pod: Mapping[bytes, int]


def grid_model_bytes(document: Document) -> bytes:
    """A grid model's document as it is stored and hashed."""
    return canonical_json.dumps(document, allow_floats=True)


def grid_model_of_bytes(raw: bytes) -> GridModel:
    """The model of a stored document. Raises InvalidInput where it isn't one."""
    document = canonical_json.loads(raw, allow_floats=True)
    if not isinstance(document, dict):
        raise InvalidInput("gridModel", document, "must be an object")
    return grid_model_from_document(document)


def forecast_bytes(forecast: Forecast) -> bytes:
    """A forecast as it is stored and hashed."""
    return canonical_json.dumps(
        {
            "format": FORECAST_FORMAT,
            "session": forecast.session,
            "gridModel": "0x" + forecast.grid_model.hex(),
            "pW": forecast.p_w.tolist(),
            "qVar": forecast.q_var.tolist(),
            "nodeOfPod": {"0x" + pod.hex(): node for pod, node in forecast.node_of_pod.items()},
        }
    )


def forecast_of_bytes(raw: bytes, nodes: int, slots: int) -> Forecast:
    """The forecast of a stored document, for a model of so many nodes. Raises InvalidInput where it isn't one."""
    content = canonical_json.loads(raw)
    if not isinstance(content, dict) or content.get("format") != FORECAST_FORMAT:
        raise InvalidInput("forecast.format", content, f"must be {FORECAST_FORMAT!r}")
    try:
        forecast = Forecast(
            session=int(content["session"]),
            grid_model=bytes.fromhex(content["gridModel"][2:]),
            p_w=np.array(content["pW"], dtype=np.int64),
            q_var=np.array(content["qVar"], dtype=np.int64),
            node_of_pod={bytes.fromhex(pod[2:]): int(node) for pod, node in content["nodeOfPod"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise InvalidInput(
            "forecast", str(problem), "must hold session, gridModel, pW, qVar and nodeOfPod"
        ) from None
    for name, array in (("pW", forecast.p_w), ("qVar", forecast.q_var)):
        if array.shape != (slots, nodes):
            raise InvalidInput(f"forecast.{name}", array.shape, f"must be of shape {(slots, nodes)}")
    return forecast


def document_hash(raw: bytes) -> bytes:
    """What notary, requests and refusals call a grid model or forecast by."""
    return keccak256(raw)


def assess_outcome(
    model: GridModel, forecast: Forecast, market: ListDocument, minimum_w: Sequence[int]
) -> Assessment:
    """Assess a market outcome on the forecast; a quantity's priority is its position in the list by request.

    `minimum_w`: by position in the book, the least of an offer that may be accepted if any is.

    Raises InvalidInput where the outcome names a PoD that the forecast doesn't place.
    """
    items = []
    entries = market.list_of(OUTCOME_BY_REQUEST).records()
    slots_of: dict[int, set[int]] = {}
    for record in entries:
        slots_of.setdefault(record.integer("offerPosition"), set()).add(record.integer("slot"))
    for record in entries:
        offer = record.integer("offerPosition")
        pod = record.word("pod")
        if pod not in forecast.node_of_pod:
            raise InvalidInput("pod", "0x" + pod.hex(), "isn't in the anchored forecast")
        items.append(
            Item(
                priority=record.integer("position"),
                node=forecast.node_of_pod[pod],
                slot=record.integer("slot"),
                product=Product(record.integer("product")),
                accepted_w=record.integer("acceptedW"),
                min_w=min(minimum_w[offer], record.integer("acceptedW")),
                block=offer if len(slots_of[offer]) > 1 else None,
            )
        )
    return assess(model, forecast.p_w, forecast.q_var, items)


def technical_outcome(
    assessment: Assessment, market: ListDocument, grid_model: bytes, author: str
) -> ListDocument:
    """The technical outcome: a leaf for every quantity refused, in full or in part, in order of the market outcome's
    entries; its notes name the elements."""
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
    elements = [refusal.element.key for refusal in refusals]
    return ListDocument(
        market.session, author, (LeafList.of_rows(REFUSAL, rows),), {"elements": elements} if elements else {}
    )
