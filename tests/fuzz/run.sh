#!/bin/sh
# Fuzz every parser:  sh tests/fuzz/run.sh [SECONDS-EACH [NAME...]]
#
# 60 seconds each unless said otherwise. Builds with clang 14, libFuzzer, ASan
# and UBSan in build/fuzz. New inputs go to build/fuzz/found/NAME, so that the
# tree stays clean; a finding is kept there, named, and fails the run.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
build=build/fuzz
if [ ! -f "$build/build.ninja" ]; then
  CC=clang-14 meson setup "$build" -Dfuzzing=true -Dtests=true \
    -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 >/dev/null
fi
ninja -C "$build" --quiet
names=${*:-$(cd tests/fuzz && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')}
passed=0
failed=0
for name in $names; do
  found=$build/found/$name
  mkdir -p "$found"
  if "$build/tests/fuzz/fuzz-$name" -max_total_time="$seconds" -timeout=10 \
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$found/" \
    "$found" "tests/fuzz/corpus/$name" >"$build/fuzz-$name.log" 2>&1; then
    passed=$((passed + 1))
    printf '%-24s %s runs\n' "$name" \
      "$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/fuzz-$name.log")"
  else
    failed=$((failed + 1))
    printf '%-24s FAILED\n' "$name"
    tail -n 40 "$build/fuzz-$name.log"
  fi
done
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
