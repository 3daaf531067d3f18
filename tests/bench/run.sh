#!/bin/sh
# The benchmarks in full:  sh tests/bench/run.sh [--only NAME]
# Installs what is missing, makes a release build, prints markdown.
set -eu
cd "$(dirname "$0")/../.."
sh tests/support/install.sh --test
build=$PWD/build/release
[ -f "$build/build.ninja" ] ||
  meson setup "$build" --buildtype=release -Db_lto=true >/dev/null
ninja -C "$build" --quiet
X402_BUILD_DIR=$build exec node tests/bench/bench.mjs "$@"
