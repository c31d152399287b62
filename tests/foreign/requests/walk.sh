#!/usr/bin/env bash
# Sends a broker the requests of requests.txt, many of them odd ones, and prints its answers.
#
#   walk.sh HOST:PORT LIBS             LIBS is the directory of a Kafka distribution's jars (its `libs`)
#   walk.sh HOST:PORT LIBS HOST:PORT   sends them to both and prints where the answers differ: `<` the first, `>` the second
#
# The brokers need an authorizer that lets everybody do what no ACL forbids, node id 1, and empty directories.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,7p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
libs=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
javac -nowarn -cp "$libs/*" -d "$work" "$here/Requests.java"
walk() {
  java -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel=off -cp "$work:$libs/*" Requests "$1" "$here/requests.txt"
}
if [ $# -eq 2 ]; then
  walk "$1"
  exit
fi
walk "$1" >"$work/first"
walk "$3" >"$work/second"
python3 "$here/compare.py" "$work/first" "$work/second"
