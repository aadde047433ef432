"""`python -m lightnode CONFIG`: runs one Light Node until it is told to stop."""

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from lightnode.config import NodeConfig
from lightnode.runtime import RunningNode
from offchain.protocol.errors import FlexledgerError

STEP_EVERY_S = 1.0


def run(node: RunningNode, stop: threading.Event, every_s: float = STEP_EVERY_S) -> None:
    """Step a node until `stop` is set, then let go of everything."""
    node.start()
    try:
        while not stop.is_set():
            node.step()
            stop.wait(every_s)
    finally:
        node.stop()


def main() -> int:
    """Entry point; 2 if the configuration is refused."""
    parser = argparse.ArgumentParser(prog="lightnode", description=__doc__)
    parser.add_argument("config", type=Path, help="the node's TOML file (see lightnode/config.py)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        node = RunningNode(NodeConfig.load(arguments.config))
    except FlexledgerError as refusal:
        print(f"lightnode: {refusal}", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(node, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
