#!/usr/bin/env bash
# Walks through a broker with Kafka's own command line tools and prints what they print.
#
#   walk.sh HOST:PORT LIBS             LIBS is the directory of a Kafka distribution's jars (its `libs`)
#   walk.sh HOST:PORT LIBS HOST:PORT   walks through both and prints the differences: `<` the first, `>` the second
#
# The broker needs an authorizer that lets everybody do what no ACL forbids, and node id 1:
#   millstream broker -D authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer \
#     -D allow.everyone.if.no.acl.found=true
set -euo pipefail
usage() { sed -n '2,8p' "$0" >&2; exit 2; }
[ $# -ge 2 ] || usage
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
libs=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
javac -nowarn -cp "$libs/*" -d "$work" "$here/Walk.java"
walk() {
  java -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel=off -cp "$work:$libs/*" Walk "$1" "$here/walk.txt"
}
if [ $# -eq 2 ]; then
  walk "$1"
  exit
fi
walk "$1" >"$work/first"
walk "$3" >"$work/second"
diff -U 3 "$work/first" "$work/second" && echo "no differences"
