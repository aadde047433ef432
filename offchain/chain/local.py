"""A local chain: anvil on a loopback port, its state in a folder, its clock moved forward by hand.

The demo, the tests and `flexledger verify` use it; a pilot runs on nodes of its own. The chain outlives the process
that started it, so that a demo killed half-way finds its chain again; `stop` saves the state and ends it.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from web3 import HTTPProvider, Web3
from web3.types import RPCEndpoint

from offchain.protocol.errors import FlexledgerError

HOST = "127.0.0.1"
CHAIN_ID = 31337
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
STATE_INTERVAL_S = 5


class LocalChainFailed(FlexledgerError):
    """Anvil is missing, or didn't start or stop."""


def find_anvil() -> str:
    """The anvil to run: the project's own, else the system's. Raises LocalChainFailed naming how to get it."""
    own = Path(__file__).resolve().parents[2] / "node_modules" / ".bin" / "anvil"
    for candidate in (str(own), shutil.which("anvil")):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    raise LocalChainFailed("anvil is missing: run `make setup`")


class LocalChain:
    """Anvil with its state in `folder`; base fee and gas price are 0, so that accounts need no ether."""

    def __init__(self, folder: Path, genesis_s: int | None = None) -> None:
        """`genesis_s`: the clock's start where the chain is new; the machine's time if not given."""
        self._folder = folder.resolve()
        self._genesis_s = genesis_s
        self._pid = 0
        self._port = 0
        self._attached = False

    @property
    def url(self) -> str:
        """Where its JSON-RPC answers."""
        return f"http://{HOST}:{self._port}"

    @property
    def state_file(self) -> Path:
        """Where its state is kept between runs."""
        return self._folder / "state.json"

    def start(self) -> None:
        """Attach to the chain that runs in this folder, or start one from the state kept there, or a new one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._attached = self._attach()
        if self._attached:
            return
        self._port = _free_port()
        start = (
            []
            if self._genesis_s is None or self.state_file.exists()
            else ["--timestamp", str(self._genesis_s)]
        )
        with (self._folder / "anvil.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    find_anvil(),
                    *("--host", HOST, "--port", str(self._port), "--chain-id", str(CHAIN_ID)),
                    *("--base-fee", "0", "--gas-price", "0", "--gas-limit", "30000000", "--silent"),
                    *("--state", str(self.state_file), "--state-interval", str(STATE_INTERVAL_S)),
                    *start,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._pid = process.pid
        self._record().write_text(json.dumps({"pid": self._pid, "port": self._port}))
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise LocalChainFailed(f"anvil didn't start: see {self._folder / 'anvil.log'}")
            time.sleep(0.02)
        self._rpc("anvil_setTime", [self.now_s()])

    def stop(self) -> None:
        """Save the state and end the chain."""
        if not self._pid:
            return
        os.kill(self._pid, signal.SIGINT)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while _alive(self._pid):
            if time.monotonic() > deadline:
                raise LocalChainFailed(f"anvil (process {self._pid}) didn't stop")
            time.sleep(0.02)
        self._record().unlink(missing_ok=True)
        self._pid = 0

    def stop_left_behind(self) -> None:
        """End the chain that a killed run left in this folder, if there is one."""
        if self._attach():
            self.stop()

    def __enter__(self) -> "LocalChain":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A chain that ran before belongs to who started it, such as a demo that goes on later.
        if not self._attached:
            self.stop()

    def now_s(self) -> int:
        """Time of the newest block."""
        return int(self._web3().eth.get_block("latest")["timestamp"])

    def advance_to(self, instant_s: int) -> None:
        """Move the chain's clock forward to an instant by mining a block then; nothing if it is past."""
        if instant_s > self.now_s():
            self._rpc("evm_setNextBlockTimestamp", [instant_s])
            self._rpc("anvil_mine", [])

    def fund(self, address: str) -> None:
        """Give an account a thousand ether: brownie's scripts price their gas, whatever the chain asks."""
        self._rpc("anvil_setBalance", [address, hex(1000 * 10**18)])

    def _web3(self) -> Web3:
        return Web3(HTTPProvider(self.url, request_kwargs={"timeout": 30}))

    def _rpc(self, method: str, parameters: list[object]) -> None:
        answer = self._web3().provider.make_request(RPCEndpoint(method), parameters)
        if "error" in answer:
            raise LocalChainFailed(f"{method}{tuple(parameters)}: {answer['error']}")

    def _record(self) -> Path:
        return self._folder / "running.json"

    def _attach(self) -> bool:
        try:
            record = json.loads(self._record().read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return False
        self._pid, self._port = int(record["pid"]), int(record["port"])
        if _alive(self._pid) and self._answers():
            return True
        self._pid = self._port = 0
        return False

    def _answers(self) -> bool:
        try:
            return int(self._web3().eth.chain_id) == CHAIN_ID
        except OSError:
            return False


def _alive(pid: int) -> bool:
    try:
        finished, _ = os.waitpid(pid, os.WNOHANG)
        return finished == 0
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}").exists() or "Z" not in _state_of(pid)


def _state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
