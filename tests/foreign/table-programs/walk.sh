#!/usr/bin/env bash
# walk.sh GATEWAY REST KAFKA PRINTED SAVEPOINTS [OPTIONS of walk.py]: the programs of Flink's planner tests through a server.
# PRINTED is the file of its standard output, SAVEPOINTS a directory that its millstream.sql.allowed-directories names.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mvn -q -f "$here/pom.xml" dependency:build-classpath -Dmdep.outputFile="$work/classpath"
classpath=$(cat "$work/classpath")
javac -cp "$classpath" -d "$work/classes" "$here/Dump.java"
tests=$(tr ':' '\n' <"$work/classpath" | grep 'flink-table-planner_2.12-.*-tests.jar$')
java -cp "$work/classes:$classpath" Dump "$tests" >"$work/programs" 2>"$work/log" || { cat "$work/log"; exit 1; }
python3 "$here/walk.py" "$work/programs" --gateway "$1" --rest "$2" --kafka "$3" --printed "$4" --savepoints "$5" "${@:6}"
