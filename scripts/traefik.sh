#!/usr/bin/env bash
# Prints the path of a Traefik 3: $TRAEFIK, or with TRAEFIK_VERSION that version,
# or the one on PATH, or the newest version that test/traefik has. A version is
# built once and kept in the user's cache. Everything but the path goes to standard
# error.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
package=github.com/traefik/traefik/v3/cmd/traefik
newest=3.7.9

say() { printf '%s\n' "$*" >&2; }

# usable tells whether $1 runs and is a Traefik 3; one built without a release
# calls itself "dev".
usable() {
  local version
  version=$("$1" version 2>/dev/null) || return 1
  [[ $version =~ Version:[[:space:]]+v?(3\.|dev) ]]
}

if [ -n "${TRAEFIK:-}" ]; then
  usable "$TRAEFIK" || { say "TRAEFIK=$TRAEFIK is not a Traefik 3"; exit 1; }
  say "Traefik: $TRAEFIK (from TRAEFIK)"
  echo "$TRAEFIK"
  exit
fi

if [ -z "${TRAEFIK_VERSION:-}" ] && found=$(command -v traefik); then
  if usable "$found"; then
    say "Traefik: $found (on PATH)"
    echo "$found"
    exit
  fi
  say "Traefik: $found is not version 3 and is left aside"
fi

version=${TRAEFIK_VERSION:-$newest}
version=v${version#v}
module=$root/test/traefik/${version#v}
if [ ! -f "$module/go.mod" ]; then
  say "TRAEFIK_VERSION=${version#v} is not one of: $(cd "$root/test/traefik" && echo *)"
  exit 1
fi
cache=${XDG_CACHE_HOME:-$HOME/.cache}/traefikoidc
binary=$cache/traefik-$version

if [ -x "$binary" ]; then
  echo "$binary"
  exit
fi

mkdir -p "$cache"
# A second caller waits for the first one's build.
if command -v flock >/dev/null; then
  exec 9>"$cache/lock"
  flock 9
  if [ -x "$binary" ]; then
    echo "$binary"
    exit
  fi
fi

started=$SECONDS
log=$(mktemp)
work=$cache/building.$$
trap 'rm -f "$log" "$work"' EXIT

# progress copies what go prints to the log and counts it: on a terminal in one
# line, elsewhere with a line each half minute.
progress() {
  local what=$1 of=$2 line count=0 next=$SECONDS
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$log"
    count=$((count + 1))
    if [ "$SECONDS" -lt "$next" ]; then
      continue
    fi
    if [ -t 2 ]; then
      next=$((SECONDS + 1))
      printf '\r  %s: %d%s, %d s ' "$what" "$count" "$of" $((SECONDS - started)) >&2
    else
      next=$((SECONDS + 30))
      say "  $what: $count$of, $((SECONDS - started)) s"
    fi
  done
  if [ -t 2 ]; then
    printf '\r\033[K' >&2
  fi
}

# attempt runs a command twice at most: the network may fail once.
attempt() {
  "$@" || { say "  once more, after a failure:"; tail -n 3 "$log" >&2; "$@"; }
}

# download prints the number of packages to compile.
download() {
  go list -deps "$package" 2> >(progress "modules downloaded" "") | wc -l
}

compile() {
  go build -v -o "$work" "$package" 2>&1 | progress "packages compiled" " of at most $packages"
}

say "Traefik: building $version, once, into $cache (about 12 CPU minutes)"
cd "$module"
if ! packages=$(attempt download) || ! attempt compile; then
  say "Traefik: the build failed:"
  tail -n 20 "$log" >&2
  exit 1
fi
mv "$work" "$binary"
say "Traefik: built in $((SECONDS - started)) s"
echo "$binary"
