"""What baseline and reading leaves say: net power of a PoD in a slot, absorbed minus injected."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from offchain.protocol.leaves import BASELINE, READING
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Product
from offchain.protocol.terms import SLOT_S, PodFacts, SessionTerms

SLOTS_PER_HOUR = 3600 // SLOT_S


@dataclass(frozen=True)
class Net:
    """Net power of a PoD over a slot, absorbed minus injected: W and var."""

    power_w: int
    reactive_var: int

    def of(self, product: Product) -> int:
        """The part that a product moves."""
        return self.power_w if product.is_active else self.reactive_var

    def moved(self, product: Product, amount_w: int) -> "Net":
        """After so many W (var) of a product: up lowers what is absorbed."""
        change = product.sign * amount_w
        if product.is_active:
            return Net(self.power_w - change, self.reactive_var)
        return Net(self.power_w, self.reactive_var - change)


def net_of_energies(
    absorbed: int, injected: int, ind_in: int, ind_out: int, cap_in: int, cap_out: int
) -> Net:
    """Net of the energies of a slot (Wh, varh): active, inductive and capacitive, absorbed and injected of each.

    Net W is 4 times net Wh. Reactive: inductive absorbed and capacitive injected count as absorbed.
    """
    return Net(SLOTS_PER_HOUR * (absorbed - injected), SLOTS_PER_HOUR * (ind_in - ind_out - cap_in + cap_out))


@dataclass(frozen=True)
class Anchored:
    """Net power as a leaf of an anchored list says it: the list's root, and the leaf's position."""

    net: Net
    root: bytes
    position: int


PodSlot = tuple[bytes, int]
Baselines = Mapping[PodSlot, Anchored]
Readings = Mapping[PodSlot, tuple[Anchored, ...]]


def baselines_of(
    documents: Iterable[tuple[str, ListDocument]], pods: Mapping[bytes, PodFacts]
) -> dict[PodSlot, Anchored]:
    """Baselines by PoD and slot of the anchored documents, each with who anchored it.

    A leaf counts if that was the PoD's aggregator; the first one stands where two say something.
    """
    out: dict[PodSlot, Anchored] = {}
    for author, document in documents:
        leaves = document.list_of(BASELINE)
        root = leaves.root
        rows = zip(
            leaves.words("pod"),
            leaves.integers("slot"),
            leaves.integers("powerW"),
            leaves.integers("reactiveVar"),
            strict=True,
        )
        for position, (pod, slot, power_w, reactive_var) in enumerate(rows):
            if pod in pods and pods[pod].aggregator.lower() == author.lower():
                out.setdefault((pod, slot), Anchored(Net(power_w, reactive_var), root, position))
    return out


def readings_of(
    documents: Iterable[ListDocument], terms: SessionTerms, genuine: Callable[[ListDocument], Sequence[bool]]
) -> dict[PodSlot, tuple[Anchored, ...]]:
    """Readings by PoD and slot of the anchored batches, those of the session's quarter-hours only; of several that say the
    same the first. `genuine`: which leaves of a batch a key signed that served the PoD then; others don't count.
    """
    out: dict[PodSlot, tuple[Anchored, ...]] = {}
    for document in documents:
        leaves = document.list_of(READING)
        root = leaves.root
        rows = zip(
            leaves.words("pod"),
            leaves.integers("startTime"),
            leaves.integers("periodS"),
            leaves.integers("absorbedActiveWh"),
            leaves.integers("injectedActiveWh"),
            leaves.integers("absorbedInductiveVarh"),
            leaves.integers("injectedInductiveVarh"),
            leaves.integers("absorbedCapacitiveVarh"),
            leaves.integers("injectedCapacitiveVarh"),
            strict=True,
        )
        is_genuine: Sequence[bool] | None = None
        for position, row in enumerate(rows):
            pod, start_s, period_s, *energies = row
            slot, rest = divmod(start_s - terms.deliveryStart, SLOT_S)
            if rest or period_s != SLOT_S or not 0 <= slot < terms.slots:
                continue
            if is_genuine is None:
                is_genuine = genuine(document)
            if not is_genuine[position]:
                continue
            net = net_of_energies(*energies)
            known = out.get((pod, slot), ())
            if all(net != entry.net for entry in known):
                out[pod, slot] = (*known, Anchored(net, root, position))
    return out
