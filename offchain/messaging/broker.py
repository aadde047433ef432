"""The MQTT broker, mosquitto, with one user per Light Node and platform and the rights that topics.py gives them."""

import base64
import contextlib
import hashlib
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from offchain.messaging.mqtt import BrokerAddress
from offchain.messaging.topics import PLATFORM_GRANTS, Grant, NodeTopic, check_user, set_points
from offchain.protocol.errors import FlexledgerError, InvalidInput

HOST = "127.0.0.1"
PROJECT_TOOLS = Path(__file__).resolve().parents[2] / ".tools"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0
_PBKDF2_ROUNDS = 101
"""Mosquitto's own default: its clients' passwords are random, so that rounds add nothing."""


class BrokerFailed(FlexledgerError):
    """The broker is missing, or didn't start."""


def find_mosquitto() -> str:
    """The mosquitto to run: the system's, else the project's own. Raises BrokerFailed naming how to get it."""
    own = PROJECT_TOOLS / "mosquitto/usr/sbin/mosquitto"
    for candidate in (shutil.which("mosquitto"), "/usr/sbin/mosquitto", str(own)):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    raise BrokerFailed("mosquitto is missing: run `make setup`, or install your system's package mosquitto")


def _environment() -> dict[str, str]:
    """This process's environment, with the libraries that were unpacked beside the project's own mosquitto."""
    libraries = [str(path) for path in sorted((PROJECT_TOOLS / "mosquitto/usr/lib").glob("*-linux-*"))]
    present = os.environ.get("LD_LIBRARY_PATH")
    paths = [*libraries, *([present] if present else [])]
    return {**os.environ, **({"LD_LIBRARY_PATH": ":".join(paths)} if paths else {})}


class MosquittoBroker:
    """A real broker on a loopback port, with its state in a folder: started again there, it has lost nothing.

    `nodes`: password by Light Node user. `platforms`: password by platform user; `grants` says what each may do.
    A Light Node may write `lightnode/<its user>/...` and read `dso/setpoints/<its user>`, nothing else.
    """

    def __init__(
        self,
        folder: Path,
        nodes: Mapping[str, str],
        platforms: Mapping[str, str],
        grants: Mapping[str, Grant] = PLATFORM_GRANTS,
    ) -> None:
        unknown = sorted(set(platforms) - set(grants))
        if unknown:
            raise InvalidInput("platforms", unknown, f"must be among those with grants: {', '.join(grants)}")
        doubled = sorted(set(platforms) & set(nodes))
        if doubled:
            raise InvalidInput("nodes", doubled, "must not be platform users as well")
        self._folder = folder.resolve()
        self._passwords = {**nodes, **platforms}
        for user in self._passwords:
            check_user(user)
        self._grants = {user: grants[user] for user in platforms}
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """Where it listens, on the loopback address."""
        return self._port

    @property
    def pid(self) -> int:
        """Its process id. Raises BrokerFailed if it isn't running."""
        if self._process is None:
            raise BrokerFailed("the broker isn't running")
        return self._process.pid

    def address(self, user: str) -> BrokerAddress:
        """How one of its users connects."""
        return BrokerAddress(HOST, self._port, user, self._passwords[user])

    def start(self) -> None:
        """Start it and wait until it listens, on the port it had before if that is free.

        A broker that a killed run left behind in this folder is stopped first. Raises BrokerFailed.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._stop_left_behind()
        self._port = _free_port(self._port_before())
        self._write("passwords", "".join(f"{u}:{_hashed(p)}\n" for u, p in self._passwords.items()))
        self._write("acl", self._acl())
        self._write("mosquitto.conf", self._config())
        log = self._folder / "mosquitto.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [find_mosquitto(), "-c", str(self._folder / "mosquitto.conf")],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._write("running.json", json.dumps({"pid": self._process.pid, "port": self._port}))
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _listens(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                last = log.read_text(errors="replace").splitlines()[-3:]
                self.stop()
                raise BrokerFailed(f"mosquitto didn't start: {' / '.join(last)}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop it by its process id; it saves its sessions first."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def __enter__(self) -> "MosquittoBroker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _config(self) -> str:
        return "\n".join(
            [
                # Started as root, mosquitto would change to a user who can't read this folder.
                f"user {pwd.getpwuid(os.getuid()).pw_name}",
                f"listener {self._port} {HOST}",
                "allow_anonymous false",
                f"password_file {self._folder / 'passwords'}",
                f"acl_file {self._folder / 'acl'}",
                "persistence true",
                f"persistence_location {self._folder}/",
                # Saved every second, not at every change: that costs 2 ms a message. A broker killed without a word
                # may lose a second's messages that nobody has received yet.
                "autosave_interval 1",
                "max_queued_messages 0",
                "max_inflight_messages 200",
                "set_tcp_nodelay true",
                "log_dest stdout",
                "log_type error",
                "log_type warning",
                "",
            ]
        )

    def _acl(self) -> str:
        lines = []
        for user, grant in self._grants.items():
            lines.append(f"user {user}")
            lines.extend(f"topic read {topic}" for topic in grant.read)
            lines.extend(f"topic write {topic}" for topic in grant.write)
        for user in sorted(set(self._passwords) - set(self._grants)):
            lines.append(f"user {user}")
            lines.extend(f"topic write {kind.of(user)}" for kind in NodeTopic)
            lines.append(f"topic read {set_points(user)}")
        return "\n".join([*lines, ""])

    def _write(self, name: str, content: str) -> None:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_text(content)

    def _running_before(self) -> Mapping[str, int]:
        try:
            found = json.loads((self._folder / "running.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return found if isinstance(found, dict) else {}

    def _port_before(self) -> int:
        return self._running_before().get("port", 0)

    def _stop_left_behind(self) -> None:
        """Stop the broker of an earlier run, if the process of that id is still it."""
        pid = self._running_before().get("pid", 0)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while pid and str(self._folder / "mosquitto.conf").encode() in _command_line(pid):
            last_chance = time.monotonic() > deadline
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if last_chance else signal.SIGTERM)
            time.sleep(0.05)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _hashed(password: str) -> str:
    """A password as it stands in mosquitto's password file: PBKDF2 with SHA-512, so that no clear text is stored."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _PBKDF2_ROUNDS)
    return f"$7${_PBKDF2_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _free_port(wanted: int) -> int:
    """The wanted port if it is free, else any."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                return int(probe.getsockname()[1])
    raise BrokerFailed(f"no free port on {HOST}")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
