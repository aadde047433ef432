#!/usr/bin/env bash
# brownie with settings of its own and its development chain on a free port, so that runs don't meet each other
# (brownie attaches to whatever answers on its port). Arguments are brownie's.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
# With two test processes the second one's chain is on the next port.
port=$("$project/.venv/bin/python" - <<'PYTHON'
import socket

while True:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        try:
            second.bind(("127.0.0.1", first.getsockname()[1] + 1))
        except (OSError, OverflowError):
            continue
        print(first.getsockname()[1])
        break
PYTHON
)
cp -r "$project/.tools/home/.brownie" "$home/"
sed -i.bak "s/port: 8545/port: $port/" "$home/.brownie/network-config.yaml"
# What a run that was stopped left there, brownie would add to this one's.
rm -f "$project"/build/tests-*.json
HOME="$home" SOLCX_BINARY_PATH="$project/.tools/solc" PATH="$project/.venv/bin:$project/node_modules/.bin:$PATH" brownie "$@"
