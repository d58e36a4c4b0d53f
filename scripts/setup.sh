#!/usr/bin/env bash
# Makes sure that the named commands exist: setup.sh wrk redis-server ...
# Debian's packages are installed where that may be done (root, apt-get);
# elsewhere it says what to install.
set -euo pipefail

missing=()
for command in "$@"; do
  command -v "$command" >/dev/null || missing+=("$command")
done
if [ ${#missing[@]} -eq 0 ]; then
  exit
fi

packages=()
for command in "${missing[@]}"; do
  case $command in
    node) packages+=(nodejs) ;;
    gcc) packages+=(gcc libc6-dev) ;;
    *) packages+=("$command") ;;
  esac
done

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "Please install: ${missing[*]} (Debian's packages: ${packages[*]})" >&2
  exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

quietly() {
  DEBIAN_FRONTEND=noninteractive timeout -k 30 900 "$@" >>"$log" 2>&1 </dev/null
}

# The network may fail once.
install() {
  quietly apt-get update &&
    quietly apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "${packages[@]}"
}

echo "Installing ${packages[*]}" >&2
if ! install && ! { sleep 5; install; }; then
  tail -n 20 "$log" >&2
  echo "apt-get could not install: ${packages[*]}" >&2
  exit 1
fi
