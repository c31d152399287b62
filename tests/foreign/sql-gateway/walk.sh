#!/usr/bin/env bash
# walk.sh URL DIRECTORY: the scripts of Flink's SQL Gateway through the gateway at URL. Its setting
# millstream.sql.allowed-directories must name DIRECTORY.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mvn -q dependency:copy -Dartifact=org.apache.flink:flink-sql-gateway:2.3.0:jar:tests -DoutputDirectory="$work"
(cd "$work" && jar xf flink-sql-gateway-*.jar sql)
python3 "$here/walk.py" "$1" "$work/sql" --allowed "$2"
