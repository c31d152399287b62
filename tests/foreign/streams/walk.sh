#!/usr/bin/env bash
# Kafka Streams with exactly_once_v2 on the broker at HOST:PORT, while the application and the broker are killed.
#
#   walk.sh HOST:PORT LIBS RESTART...
#
# LIBS is the directory of a Kafka distribution's jars (its `libs`). RESTART is a command that kills the broker with
# SIGKILL and starts it again on the same data; it returns when the broker listens. The topics streams-in and
# streams-out must not be there. RECORDS (40000) and RATE (1000 a second) say how much is written.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,9p' "$0" >&2; exit 2; }
broker=$1 libs=$2
shift 2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
records=${RECORDS:-40000} rate=${RATE:-1000}
work=$(mktemp -d)
app= producer=
trap 'kill -9 $app $producer 2>/dev/null || true; rm -rf "$work"' EXIT
javac -nowarn -cp "$libs/*" -d "$work" "$here/Streams.java"
run() { exec java -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$work:$libs/*" Streams "$@"; }
start_app() { (run count "$broker" "$work/state" >>"$work/app.log" 2>&1) & app=$!; }
kill_app() { kill -9 "$app"; wait "$app" 2>/dev/null || true; }
(run create "$broker")
start_app
(run produce "$broker" "$records" "$rate") & producer=$!
quarter=$((records / rate / 4))
sleep "$quarter"; kill_app; start_app
echo "the application was killed and started again"
sleep "$quarter"; "$@"
echo "the broker was killed and started again"
sleep "$quarter"; kill_app; "$@"; start_app
echo "both were killed and started again"
wait "$producer"; producer=
(run check "$broker" "$records" "${SECONDS_MAX:-180}")
kill_app
