#!/usr/bin/env bash
# Walks through the broker at HOST:PORT with sarama, which go fetches; built in a temporary directory. The broker needs an
# authorizer that lets everybody do what no ACL forbids, and node id 1.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: walk.sh HOST:PORT" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/walk.go" "$work/main.go"
cd "$work"
go mod init walk >/dev/null 2>&1
go get github.com/IBM/sarama@v1.46.3 >/dev/null 2>&1
go build -o walk .
./walk "$1"
