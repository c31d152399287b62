#!/usr/bin/env bash
# Rolls groups of Java consumers from the classic protocol to the new one and back while records flow.
#
#   walk.sh HOST:PORT LIBS
#
# LIBS is the directory of a Kafka distribution's jars (its `libs`). The topics and groups roll-eager, roll-cooperative,
# roll-static, and those with pattern in their name must not be there. What it prints must be `expected.txt`.
set -euo pipefail
[ $# -eq 2 ] || { sed -n '2,7p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
javac -nowarn -cp "$2/*" -d "$work" "$here/Roll.java"
java -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel="${LOG:-off}" -cp "$work:$2/*" Roll "$1" | tee "$work/printed"
diff "$here/expected.txt" "$work/printed"
