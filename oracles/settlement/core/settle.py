"""Settlement of a session: a leaf per accepted quantity, what each payer owes each payee, what each customer earns."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from offchain.protocol.claims import Claim, claims_note
from offchain.protocol.leaves import OUTCOME_BY_REQUEST, SETTLEMENT, Value
from offchain.protocol.lists import LeafList, ListDocument, Record, next_positions, previous_positions
from offchain.protocol.metering import Anchored, Baselines, Readings
from offchain.protocol.pods import outcome_salt
from offchain.protocol.products import DeliveryStatus, Product
from offchain.protocol.terms import PodFacts, SessionTerms
from offchain.protocol.typed_data import Pair
from offchain.protocol.units import payment_ueur
from oracles.settlement.core.delivery import Delivery, delivery

CustomerPrice = Callable[[str, int, int], int]
"""(mechanism, slot, flexibility price) to the customer's price, both in µ€ per kW and interval."""

PODS_PER_CLAIM = 100
MOST_W = 2**32 - 1
"""The most that a leaf can say was delivered: no meter's nonsense stops a settlement."""
NO_LEAF = (bytes(32), 0)
"""Root and position where there is no leaf to judge by."""


@dataclass(frozen=True)
class Judgement:
    """What one accepted quantity earned and cost, in µ€; `delivered_w` is its share of what the PoD delivered."""

    delivered_w: int
    status: DeliveryStatus
    payment_ueur: int
    penalty_ueur: int
    reward_ueur: int
    reward_penalty_ueur: int


@dataclass(frozen=True)
class SettlementResult:
    """The settlement's document, and what is posted beside its root."""

    document: ListDocument
    pairs: tuple[Pair, ...]
    claims: tuple[Claim, ...]

    @property
    def rewards_ueur(self) -> int:
        """Sum of what PoDs earned on balance, in token units."""
        return sum(max(0, amount) for claim in self.claims for amount in claim.amounts_ueur)


def judge(
    accepted_w: int,
    pod_total_w: int,
    pod_delivered_w: int,
    status: DeliveryStatus,
    price_ueur_per_kw: int,
    customer_price_ueur_per_kw: int,
    terms: SessionTerms,
) -> Judgement:
    """Judge one accepted quantity of a PoD, slot and product (see protocol.md, Amounts).

    Where a PoD was accepted in several quantities (`pod_total_w` together), each has its share of the delivery in
    proportion, rounded down, at most `MOST_W`. Paid is the lesser of delivered and accepted at the price. Within the tolerance there
    is no penalty; beyond it, either way, the whole deviation pays the session's rate, at most as for delivering
    nothing, so that collateral always covers it. The customer's reward and its penalty follow the same quantities
    at the customer's price.
    """
    share_w = min(pod_delivered_w * accepted_w // pod_total_w, MOST_W)
    paid_w = min(share_w, accepted_w)
    deviation_w = abs(share_w - accepted_w)
    penalised = deviation_w * 1000 > terms.tolerancePermille * accepted_w
    penalised_w = min(deviation_w, accepted_w) if penalised else 0
    return Judgement(
        delivered_w=share_w,
        status=status,
        payment_ueur=payment_ueur(paid_w, price_ueur_per_kw),
        penalty_ueur=payment_ueur(penalised_w, terms.penaltyUeurPerKw),
        reward_ueur=payment_ueur(paid_w, customer_price_ueur_per_kw),
        reward_penalty_ueur=payment_ueur(penalised_w, customer_price_ueur_per_kw),
    )


def settle(
    outcome: ListDocument,
    payer_of_request: Callable[[int], str],
    pods: Mapping[bytes, PodFacts],
    baselines: Baselines,
    readings: Readings,
    customer_price: CustomerPrice,
    terms: SessionTerms,
    author: str,
) -> SettlementResult:
    """Settle a validated outcome. `payer_of_request`: who made the request at a position of the book."""
    entries = outcome.list_of(OUTCOME_BY_REQUEST)
    rows = entries.records()
    judged: list[Judgement] = []
    deliveries: list[Delivery] = []
    for row in rows:
        pod, slot, product = row.word("pod"), row.integer("slot"), Product(row.integer("product"))
        price = row.integer("priceUeurPerKw")
        found = delivery(pod, slot, product, baselines, readings)
        deliveries.append(found)
        judged.append(
            judge(
                row.integer("acceptedW"),
                row.integer("podTotalW"),
                found.delivered_w,
                found.status,
                price,
                customer_price(pods[pod].mechanism, slot, price),
                terms,
            )
        )
    parties = [
        (payer_of_request(row.integer("requestPosition")), pods[row.word("pod")].aggregator) for row in rows
    ]
    leaves, pairs = _leaves(rows, judged, deliveries, parties)
    claims = _claims(rows, judged, pods)
    lists = (LeafList.of_rows(SETTLEMENT, leaves),)
    return SettlementResult(ListDocument(terms.session, author, lists, claims_note(claims)), pairs, claims)


def _leaves(
    rows: Sequence[Record],
    judged: Sequence[Judgement],
    deliveries: Sequence[Delivery],
    parties: Sequence[tuple[str, str]],
) -> tuple[list[Sequence[Value]], tuple[Pair, ...]]:
    pods = [row.word("pod") for row in rows]
    links = zip(
        previous_positions(parties),
        next_positions(parties),
        previous_positions(pods),
        next_positions(pods),
        strict=True,
    )
    place_of_pod = {pod: place for place, pod in enumerate(dict.fromkeys(pods))}
    pair_sum: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    pod_sum: dict[bytes, tuple[int, int]] = defaultdict(lambda: (0, 0))
    leaves: list[Sequence[Value]] = []
    columns = zip(rows, judged, deliveries, parties, pods, links, strict=True)
    for position, (row, entry, found, party, pod, row_links) in enumerate(columns):
        paid, penalised = pair_sum[party]
        pair_sum[party] = (paid + entry.payment_ueur, penalised + entry.penalty_ueur)
        earned, lost = pod_sum[pod]
        pod_sum[pod] = (earned + entry.reward_ueur, lost + entry.reward_penalty_ueur)
        leaves.append(
            (
                position,
                len(rows),
                pod,
                row.integer("slot"),
                row.integer("product"),
                bytes.fromhex(party[0][2:]),
                bytes.fromhex(party[1][2:]),
                row.integer("acceptedW"),
                entry.delivered_w,
                int(entry.status),
                entry.payment_ueur,
                entry.penalty_ueur,
                entry.reward_ueur,
                entry.reward_penalty_ueur,
                *pair_sum[party],
                *pod_sum[pod],
                *row_links,
                *divmod(place_of_pod[pod], PODS_PER_CLAIM),
                *_leaf_of(found.baseline),
                *_leaf_of(found.reading),
                outcome_salt(row.word("salt"), SETTLEMENT.number, position),
            )
        )
    in_order = sorted(pair_sum, key=lambda party: (int(party[0], 16), int(party[1], 16)))
    return leaves, tuple(Pair(*party, *pair_sum[party]) for party in in_order)


def _leaf_of(anchored: Anchored | None) -> tuple[bytes, int]:
    return NO_LEAF if anchored is None else (anchored.root, anchored.position)


def _claims(
    rows: Sequence[Record], judged: Sequence[Judgement], pods: Mapping[bytes, PodFacts]
) -> tuple[Claim, ...]:
    """Rewards less penalties of each PoD, in order of the PoDs' first leaves, a hundred PoDs a leaf."""
    of_pod: dict[bytes, int] = defaultdict(int)
    for row, entry in zip(rows, judged, strict=True):
        of_pod[row.word("pod")] += entry.reward_ueur - entry.reward_penalty_ueur
    net = [(pods[pod].customer, amount) for pod, amount in of_pod.items()]
    chunks = [net[first : first + PODS_PER_CLAIM] for first in range(0, len(net), PODS_PER_CLAIM)]
    return tuple(Claim(tuple(w for w, _ in chunk), tuple(a for _, a in chunk)) for chunk in chunks)
