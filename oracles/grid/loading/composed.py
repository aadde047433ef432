"""The file in which a DSO names its medium-voltage network and the low-voltage ones at its substations: TOML, paths relative to it.

    medium = "primary.json"            # file, folder of CGMES files or SimBench code, as everywhere

    [low."CS 101"]                     # a substation's name, before the names of its elements
    network = "cs-101.xlsx"
    bus = "MV1.101 Bus 12"             # of the medium-voltage network: the low-voltage one's slack stands for it
    joined = true                      # optional: its limits bind requests and assessments without participants, too

One file may serve at several substations. A network that isn't TOML is a composed one with nothing below it.
"""

import tomllib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from offchain.protocol.errors import InvalidInput
from oracles.grid.loading.checks import check_net
from oracles.grid.loading.files import load_net
from oracles.grid.loading.joined import JoinedNet, LowVoltageNet, check_hangs, join_nets, joined_name
from oracles.grid.loading.problems import Problem, Severity, UnusableNetwork
from oracles.grid.loading.topology import bus_names

MEDIUM = ""
"""Name of the medium-voltage network among those of substations."""
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(min_length=1, pattern=r"^[^:]+$")]
"""Of a substation: what stands before the colon in its elements' names."""


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Low(_Settings):
    network: Text
    bus: Text
    joined: bool = False


class _Composition(_Settings):
    medium: Text
    low: dict[Name, _Low] = {}


@dataclass(frozen=True)
class Place:
    """Where a PoD is: the name of its substation, or MEDIUM, and of a bus in that network."""

    grid: str
    bus: str


@dataclass(frozen=True, eq=False)
class ComposedNets:
    """Checked nets of both levels. `joined`: substations whose limits bind requests and assessments in any case."""

    medium: Any
    low: Mapping[str, LowVoltageNet] = field(default_factory=dict)
    joined: frozenset[str] = frozenset()

    def bus_at(self, place: Place) -> int:
        """Index of a place's bus in its net. Raises InvalidInput where there is no such place."""
        if place.grid != MEDIUM and place.grid not in self.low:
            raise InvalidInput("grid", place.grid, "must be a substation with a network, or empty")
        net = self.medium if place.grid == MEDIUM else self.low[place.grid].net
        index_of = {name: bus for bus, name in bus_names(net).items()}
        if place.bus not in index_of:
            raise InvalidInput(
                "bus", place.bus, f"must be a bus of the network of {place.grid or 'medium voltage'}"
            )
        return index_of[place.bus]

    def join(self, places: Collection[Place]) -> JoinedNet:
        """The net of the medium voltage and of all substations where PoDs are, or whose limits bind anyway."""
        return join_nets(self.medium, self.low, self.joined | {place.grid for place in places} - {MEDIUM})


@dataclass(frozen=True, eq=False)
class Composition:
    """What a source holds: its nets, none where they can't be used, and their problems by network; errors first."""

    nets: ComposedNets | None
    problems: Mapping[str, tuple[Problem, ...]]


def load_composed(source: str) -> ComposedNets:
    """The nets of a composition's file, or of a single network. Raises UnusableNetwork with all errors, and InvalidInput where
    something can't be read."""
    composition = read_composed(source)
    if composition.nets is None:
        raise UnusableNetwork(source, [each for found in composition.problems.values() for each in found])
    return composition.nets


def read_composed(source: str, place_of_pod: Mapping[str, Place] | None = None) -> Composition:
    """The same with all problems told; `place_of_pod`: by PoD id, held to the nets, too. Raises InvalidInput where something
    can't be read."""
    folder, settings = _settings(source)
    pods: dict[str, dict[str, str]] = {}
    for pod, place in (place_of_pod or {}).items():
        if place.grid != MEDIUM and place.grid not in settings.low:
            raise InvalidInput(f"PoD {pod}.grid", place.grid, "must be a substation with a network, or empty")
        pods.setdefault(place.grid, {})[pod] = place.bus
    networks = {MEDIUM: settings.medium, **{name: low.network for name, low in settings.low.items()}}
    sources = {grid: _source(folder, network) for grid, network in networks.items()}
    loaded = {each: load_net(each) for each in sorted(set(sources.values()))}
    problems: dict[str, tuple[Problem, ...]] = {}
    told: set[str] = set()
    for grid, each in sources.items():
        # What is wrong with a file that serves at many substations is told once.
        if each not in told or grid in pods:
            found = (*loaded[each].notes, *check_net(loaded[each].net, pods.get(grid)))
            problems[grid] = tuple(_named(grid, problem) for problem in found)
            told.add(each)
    if _usable(problems):
        nets = {each: found.net for each, found in loaded.items()}
        low, hanging = _hung(settings, sources, nets)
        problems[MEDIUM] += hanging
        if not hanging:
            joined = frozenset(name for name, each in settings.low.items() if each.joined)
            return Composition(ComposedNets(nets[sources[MEDIUM]], low, joined), problems)
    return Composition(None, problems)


def _settings(source: str) -> tuple[Path, _Composition]:
    path = Path(source)
    if path.suffix.lower() != ".toml":
        return Path(), _Composition(medium=source)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return path.parent, _Composition.model_validate(content)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise InvalidInput("network", source, f"can't be read: {problem}") from None
    except ValidationError as refusal:
        first = refusal.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise InvalidInput(f"{path.name}: {where}", first["input"], first["msg"]) from None


def _source(folder: Path, network: str) -> str:
    """A network's file beside the composition's, or else a SimBench code."""
    beside = folder / network
    return str(beside) if beside.exists() else network


def _hung(
    settings: _Composition, sources: Mapping[str, str], nets: Mapping[str, Any]
) -> tuple[dict[str, LowVoltageNet], tuple[Problem, ...]]:
    """Low-voltage nets at their buses, and why some can't hang there."""
    medium = nets[sources[MEDIUM]]
    index_of = {name: index for index, name in bus_names(medium).items()}
    repeated = Counter((sources[name], low.bus) for name, low in settings.low.items())
    hung: dict[str, LowVoltageNet] = {}
    problems = []
    for name, low in settings.low.items():
        if low.bus not in index_of:
            rule = "must be a bus of the medium-voltage network"
            problems.append(Problem(Severity.ERROR, "low", name, "bus", low.bus, rule))
            continue
        if repeated[sources[name], low.bus] > 1:
            rule = f"the same network hangs twice at {low.bus}"
            problems.append(Problem(Severity.ERROR, "low", name, "network", low.network, rule))
        hung[name] = LowVoltageNet(nets[sources[name]], index_of[low.bus])
        try:
            check_hangs(medium, name, hung[name])
        except InvalidInput as refusal:
            column = refusal.field.removeprefix(f"{name}.")
            problems.append(Problem(Severity.ERROR, "low", name, column, refusal.value, refusal.rule))
    return hung, tuple(problems)


def _named(grid: str, problem: Problem) -> Problem:
    return problem if grid == MEDIUM else replace(problem, table=joined_name(grid, problem.table))


def _usable(problems: Mapping[str, tuple[Problem, ...]]) -> bool:
    return all(each.severity is not Severity.ERROR for found in problems.values() for each in found)
