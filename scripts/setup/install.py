"""Set-up of the project's folder: what is missing or has changed is installed, pinned; the rest is left alone.

Run by `make setup` with any Python 3.11 or newer; needs nothing but the standard library. Each step keeps a stamp of
what it was made from, so that a second run does nothing.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
VENV = PROJECT / ".venv"
TOOLS = PROJECT / ".tools"
PYTHON = VENV / "bin" / "python"
SOLC_VERSION = "0.8.30"
LEAST_PYTHON = (3, 11)


class SetupFailed(Exception):
    """A step that can't be done, and how to do it by hand."""


def main() -> int:
    """Do every step that is due; 1 with the reason where one fails."""
    if sys.version_info < LEAST_PYTHON:
        print(
            f"Python {'.'.join(map(str, LEAST_PYTHON))} or newer is needed; this is {sys.version.split()[0]}."
        )
        return 1
    steps: list[tuple[str, Sequence[Path], Callable[[], None]]] = [
        (
            "Python packages",
            [PROJECT / "requirements/bootstrap.txt", PROJECT / "requirements/lock.txt"],
            python_packages,
        ),
        ("the project itself", [PROJECT / "pyproject.toml"], project_itself),
        ("Node packages", [PROJECT / "package-lock.json", PROJECT / ".npmrc"], node_packages),
        (
            "Solidity compiler",
            [PROJECT / "package-lock.json", PROJECT / "scripts/setup/solc.cjs"],
            solidity_compiler,
        ),
        ("brownie's networks", [], brownie_networks),
        ("mosquitto", [], mosquitto),
    ]
    try:
        for name, inputs, action in steps:
            step(name, inputs, action)
    except (SetupFailed, subprocess.CalledProcessError) as problem:
        print(f"Set-up stopped: {problem}")
        return 1
    return 0


def step(name: str, inputs: Sequence[Path], action: Callable[[], None]) -> None:
    """Do a step unless its stamp says that it was done from the same inputs."""
    stamp = TOOLS / "stamps" / name.replace(" ", "-")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in inputs))
    digest.update(str(PROJECT).encode())
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    print(f"Setting up {name} ...", flush=True)
    action()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest.hexdigest())


def python_packages() -> None:
    """The virtual environment, with exactly what the lock names."""
    if not PYTHON.exists():
        venv.create(VENV, symlinks=True)
    try:
        run(PYTHON, "-m", "ensurepip", "--default-pip")
    except subprocess.CalledProcessError:
        hint = "Python comes without pip here: install it (Debian: apt-get install python3-venv)"
        raise SetupFailed(hint) from None
    run(
        PYTHON,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "-r",
        PROJECT / "requirements/bootstrap.txt",
    )
    # brownie's compiled wheel has bugs that its pure-Python build has not (see docs/architecture.md).
    run(
        *(VENV / "bin/uv", "pip", "install", "--quiet", "--python", PYTHON, "--require-hashes"),
        *("--no-binary", "eth-brownie", "-r", PROJECT / "requirements/lock.txt"),
        extra={"BROWNIE_NOCOMPILE": "1"},
    )


def project_itself() -> None:
    """The project's packages and the `flexledger` command, editable."""
    run(
        *(VENV / "bin/uv", "pip", "install", "--quiet", "--python", PYTHON),
        *("--no-deps", "--no-build-isolation", "--editable", PROJECT),
    )


def node_packages() -> None:
    """node_modules, as the lock file says; Node itself is one of the Python packages.

    `npm ci` would insist on lock entries of anvil's builds for other platforms, which not every registry has.
    """
    run(VENV / "bin/npm", "install", "--no-save", "--ignore-scripts", "--loglevel=error", folder=PROJECT)


def solidity_compiler() -> None:
    """The native compiler if it can be downloaded, else a stand-in in front of npm's."""
    folder = TOOLS / "solc"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"solc-v{SOLC_VERSION}"
    target.unlink(missing_ok=True)
    fetch = f"import solcx; solcx.install_solc('{SOLC_VERSION}', solcx_binary_path='{folder}')"
    fetched = subprocess.run(
        [PYTHON, "-c", fetch],
        capture_output=True,
        timeout=300,
        check=False,
        env=environment(without="SOLCX_BINARY_PATH"),
    )
    if fetched.returncode == 0 and target.exists():
        return
    # brownie asks for the version once per contract: the shell answers, so that Node needn't start for it.
    target.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = --version ]; then echo "solc, Version: {SOLC_VERSION}+commit.wasm.Emscripten.clang"; exit; fi\n'
        f'exec "{VENV}/bin/node" "{PROJECT}/scripts/setup/solc.cjs" "$@"\n'
    )
    target.chmod(0o755)


def brownie_networks() -> None:
    """brownie's settings in a home of the project's own, with a network that any JSON-RPC can stand behind.

    `FLEXLEDGER_RPC` names the node's address when a script runs with `--network flexledger`.
    """
    home = TOOLS / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    network = ("networks", "add", "flexledger", "flexledger", "host=$FLEXLEDGER_RPC", "chainid=31337")
    run(VENV / "bin/brownie", *network, extra={"HOME": str(home)})


def mosquitto() -> None:
    """The MQTT broker: the system's, else Debian's package, system-wide as root, in the project's folder otherwise."""
    if shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists():
        return
    by_hand = "the MQTT broker mosquitto is missing: install it (Debian: apt-get install mosquitto; macOS: brew install mosquitto)"
    if not shutil.which("apt-get"):
        raise SetupFailed(by_hand)
    try:
        if os.geteuid() == 0:
            run("apt-get", "update", "-qq")
            # The service that the package would start isn't ours to run.
            policy = Path("/usr/sbin/policy-rc.d")
            kept = policy.read_bytes() if policy.exists() else None
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
            try:
                run("apt-get", "install", "-qq", "-y", "--no-install-recommends", "mosquitto")
            finally:
                policy.unlink() if kept is None else policy.write_bytes(kept)
        else:
            unpack_without_root(TOOLS / "mosquitto")
    except subprocess.CalledProcessError as problem:
        raise SetupFailed(f"{by_hand} ({problem})") from None


def unpack_without_root(folder: Path) -> None:
    """Download mosquitto and the libraries that it needs beyond the base system, and unpack them."""
    folder.mkdir(parents=True, exist_ok=True)
    run(
        "apt-get",
        "download",
        "mosquitto",
        "libwebsockets17",
        "libdlt2",
        "libev4",
        "libcjson1",
        "libuv1",
        folder=folder,
    )
    for package in sorted(folder.glob("*.deb")):
        run("dpkg", "-x", package, folder)


def run(*command: str | Path, folder: Path = PROJECT, extra: dict[str, str] | None = None) -> None:
    """Run a command; its output is shown."""
    subprocess.run([str(part) for part in command], cwd=folder, check=True, env=environment() | (extra or {}))


def environment(without: str = "") -> dict[str, str]:
    """This process's environment with the project's tools first on the path."""
    kept = {name: value for name, value in os.environ.items() if name != without}
    return kept | {
        "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


if __name__ == "__main__":
    sys.exit(main())
