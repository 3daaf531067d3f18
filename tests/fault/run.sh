#!/bin/sh
# The fault suite in full:  sh tests/fault/run.sh [--only TEXT]
#
# Installs what is missing, builds with ASan, UBSan and crash points, breaks
# everything for a minute each and kills 500 times at random, and prints a
# table in markdown. Takes about half an hour. --only runs the faults whose
# name contains TEXT. X402_BUILD_DIR names a build that stands already.
set -u
cd "$(dirname "$0")/../.." || exit 2
if [ -z "${X402_BUILD_DIR:-}" ]; then
  sh tests/support/install.sh --test || exit 1
  X402_BUILD_DIR=$PWD/build/asan
  [ -f "$X402_BUILD_DIR/build.ninja" ] ||
    meson setup "$X402_BUILD_DIR" -Ddeveloper=true -Dcrash_points=true \
      -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 || exit 1
  ninja -C "$X402_BUILD_DIR" --quiet || exit 1
fi
export X402_BUILD_DIR
export ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
export FAULT_TABLE=$scratch/rows FAULT_FORM=full KILLS="${KILLS:-500}"
: >"$FAULT_TABLE"
if [ "${1:-}" = --only ]; then
  FAULT_ONLY=$2 node --test --test-reporter=tap tests/fault/faults.test.mjs >"$scratch/log" 2>&1
else
  node --test --test-concurrency=1 --test-reporter=tap tests/fault/*.test.mjs >"$scratch/log" 2>&1
fi
status=$?
node tests/fault/table.mjs "$FAULT_TABLE"
if [ "$status" -ne 0 ]; then
  grep -A40 '^ *not ok' "$scratch/log" | head -n 300
fi
sed -n 's/^# \(pass\|fail\) /\1 /p' "$scratch/log" | tail -n 2
exit "$status"
