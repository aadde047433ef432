"""What the operator weighs against each other in a session that is cleared by several objectives.

The document that the operator notarises before the gate opens: canonical JSON, all values integers.
"""

from dataclasses import asdict, dataclass, fields

from offchain.protocol import canonical_json
from offchain.protocol.errors import InvalidInput

FORMAT = "flexledger-clearing-parameters/1"
BOUNDS = {"front_steps": (1, 20), "population": (4, 1000), "generations": (1, 1000)}


@dataclass(frozen=True)
class ClearingParameters:
    """Weights as prices, so that each objective counts in µ€ beside the cost.

    `unserved_ueur_per_kw`: a kW of relief that stays unserved in a slot. `unreliability_ueur_per_kw`: a kW in a slot of a PoD
    that never delivers; one that does at 90 % counts a tenth. `activation_ueur`: an offer that is taken. `co2_ueur_per_kg`:
    what active power emits, as its offer states it, or at `co2_default_g_per_kwh`; at 0 nobody minds. `front_steps`: steps of
    each axis of the exact front that is kept with the outcome. `population`, `generations`: of NSGA-II.
    """

    unserved_ueur_per_kw: int = 10_000_000
    unreliability_ueur_per_kw: int = 0
    activation_ueur: int = 0
    co2_ueur_per_kg: int = 0
    co2_default_g_per_kwh: int = 1000
    front_steps: int = 5
    population: int = 60
    generations: int = 40

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 0:
                raise InvalidInput(name, value, "must not be negative")
        for name, (least, most) in BOUNDS.items():
            if not least <= asdict(self)[name] <= most:
                raise InvalidInput(name, asdict(self)[name], f"must be from {least} to {most}")

    def to_bytes(self) -> bytes:
        """The document."""
        return canonical_json.dumps({"format": FORMAT, **asdict(self)})

    @classmethod
    def from_bytes(cls, raw: bytes) -> "ClearingParameters":
        """Read the document. InvalidInput where it isn't one; what it doesn't name has its default."""
        content = canonical_json.loads(raw)
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise InvalidInput("parameters.format", content, f"must be {FORMAT!r}")
        unknown = sorted(set(content) - {field.name for field in fields(cls)})
        if unknown:
            raise InvalidInput("parameters", unknown, "are no parameters of clearing")
        for name, value in content.items():
            if isinstance(value, bool) or not isinstance(value, int):
                raise InvalidInput(name, value, "must be an integer")
        return cls(**content)
