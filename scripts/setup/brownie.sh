#!/usr/bin/env bash
# brownie with settings of its own and its development chain on a free port, so that runs don't meet each other
# (brownie attaches to whatever answers on its port). Arguments are brownie's.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
port=$("$project/.venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cp -r "$project/.tools/home/.brownie" "$home/"
sed -i.bak "s/port: 8545/port: $port/" "$home/.brownie/network-config.yaml"
HOME="$home" SOLCX_BINARY_PATH="$project/.tools/solc" PATH="$project/.venv/bin:$project/node_modules/.bin:$PATH" brownie "$@"
