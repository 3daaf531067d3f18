#!/bin/sh
# Every test there is, on a clean clone:  sh tests/run.sh [SUITE...]
#
# Suites, in this order (all of them without arguments):
#   unit     unit tests, golden vectors, fuzz corpora, lints; gcc, ASan, UBSan
#   devnet   the local chain's own tests
#   system   daemon, client and provider as real processes (ASan, UBSan)
#   interop  ours against the reference packages, in all combinations
#   svm      Solana: settling, kills, the reference packages
#   fault    kill -9 at every step, and every fault of tests/fault (short form)
#   clang    clang 14 compiles everything without a warning; fuzz corpora
#   tsan     the daemon under ThreadSanitizer
#   bench    the benchmarks in their short form: that they run, not how fast
#
# Ends with a line `N passed, N failed`; exits 1 when anything failed.
set -u
cd "$(dirname "$0")/.." || exit 2
top=$PWD
log=$top/build/log
mkdir -p "$log"
passed=0
failed=0
failures=

# A suite is wanted when it was named, or when none was.
suites=" ${*:-unit devnet system interop svm fault clang tsan bench} "
wanted() { case "$suites" in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

fail() {
  failed=$((failed + 1))
  failures="$failures
  $1"
}

# step NAME COMMAND...: one thing that must succeed; its output is shown when
# it does not. A failed build is one failure, not silence.
step() {
  name=$1
  shift
  printf '== %s\n' "$name"
  began=$(date +%s)
  if "$@" >"$log/step.log" 2>&1; then
    printf '   %s s\n' "$(($(date +%s) - began))"
    return 0
  fi
  tail -n 60 "$log/step.log"
  fail "$name"
  return 1
}

configure() { # DIR OPTIONS...: meson setup, once; reconfigure when it stands
  dir=$1
  shift
  if [ -f "$dir/build.ninja" ]; then
    meson setup --reconfigure "$dir" "$@"
  else
    meson setup "$dir" "$@"
  fi
}

meson_tests() { # DIR ARGUMENTS...: run and count executables by result
  dir=$1
  shift
  printf '== meson test %s\n' "$*"
  rm -f "$dir/meson-logs/testlog.json"
  began=$(date +%s)
  # Some wait more than they work.
  meson test -C "$dir" --no-rebuild --print-errorlogs \
    --num-processes "$(($(nproc) * 2))" "$@" >"$log/meson.log" 2>&1
  status=$?
  ok=$(grep -c '"result": "OK"' "$dir/meson-logs/testlog.json" 2>/dev/null)
  all=$(grep -c '"result"' "$dir/meson-logs/testlog.json" 2>/dev/null)
  passed=$((passed + ${ok:-0}))
  if [ "$status" -ne 0 ] || [ "${all:-0}" -eq 0 ]; then
    tail -n 80 "$log/meson.log"
    bad=$((${all:-0} - ${ok:-0}))
    [ "$bad" -gt 0 ] || bad=1
    failed=$((failed + bad))
    failures="$failures
  $bad of: meson test $*"
  else
    printf '   %s passed, %s s\n' "$ok" "$(($(date +%s) - began))"
  fi
}

# node's runner, counted by its own summary. jobs=N before it: files at once.
node_tests() { # NAME FILES...
  name=$1
  shift
  printf '== node %s\n' "$name"
  out=$log/node-$name.log
  began=$(date +%s)
  node --test --test-concurrency="${jobs:-1}" --test-reporter=tap "$@" >"$out" 2>&1
  status=$?
  ok=$(sed -n 's/^# pass \([0-9]*\)$/\1/p' "$out" | tail -n 1)
  bad=$(sed -n 's/^# fail \([0-9]*\)$/\1/p' "$out" | tail -n 1)
  cancelled=$(sed -n 's/^# cancelled \([0-9]*\)$/\1/p' "$out" | tail -n 1)
  bad=$((${bad:-0} + ${cancelled:-0}))
  passed=$((passed + ${ok:-0}))
  if [ "$status" -ne 0 ] || [ "${ok:-0}" -eq 0 ]; then
    grep -B2 -A30 '^ *not ok' "$out" | head -n 150
    tail -n 20 "$out"
    [ "$bad" -gt 0 ] || bad=1
    failed=$((failed + bad))
    failures="$failures
  $bad of: $name"
  else
    printf '   %s passed, %s s\n' "$ok" "$(($(date +%s) - began))"
  fi
}

start=$(date +%s)
step 'install what is missing' sh tests/support/install.sh --test || {
  printf '%s passed, %s failed\n' "$passed" "$failed"
  exit 1
}

asan=$top/build/asan
export ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
if wanted unit || wanted system || wanted interop || wanted svm ||
  wanted fault; then
  step 'configure (gcc, ASan, UBSan)' configure "$asan" -Ddeveloper=true \
    -Dcrash_points=true -Db_sanitize=address,undefined -Db_lundef=false \
    -Doptimization=1 &&
    step 'build (gcc, ASan, UBSan)' ninja -C "$asan" || suites=' clang '
fi
export X402_BUILD_DIR=$asan


# The other forms are compiled beside the suites of node, at a priority that
# takes no turn from a test, and by themselves when nothing is left to test.
forms=
! wanted clang || forms="$forms clang"
! wanted tsan || forms="$forms tsan"
! wanted bench || forms="$forms release"
if [ -n "$forms" ]; then
  rm -f "$log"/*.rc
  # shellcheck disable=SC2086 # words
  nice -n 19 sh tests/support/build_forms.sh $forms &
  forms_pid=$!
  trap 'kill "$forms_pid" 2>/dev/null' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
fi

form_built() { # FORM: its exit code, once it is over
  until [ -f "$log/$1.rc" ]; do
    kill -0 "$forms_pid" 2>/dev/null || [ -f "$log/$1.rc" ] || return 1
    sleep 0.2
  done
  cat "$log/$1.log"
  return "$(cat "$log/$1.rc")"
}

wanted unit && meson_tests "$asan"
wanted devnet && node_tests devnet tests/devnet/*.test.mjs
# Mostly waiting for blocks; each file has a chain and daemons of its own.
wanted system && jobs=3 node_tests system tests/system/*.test.mjs
wanted interop && jobs=2 node_tests interop tests/interop/*.test.mjs
wanted svm && jobs=2 node_tests svm tests/svm/*.test.mjs
# One file at a time: up to four chains with their daemons are in each.
wanted fault && node_tests fault tests/fault/*.test.mjs

wanted clang && step 'build (clang 14)' form_built clang &&
  meson_tests build/clang --suite fuzz-corpus

wanted tsan && step 'build (TSan)' form_built tsan &&
  X402_BUILD_DIR=$top/build/tsan TSAN_OPTIONS=halt_on_error=1 \
    node_tests tsan tests/system/tsan/*.test.mjs

if wanted bench; then
  step 'build (release)' form_built release &&
    X402_BUILD_DIR=$top/build/release node_tests bench tests/bench/*.test.mjs
fi

printf '\nin %s s\n' "$(($(date +%s) - start))"
[ -z "$failures" ] || printf 'failed:%s\n' "$failures"
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
