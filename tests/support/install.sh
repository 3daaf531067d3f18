#!/bin/sh
# Installs what this project needs on Debian 12, and nothing that is there
# already:  install.sh --run    to build and run (the quickstart)
#           install.sh --test   to pass all tests as well
set -eu
cd "$(dirname "$0")/../.."
case "${1:-}" in
  --run | --test) what=$1 ;;
  *) echo "install.sh: expected --run or --test, got '${1:-}'" >&2; exit 2 ;;
esac

packages='meson ninja-build pkg-config gcc libc6-dev libuv1-dev libmbedtls-dev
  libcurl4-openssl-dev libsqlite3-dev libpq-dev libsecp256k1-dev libsodium-dev
  libmicrohttpd-dev libconfuse-dev libjansson-dev libcmocka-dev
  curl jq ca-certificates python3 git procps'
# llhttp's source, where the distribution has no library of it.
pkg-config --exists libllhttp 2>/dev/null || packages="$packages node-llhttp"
[ "$what" = --run ] ||
  packages="$packages clang-14 clang-format-14 libclang-rt-14-dev nettle-dev
    libqrencode-dev chromium
    sqlite3 postgresql-15 nginx nginx-dev wrk"
# Any node from 18 on will do; Debian 12 has 18.
if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
  packages="$packages nodejs npm"
fi

missing=
for package in $packages; do
  dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null |
    grep -q '^install ok installed$' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 ||
      { echo "install.sh: needs root or sudo to install:$missing" >&2; exit 1; }
    as_root=sudo
  fi
  echo "installing:$missing"
  log=$(mktemp)
  # shellcheck disable=SC2086 # the list is words
  { $as_root apt-get update &&
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y \
      --no-install-recommends $missing; } >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; rm -f "$log"; exit 1; }
  rm -f "$log"
fi

# npm_tree DIR [VERB]: what its lock file says, unless it stands already.
npm_tree() {
  # Somebody else's, and npm ci would empty it.
  [ ! -L "$1/node_modules" ] || return 0
  stamp=$1/node_modules/.package-lock.json
  if [ -f "$stamp" ] && [ ! "$1/package-lock.json" -nt "$stamp" ]; then
    return 0
  fi
  echo "npm ${2-ci} in $1"
  log=$(mktemp)
  (cd "$1" && npm ${2-ci}) >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; rm -f "$log"; exit 1; }
  rm -f "$log"
  touch "$stamp"
}
npm_tree tests/devnet
[ "$what" = --run ] || npm_tree tests/interop
[ "$what" = --run ] || npm_tree tests/page
# litesvm's binaries for other platforms are in no lock made here, and npm ci
# refuses a lock without them.
[ "$what" = --run ] || npm_tree tests/svm 'install --no-save'
