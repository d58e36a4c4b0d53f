#!/usr/bin/env bash
# Brings the npm packages that the locks of test/ name, or of the named folders,
# where they changed: packages.sh test/prose
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
find "${@:-test}" -name node_modules -prune -o -name package-lock.json -print |
  while read -r lock; do
    folder=$(dirname "$lock")
    [ ! "$folder/node_modules/.package-lock.json" -nt "$lock" ] || continue
    (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error </dev/null) || exit 1
  done
