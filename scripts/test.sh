#!/usr/bin/env bash
# Runs every level of test, or those named: test.sh native interpreted e2e
# "native" is this module; the others are the folders of test/ with tests of
# their own, each a module. What a level says is shown only if it fails; the
# lines of go test come at the end.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
limit=${LEVEL_TIMEOUT:-25m}
logs=$(mktemp -d)
running=

finish() {
  rm -rf "$logs"
}
trap finish EXIT

interrupted() {
  [ -z "$running" ] || kill "$running" 2>/dev/null
  wait
  exit 130
}
trap interrupted INT TERM

# bounded runs a command in a process group of its own, which ends with it and
# when the time is up.
bounded() {
  if command -v timeout >/dev/null; then
    timeout -k 30 "$limit" "$@" &
  else
    "$@" &
  fi
  running=$!
  wait "$running"
  local status=$?
  running=
  return $status
}

# step runs one command with its name and time in a line, and its output below
# if it failed.
step() {
  local name=$1 started=$SECONDS status=0
  shift
  printf '%-24s' "$name"
  bounded "$@" >"$logs/$name" 2>&1 </dev/null || status=$?
  if [ $status -eq 0 ]; then
    printf 'ok    %4d s\n' $((SECONDS - started))
    return 0
  fi
  printf 'FAIL  %4d s\n' $((SECONDS - started))
  [ $status -ne 124 ] || echo "not finished within $limit" >>"$logs/$name"
  grep -v 'no test files' "$logs/$name"
  return 1
}

has_tests() {
  [ -n "$(find "$1" -name node_modules -prune -o -name '*_test.go' -print -quit)" ]
}

modules() {
  local file
  for file in test/*/go.mod; do
    ! has_tests "$(dirname "$file")" || basename "$(dirname "$file")"
  done
}

# budget runs the tests of what a request costs, which the race detector would change, and
# all random access rules, for which it is too slow.
budget() {
  [ "$1" != interpreted ] || go test -count=1 -timeout 10m -run '^(TestBudget|TestHostileRequests|TestRandomRules|TestRulesBudget)$' .
}

# tests runs one level. Nothing is taken from go's cache of results: it does not
# see what Traefik and the interpreter read.
tests() {
  local folder=.
  [ "$1" = native ] || folder=test/$1
  (cd "$folder" && go vet ./... && go test -race -count=1 -timeout 20m ./... && budget "$1")
}

download() {
  local folder
  for folder in . $(modules | sed 's,^,test/,'); do
    (cd "$folder" && go list -deps -test ./... >/dev/null) || return 1
  done
}

# twice runs a command again if it failed: the network may fail once.
twice() {
  "$@" || { sleep 5; "$@"; }
}

export -f tests budget download twice modules has_tests

if [ $# -gt 0 ]; then
  levels=$*
else
  levels="native $(modules | tr '\n' ' ')"
fi

"$root/scripts/setup.sh" gcc || exit 1
if [ "$levels" != native ]; then
  "$root/scripts/setup.sh" node npm redis-server chromium wrk || exit 1
  step modules bash -c 'twice download' || exit 1
  step npm bash -c 'twice scripts/packages.sh' || exit 1
  TRAEFIK=$(scripts/traefik.sh) || exit 1
  export TRAEFIK
fi

failed=
for level in $levels; do
  step "$level" bash -c "tests $level" || failed="$failed $level"
done

echo
for level in $levels; do
  grep -E '^(ok|FAIL|---|panic:)' "$logs/$level"
done
if [ -n "$failed" ]; then
  echo "FAIL:$failed"
  exit 1
fi
