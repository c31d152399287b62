#!/usr/bin/env bash
# Walks through the broker at HOST:PORT with kafkajs, which npm fetches into a temporary directory.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: walk.sh HOST:PORT" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/walk.js" "$work"
cd "$work"
npm install --silent --no-audit --no-fund kafkajs@2.2.4 >/dev/null
node walk.js "$1"
