#!/usr/bin/env bash
# Walks through the broker at HOST:PORT with aiokafka, which pip fetches into a temporary environment.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: walk.sh HOST:PORT" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet aiokafka==0.12.0 cramjam
"$work/venv/bin/python" "$here/walk.py" "$1"
