"""Set-up of the project's folder: what is missing or has changed is installed, pinned; the rest is left alone.

Run by `make setup` with any Python 3.11 or newer; needs nothing but the standard library. With the argument `audit` or
`bench` what `make audit` or `make bench` needs is installed, too. Each step keeps a stamp
of what it was made from, and names what it makes: nothing is done again until one of them changes or is missing.
"""

import hashlib
import os
import platform
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
ANVIL = PROJECT / "node_modules" / ".bin" / "anvil"
BROWNIE_HOME = TOOLS / "home"
MOSQUITTO = TOOLS / "mosquitto" / "usr" / "sbin" / "mosquitto"
SOLC_VERSION = "0.8.30"
SOLC = TOOLS / "solc" / f"solc-v{SOLC_VERSION}"
"""Where py-solc-x looks for the compiler when SOLCX_BINARY_PATH names the folder."""
SOLC_RELEASE = f"{SOLC_VERSION}+commit.73712a01"
AUDIT = TOOLS / "audit"
AUDIT_FORGE = AUDIT / "forge"
AUDIT_SLITHER = AUDIT / "venv" / "bin" / "slither"
BENCH = TOOLS / "bench"
BENCH_PYTHON = BENCH / "bin" / "python"
COMPILER_DOWNLOAD_TIMEOUT_S = 120
AUDIT_NODE_FILES = ("package.json", "package-lock.json", ".npmrc")
MOSQUITTO_MISSING = (
    "the MQTT broker mosquitto is missing: install it "
    "(Debian, Ubuntu: apt-get install mosquitto; Fedora: dnf install mosquitto; macOS: brew install mosquitto)"
)


class SetupError(Exception):
    """A step that can't be done, and how to do it by hand."""


def main() -> int:
    """Do every step that is due; 1 with the reason where one fails."""
    python_locks = [PROJECT / "requirements/bootstrap.txt", PROJECT / "requirements/lock.txt"]
    node_locks = [PROJECT / "package.json", PROJECT / "package-lock.json", PROJECT / ".npmrc"]
    try:
        step("Python packages", python_locks, [PYTHON, VENV / "bin/brownie"], python_packages)
        step("the project itself", [PROJECT / "pyproject.toml"], [VENV / "bin/flexledger"], project_itself)
        step("Node packages", node_locks, [ANVIL], node_packages)
        step(
            "Solidity compiler", [*node_locks, PROJECT / "scripts/setup/solc.cjs"], [SOLC], solidity_compiler
        )
        step("brownie's networks", [], [BROWNIE_HOME / ".brownie/network-config.yaml"], brownie_networks)
        if not system_mosquitto():
            step("mosquitto", [], [MOSQUITTO], unpack_mosquitto)
        if "audit" in sys.argv[1:]:
            step("slither", [PROJECT / "requirements/audit.txt"], [AUDIT_SLITHER], slither)
            audit_locks = [PROJECT / "scripts/audit" / name for name in AUDIT_NODE_FILES]
            step("forge", audit_locks, [AUDIT_FORGE], forge)
        if "bench" in sys.argv[1:]:
            bench_lock = PROJECT / "requirements/bench.txt"
            step("peers of the benchmarks", [bench_lock], [BENCH_PYTHON], bench_peers)
    except SetupError as problem:
        print(f"Set-up stopped: {problem}")
        return 1
    return 0


def step(name: str, inputs: Sequence[Path], results: Sequence[Path], action: Callable[[], None]) -> None:
    """Do a step, unless its results are there and its stamp says that they were made from the same inputs.

    This file is an input of every step.
    """
    stamp = TOOLS / "stamps" / name.replace(" ", "-")
    digest = hashlib.sha256(str(PROJECT).encode())
    for path in (Path(__file__), *inputs):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    made = all(path.exists() for path in results)
    if made and stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    print(f"Setting up {name} ...", flush=True)
    action()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest.hexdigest())


def python_packages() -> None:
    """The virtual environment, with exactly what the lock names."""
    if not PYTHON.exists():
        # Cleared, since the Python that it was made with may be gone: then nothing in it can be kept.
        venv.create(VENV, clear=True, symlinks=True)
    try:
        run(PYTHON, "-m", "ensurepip", "--default-pip")
    except SetupError:
        hint = "Python comes without pip here: install it (Debian, Ubuntu: apt-get install python3-venv)"
        raise SetupError(hint) from None
    bootstrap = PROJECT / "requirements/bootstrap.txt"
    run(PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", bootstrap)
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
    run(VENV / "bin/npm", "install", "--no-save", "--ignore-scripts", "--loglevel=error")
    builds = sorted(PROJECT.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"))
    if not builds:
        machine = f"{platform.system()} on {platform.machine()}"
        raise SetupError(
            f"the local chain, anvil, has no build for {machine}: use Linux or macOS, x86-64 or arm64"
        )
    # npm's link leads to a script that needs Node on the path and stands between a signal and the chain.
    ANVIL.unlink()
    ANVIL.symlink_to(os.path.relpath(builds[0], ANVIL.parent))


def solidity_compiler() -> None:
    """The native compiler if it can be downloaded, else a stand-in in front of npm's."""
    SOLC.parent.mkdir(parents=True, exist_ok=True)
    SOLC.unlink(missing_ok=True)
    fetch = f"import solcx; solcx.install_solc({SOLC_VERSION!r}, solcx_binary_path={str(SOLC.parent)!r})"
    # While the variable is set, py-solc-x installs nothing and says nothing.
    surroundings = {name: value for name, value in environment().items() if name != "SOLCX_BINARY_PATH"}
    try:
        subprocess.run(
            [PYTHON, "-c", fetch],
            capture_output=True,
            timeout=COMPILER_DOWNLOAD_TIMEOUT_S,
            check=True,
            env=surroundings,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        SOLC.unlink(missing_ok=True)
    if SOLC.exists():
        return
    # brownie asks for the version once per contract: the shell answers, so that Node needn't start for it.
    SOLC.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = --version ]; then printf "solc\\nVersion: {SOLC_RELEASE}.Emscripten.clang\\n"; exit; fi\n'
        f'exec "{VENV}/bin/node" "{PROJECT}/scripts/setup/solc.cjs" "$@"\n'
    )
    SOLC.chmod(0o755)


def brownie_networks() -> None:
    """brownie's settings in a home of the project's own, with a network that any JSON-RPC can stand behind.

    `FLEXLEDGER_RPC` names the node's address when a script runs with `--network flexledger`.
    """
    shutil.rmtree(BROWNIE_HOME, ignore_errors=True)
    BROWNIE_HOME.mkdir(parents=True)
    network = ("networks", "add", "flexledger", "flexledger", "host=$FLEXLEDGER_RPC", "chainid=31337")
    run(VENV / "bin/brownie", *network, extra={"HOME": str(BROWNIE_HOME)})


def system_mosquitto() -> bool:
    """Whether the system has the MQTT broker; Debian keeps it where a user's path doesn't lead."""
    return bool(shutil.which("mosquitto")) or Path("/usr/sbin/mosquitto").exists()


def unpack_mosquitto() -> None:
    """The MQTT broker: Debian's package, with the libraries that it needs, unpacked in the project's folder.

    apt works with lists of its own here: that needs no root, and the system stays as it is.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise SetupError(MOSQUITTO_MISSING)
    downloads = TOOLS / "apt"
    (downloads / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    folder = MOSQUITTO.parents[2]
    shutil.rmtree(folder, ignore_errors=True)
    apt = (
        *("apt-get", "-qq", "-o", f"Dir::State::Lists={downloads}/lists", "-o", f"Dir::Cache={downloads}"),
        # As root, apt would download as a user of its own, who may not write here.
        *("-o", "APT::Sandbox::User=root"),
    )
    try:
        run(*apt, "update")
        plan = run(*apt, "--simulate", "--no-install-recommends", "install", "mosquitto")
        missing = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
        run(*apt, "download", *missing, folder=downloads)
        for package in sorted(downloads.glob("*.deb")):
            run("dpkg", "-x", package, folder)
    except SetupError as problem:
        raise SetupError(f"{MOSQUITTO_MISSING}\n{problem}") from None
    finally:
        shutil.rmtree(downloads, ignore_errors=True)
    # The broker is started by a script that says where its libraries lie.
    program = MOSQUITTO.rename(MOSQUITTO.with_name("mosquitto.bin"))
    libraries = ":".join(sorted({str(library.parent) for library in folder.glob("**/*.so.*")}))
    MOSQUITTO.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{program}" "$@"\n')
    MOSQUITTO.chmod(0o755)


def slither() -> None:
    """Slither, in a virtual environment of its own: it wants other versions than brownie."""
    environment_of_its_own(AUDIT / "venv", PROJECT / "requirements/audit.txt")


def bench_peers() -> None:
    """What ours is measured against, in a virtual environment of its own: no part of the product rests on it."""
    environment_of_its_own(BENCH, PROJECT / "requirements/bench.txt")


def environment_of_its_own(folder: Path, lock: Path) -> None:
    """A virtual environment with exactly what a lock names."""
    run(VENV / "bin/uv", "venv", "--quiet", "--clear", "--python", PYTHON, folder)
    run(
        *(VENV / "bin/uv", "pip", "install", "--quiet", "--python", folder / "bin" / "python"),
        *("--require-hashes", "-r", lock),
    )


def forge() -> None:
    """Forge, in a folder of its own: only an audit needs it."""
    folder = AUDIT / "node"
    folder.mkdir(parents=True, exist_ok=True)
    for name in AUDIT_NODE_FILES:
        shutil.copy(PROJECT / "scripts/audit" / name, folder)
    run(VENV / "bin/npm", "install", "--no-save", "--ignore-scripts", "--loglevel=error", folder=folder)
    builds = sorted(folder.glob("node_modules/@foundry-rs/forge-*/bin/forge"))
    if not builds:
        raise SetupError(f"forge has no build for {platform.system()} on {platform.machine()}")
    AUDIT_FORGE.unlink(missing_ok=True)
    AUDIT_FORGE.symlink_to(os.path.relpath(builds[0], AUDIT))


def run(*command: str | Path, folder: Path = PROJECT, extra: dict[str, str] | None = None) -> str:
    """Run a command; returns what it printed. Raises SetupError with that where it fails."""
    words = [str(part) for part in command]
    finished = subprocess.run(
        words,
        cwd=folder,
        env=environment() | (extra or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise SetupError(f"`{' '.join(words)}` failed with {finished.returncode}:\n{finished.stdout.strip()}")
    return finished.stdout


def environment() -> dict[str, str]:
    """This process's environment with the project's tools first on the path."""
    path = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return os.environ | {"PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


if __name__ == "__main__":
    sys.exit(main())
