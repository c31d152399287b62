#!/usr/bin/env bash
# Flink reads from the broker at HOST:PORT and writes to it exactly once, while Flink and the broker are killed.
#
#   walk.sh HOST:PORT LIBS SUBMIT RESTART_FLINK RESTART_BROKER
#
# LIBS is the directory of a Kafka distribution's jars (its `libs`). The others are commands:
#   SUBMIT FILE       runs the statements of a file and does not wait for the job
#   RESTART_FLINK     kills JobManager and TaskManagers with SIGKILL and starts them again
#   RESTART_BROKER    does the same with the broker, on the same data
# The job goes on from its last checkpoint. The topics streams-in and streams-out must not be there. RECORDS (60000) and
# RATE (1000 a second) say how much is written; NAMING is the sink's strategy, incrementing or pooling.
set -euo pipefail
[ $# -eq 5 ] || { sed -n '2,12p' "$0" >&2; exit 2; }
broker=$1 libs=$2 submit=$3 restart_flink=$4 restart_broker=$5
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
records=${RECORDS:-60000} rate=${RATE:-1000} naming=${NAMING:-incrementing}
work=$(mktemp -d)
producer=
trap 'kill -9 $producer 2>/dev/null || true; rm -rf "$work"' EXIT
javac -nowarn -cp "$libs/*" -d "$work" "$here/../streams/Streams.java"
run() { exec java -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$work:$libs/*" Streams "$@"; }
mkdir "$work/checkpoints"
script() {
  sed -e "s|@BROKER@|$broker|" -e "s|@DIRECTORY@|$work/checkpoints|" -e "s|@NAMING@|$naming|" "$here/exactly-once.sql"
}
# The last checkpoint whose metadata is complete.
last() { find "$work/checkpoints" -name _metadata -printf '%T@ %h\n' | sort -n | tail -1 | cut -d' ' -f2; }
(run create "$broker")
script >"$work/job.sql"
$submit "$work/job.sql" >/dev/null
(run produce "$broker" "$records" "$rate") & producer=$!
quarter=$((records / rate / 4))
sleep "$quarter"
$restart_flink >/dev/null
{ echo "SET 'execution.state-recovery.path' = 'file://$(last)';"; script; } >"$work/again.sql"
$submit "$work/again.sql" >/dev/null
echo "Flink was killed and goes on from a checkpoint"
sleep "$quarter"
$restart_broker
echo "the broker was killed and started again"
wait "$producer"; producer=
(run copied "$broker" "$records" "${SECONDS_MAX:-240}")
