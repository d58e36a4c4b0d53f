#!/usr/bin/env bash
# Runs every fuzz target of the sources, FUZZTIME each (20s).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
grep -rHo --include='*_test.go' --exclude-dir=node_modules '^func Fuzz[A-Za-z0-9_]*' . |
  sed 's/:func / /' | sort |
  while read -r file target; do
    echo "== $target in $(dirname "$file")"
    (cd "$(dirname "$file")" && go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-20s}" . </dev/null)
  done
