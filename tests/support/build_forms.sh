#!/bin/sh
# Builds the forms that the suites need beside the first, in build/FORM, one
# after the other:  build_forms.sh FORM...   with FORM of
#
#   clang    clang 14: everything without a warning, and the fuzz targets
#   tsan     ThreadSanitizer: the daemon, and what its test runs beside it
#   release  as it is installed: everything without a warning
#
# tests/run.sh starts it in the background: compilers do not wait and the suites
# of node mostly do. What was said is in build/log/FORM.log, and the exit code
# comes into build/log/FORM.rc once it is over. SIGTERM ends it.
set -u
cd "$(dirname "$0")/../.." || exit 2
log=build/log
mkdir -p "$log"

# A shell hears a signal when its child has ended, or at once when it waits.
child=
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit 143' TERM
attend() {
  "$@" &
  child=$!
  wait "$child"
}

configure() { # FORM OPTIONS...
  dir=build/$1
  shift
  [ ! -f "$dir/build.ninja" ] || set -- --reconfigure "$@"
  attend meson setup "$dir" "$@"
}

build() {
  case $1 in
    clang)
      # meson keeps the compiler of the first time.
      [ -f build/clang/build.ninja ] ||
        attend env CC=clang-14 meson setup build/clang -Ddeveloper=true \
          -Dfuzzing=true -Db_sanitize=address,undefined -Db_lundef=false \
          -Doptimization=0 -Ddebug=false || return
      attend ninja -C build/clang
      ;;
    tsan)
      configure tsan -Ddeveloper=true -Dtests=false -Dbenchmarks=false \
        -Db_sanitize=thread -Db_lundef=false -Doptimization=1 &&
        attend ninja -C build/tsan facilitator/x402-facilitator \
          client-sdk/x402 examples/content-site
      ;;
    release)
      configure release --buildtype=release -Ddeveloper=true -Dtests=false &&
        attend ninja -C build/release
      ;;
    *)
      echo "no form $1"
      return 2
      ;;
  esac
}

for form; do
  build "$form" >"$log/$form.log" 2>&1
  code=$?
  # Whole or not there: somebody waits for it.
  echo "$code" >"$log/$form.rc.new"
  mv "$log/$form.rc.new" "$log/$form.rc"
done
