"""The command line: `flexledger demo`, `verify SESSION`, `challenge SESSION`, `network check SOURCE` and others."""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from offchain.audit.arbiter import NOBODY, ArbiterDesk, Case, Opinion
from offchain.audit.challenge import Challenger
from offchain.audit.challenge import challenge as run_challenger
from offchain.audit.explanation import explain
from offchain.audit.front import draw_front
from offchain.audit.reliability import told_reliability
from offchain.audit.verify import SessionReplay, run
from offchain.chain.client import ChainClient
from offchain.chain.keys import load_key
from offchain.chain.local import LocalChain
from offchain.chain.manifest import Manifest
from offchain.chain.market_view import MarketView
from offchain.protocol.errors import FlexledgerError
from offchain.store.documents import FolderStore

PROJECT = Path(__file__).resolve().parents[1]
DEMO_FOLDER = PROJECT / "build" / "demo"

app = typer.Typer(
    pretty_exceptions_enable=False,
    help="A local flexibility market for distribution grids, whose operator needs no trust.",
)
network = typer.Typer(help="The DSO's network, before anything is built on it.")
app.add_typer(network, name="network")
console = Console(highlight=False)


@app.callback()
def configure(verbose: Annotated[bool, typer.Option(help="Log what every part does.")] = False) -> None:
    """Set up logging before any command."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(name)s: %(message)s")


@app.command()
def demo(
    use_case: Annotated[str, typer.Option(help="congestion or voltage.")] = "congestion",
    grid: Annotated[str, typer.Option(help="SimBench code of the grid, else the use case's.")] = "",
    day: Annotated[str, typer.Option(help="Delivery day, YYYY-MM-DD.")] = "",
    pods: Annotated[int, typer.Option(help="PoDs in the market.")] = 0,
    folder: Annotated[Path, typer.Option(help="Where the day is kept.")] = DEMO_FOLDER,
) -> None:
    """Play a market day end to end; started again after a kill, it goes on where it was."""
    from scripts.demo.day import DemoSettings, play
    from scripts.demo.use_case import UseCase

    defaults = DemoSettings(folder=folder)
    settings = DemoSettings(
        folder=folder,
        use_case=UseCase(use_case),
        grid=grid,
        day=date.fromisoformat(day) if day else defaults.day,
        pods=pods or defaults.pods,
    )
    play(settings, console)


Folder = Annotated[Path, typer.Option(help="A demo's folder, with chain, manifest and documents.")]
ManifestPath = Annotated[Path | None, typer.Option(help="Deployment manifest, if not the folder's.")]
Rpc = Annotated[str, typer.Option(help="The chain's JSON-RPC, if not the folder's chain.")]
Documents = Annotated[Path | None, typer.Option(help="Document folder, if not the folder's.")]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        help="Who acts: a keystore (password in FLEXLEDGER_PASSWORD, or asked for) or a file of hex, mode 600."
    ),
]


@app.command()
def verify(
    session: Annotated[int, typer.Argument(help="The session's number.")],
    folder: Folder = DEMO_FOLDER,
    manifest: ManifestPath = None,
    rpc: Rpc = "",
    documents: Documents = None,
) -> None:
    """Replay a session from chain and documents: PASS, or FAIL with the first difference."""
    with _market(folder, manifest, rpc, documents) as market:
        passed = run(SessionReplay(market.chain, market.documents, session), typer.echo)
    raise typer.Exit(0 if passed else 1)


@app.command()
def challenge(
    session: Annotated[int, typer.Argument(help="The session's number.")],
    folder: Folder = DEMO_FOLDER,
    manifest: ManifestPath = None,
    rpc: Rpc = "",
    documents: Documents = None,
    key_file: KeyFile = None,
) -> None:
    """Replay every result that stands, and challenge what is false: by proof, by a demand, or before the arbiter.

    The account must be an active participant, with a case's bond or a demand's fee in the vault. In a demo's folder it is the
    demo's auditor, unless a key file is given.
    """
    with _market(folder, manifest, rpc, documents, key_file, "auditor") as market:
        right = run_challenger(Challenger(market.chain, market.documents, session, typer.echo), typer.echo)
    raise typer.Exit(0 if right else 1)


@app.command()
def why(
    session: Annotated[int, typer.Argument(help="The session's number.")],
    offer: Annotated[int, typer.Argument(help="The offer's position in the session's book.")],
    folder: Folder = DEMO_FOLDER,
    manifest: ManifestPath = None,
    rpc: Rpc = "",
    documents: Documents = None,
) -> None:
    """Say what became of an offer and why: for whom it was taken, or what speaks against it."""
    with _market(folder, manifest, rpc, documents) as market:
        replay = SessionReplay(market.chain, market.documents, session)
        said = explain(replay, MarketView(market.chain), offer)
    typer.echo("\n".join(said.lines))


@app.command()
def front(
    session: Annotated[int, typer.Argument(help="The session's number.")],
    out: Annotated[Path, typer.Option(help="SVG to write.")] = Path("front.svg"),
    folder: Folder = DEMO_FOLDER,
    manifest: ManifestPath = None,
    rpc: Rpc = "",
    documents: Documents = None,
) -> None:
    """Draw what a session that was cleared by several objectives could have had, and what the weights chose."""
    with _market(folder, manifest, rpc, documents) as market:
        points = draw_front(SessionReplay(market.chain, market.documents, session), out)
    typer.echo(f"{out}: {points} points")


@app.command()
def reliability(
    session: Annotated[int, typer.Argument(help="The session's number.")],
    folder: Folder = DEMO_FOLDER,
    manifest: ManifestPath = None,
    rpc: Rpc = "",
    documents: Documents = None,
) -> None:
    """Say how reliable aggregators and PoDs were when a session's gate closed, from what was settled before."""
    with _market(folder, manifest, rpc, documents) as market:
        terms = SessionReplay(market.chain, market.documents, session).terms
        lines = list(told_reliability(MarketView(market.chain), market.documents, terms))
    typer.echo("\n".join(lines))


@app.command()
def case(
    number: Annotated[int, typer.Argument(help="The case's number.")],
    folder: Folder = DEMO_FOLDER,
    manifest: ManifestPath = None,
    rpc: Rpc = "",
    documents: Documents = None,
) -> None:
    """Show what a case is about, and what the replay says of it."""
    with _market(folder, manifest, rpc, documents) as market:
        _show_case(ArbiterDesk(market.chain, market.documents), number)


@app.command()
def rule(
    number: Annotated[int, typer.Argument(help="The case's number.")],
    folder: Folder = DEMO_FOLDER,
    manifest: ManifestPath = None,
    rpc: Rpc = "",
    documents: Documents = None,
    key_file: KeyFile = None,
    wronged: Annotated[str, typer.Option(help="Participant who is made good from the bond.")] = NOBODY,
    loss_ueur: Annotated[int, typer.Option(help="What it lost, in 10^-6 euro.")] = 0,
) -> None:
    """Rule a case as the replay says, as its arbiter."""
    with _market(folder, manifest, rpc, documents, key_file, "arbiter") as market:
        desk = ArbiterDesk(market.chain, market.documents)
        known, opinion = _show_case(desk, number)
        cid = desk.rule(known, opinion, wronged, loss_ueur)
    typer.echo(f"RULED: the result is {'false' if opinion.upheld else 'right'}, ruling {cid}")


@app.command()
def backtest(
    grid: Annotated[
        list[str] | None, typer.Option(help="SimBench code of a grid for KPI_IT_03, too; may be repeated.")
    ] = None,
    first_month: Annotated[int, typer.Option(min=2, max=12, help="First month of 2016 to forecast.")] = 3,
    last_month: Annotated[int, typer.Option(min=2, max=12, help="Last month of 2016 to forecast.")] = 12,
    country: Annotated[str, typer.Option(help="Whose holidays; SimBench's profiles are German.")] = "DE",
) -> None:
    """Backtest the DSO's forecast on SimBench's profiles: KPI_IT_02 and KPI_IT_03, beside the typical profile's."""
    from oracles.grid.core.forecast.calendar import HolidayCalendar
    from oracles.grid.simbench_case import load_simbench_year
    from scripts.forecast_backtest import (
        MARKET_LEADS,
        customer_scores,
        grid_scores,
        primary_substation_scores,
    )

    calendar, months = HolidayCalendar(country), range(first_month, last_month + 1)
    scores = [customer_scores(MARKET_LEADS, calendar, months)]
    years = [load_simbench_year(code) for code in grid or ()]
    scores += [grid_scores(year, MARKET_LEADS, calendar, months) for year in years]
    if years:
        scores.append(primary_substation_scores(years, MARKET_LEADS, calendar, months))
    for of_indicator in scores:
        for score in of_indicator:
            target = "" if score.target is None else f", target {score.target:.0%}"
            typer.echo(
                f"{score.indicator} {score.horizon.name}, {score.subject}: {score.forecast:.1%}"
                f" (typical profile {score.typical:.1%}{target})"
            )


@network.command("check")
def check_network(
    source: Annotated[
        str,
        typer.Argument(
            help="File (.json, .xlsx, .m, .mat, .zip, .xml), folder of CGMES files, SimBench code; or .toml that names a"
            " medium-voltage network and those at its substations."
        ),
    ],
    pods: Annotated[
        Path | None,
        typer.Option(
            help="Where PoDs are: CSV with columns podId and bus, and grid.", exists=True, dir_okay=False
        ),
    ] = None,
) -> None:
    """Say what a network lacks or contradicts, and what it is made of; 1 where it can't be used."""
    from scripts.network_report import report

    usable = report(source, pods, typer.echo)
    raise typer.Exit(0 if usable else 1)


@app.command("own-means")
def own_means(
    source: Annotated[
        str,
        typer.Argument(
            help="File (.json, .xlsx, .m, .mat, .zip, .xml), folder of CGMES files, SimBench code."
        ),
    ],
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Delivery day, by SimBench's profiles; else as loads stand."),
    ] = None,
    max_loading_percent: Annotated[
        float | None, typer.Option(help="Limit of all branches, if not theirs.")
    ] = None,
    min_vm_pu: Annotated[float | None, typer.Option(help="Lowest voltage, if not the buses' own.")] = None,
    max_vm_pu: Annotated[float | None, typer.Option(help="Highest voltage, if not the buses' own.")] = None,
    parallel: Annotated[bool, typer.Option(help="Whether plans may make loops.")] = False,
) -> None:
    """Show which switching and tap changes would remove violations, before any flexibility is asked for."""
    from oracles.grid.core.from_pandapower import LimitSettings
    from oracles.grid.core.own_means import MeansSettings, operable_of, propose_own_means
    from oracles.grid.loading.checks import load_checked_net
    from oracles.grid.own_means import told_means
    from oracles.grid.simbench_case import forecast_at_buses

    limits = LimitSettings(min_vm_pu, max_vm_pu, max_loading_percent)
    net = load_checked_net(source)
    forecast = forecast_at_buses(net, day.date() if day else None)
    settings = MeansSettings(allow_parallel=parallel)
    found = propose_own_means(net, forecast, operable_of(net), limits, settings)
    typer.echo("\n".join(told_means(net, found)))


@dataclass(frozen=True)
class Market:
    """A deployment as the command line finds it: the chain, as an account or only to read, and the documents."""

    chain: ChainClient
    documents: FolderStore


@contextmanager
def _market(
    folder: Path,
    manifest: Path | None,
    rpc: str,
    documents: Path | None,
    key_file: Path | None = None,
    demo_role: str = "",
) -> Iterator[Market]:
    """`demo_role`: whose account is used in a demo's folder where no key file is given; empty: none."""
    deployment = Manifest.load(manifest or folder / "manifest.json")
    key = load_key(key_file, _password) if key_file else None
    if key is None and demo_role:
        if rpc:
            raise FlexledgerError("--key-file is missing: on a chain that isn't a demo's somebody must act")
        from scripts.demo.cast import Cast
        from scripts.demo.day import DemoSettings

        key = Cast(DemoSettings(folder).seed).person(demo_role).key
    with ExitStack() as exits:
        url = rpc or exits.enter_context(_chain_of(folder)).url
        yield Market(ChainClient(url, deployment, key), FolderStore(documents or folder / "documents"))


def _password() -> str:
    return os.environ.get("FLEXLEDGER_PASSWORD") or getpass("Password of the keystore: ")


def _show_case(desk: ArbiterDesk, number: int) -> tuple[Case, Opinion]:
    known = desk.case(number)
    typer.echo(
        f"case {number}: {known.stage.name.lower()} result of session {known.session}, opened by {known.opener}"
    )
    typer.echo(f"  evidence {known.evidence}, to be ruled before {known.deadline_s} (market time)")
    opinion = desk.opinion(known)
    typer.echo(f"  the result is {'false' if opinion.upheld else 'right'}: {opinion.reason}")
    return known, opinion


def _chain_of(folder: Path) -> LocalChain:
    """The chain that a demo left in its folder."""
    chain = folder / "chain"
    if not (chain / "state.json").exists():
        raise FlexledgerError(f"no chain at {chain}: run `make demo` first, or name one with --rpc")
    return LocalChain(chain)


def main() -> None:
    """Entry point: a refusal is a line on the terminal, not a stack trace."""
    try:
        app()
    except FlexledgerError as refusal:
        console.print(f"[red]{type(refusal).__name__}:[/red] {escape(str(refusal))}", markup=True)
        raise SystemExit(2) from None
