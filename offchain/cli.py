"""The command line: `flexledger demo`, `flexledger verify SESSION`, `flexledger oracle NAME`."""

import logging
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from offchain.audit.verify import SessionReplay, run
from offchain.chain.client import ChainClient
from offchain.chain.local import LocalChain
from offchain.chain.manifest import Manifest
from offchain.protocol.errors import FlexledgerError
from offchain.store.documents import FolderStore

PROJECT = Path(__file__).resolve().parents[1]
DEMO_FOLDER = PROJECT / "build" / "demo"

app = typer.Typer(
    pretty_exceptions_enable=False,
    help="A local flexibility market for distribution grids, whose operator needs no trust.",
)
console = Console(highlight=False)


@app.callback()
def configure(verbose: Annotated[bool, typer.Option(help="Log what every part does.")] = False) -> None:
    """Set up logging before any command."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(name)s: %(message)s")


@app.command()
def demo(
    grid: Annotated[str, typer.Option(help="SimBench code of the grid.")] = "",
    day: Annotated[str, typer.Option(help="Delivery day, YYYY-MM-DD.")] = "",
    pods: Annotated[int, typer.Option(help="PoDs in the market.")] = 0,
    folder: Annotated[Path, typer.Option(help="Where the day is kept.")] = DEMO_FOLDER,
) -> None:
    """Play a market day end to end; started again after a kill, it goes on where it was."""
    from scripts.demo.day import DemoSettings, play

    defaults = DemoSettings(folder=folder)
    settings = DemoSettings(
        folder=folder,
        grid=grid or defaults.grid,
        day=date.fromisoformat(day) if day else defaults.day,
        pods=pods or defaults.pods,
    )
    play(settings, console)


@app.command()
def verify(
    session: Annotated[int, typer.Argument(help="The session's number.")],
    folder: Annotated[
        Path, typer.Option(help="A demo's folder, with chain, manifest and documents.")
    ] = DEMO_FOLDER,
    manifest: Annotated[Path | None, typer.Option(help="Deployment manifest, if not the folder's.")] = None,
    rpc: Annotated[str, typer.Option(help="The chain's JSON-RPC, if not the folder's chain.")] = "",
    documents: Annotated[Path | None, typer.Option(help="Document folder, if not the folder's.")] = None,
) -> None:
    """Replay a session from chain and documents: PASS, or FAIL with the first difference."""
    store = FolderStore(documents or folder / "documents")
    deployment = Manifest.load(manifest or folder / "manifest.json")
    with ExitStack() as exits:
        url = rpc or exits.enter_context(_chain_of(folder)).url
        passed = run(SessionReplay(ChainClient(url, deployment), store, session), typer.echo)
    raise typer.Exit(0 if passed else 1)


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
        console.print(f"[red]{type(refusal).__name__}:[/red] {refusal}", markup=True)
        raise SystemExit(2) from None
