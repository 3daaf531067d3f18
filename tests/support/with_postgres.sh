#!/bin/sh
# with_postgres.sh COMMAND...: run COMMAND with X402_TEST_POSTGRES, the URI of
# a scratch PostgreSQL on a free loopback port; stop and remove it afterwards.
# Set X402_POSTGRES_FSYNC=on to test durability; X402_POSTGRES_PORT to choose.
# Exit 77 (skipped) where PostgreSQL is not installed.
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || { echo "with_postgres.sh: PostgreSQL is not installed" >&2; exit 77; }

# PostgreSQL refuses root.
as=
[ "$(id -u)" -ne 0 ] ||
  as='setpriv --reuid=postgres --regid=postgres --clear-groups --'
dir=$(mktemp -d /tmp/x402-postgres-XXXXXX)
pid=
finish() {
  status=$?
  trap - EXIT INT TERM
  cd /
  if [ -n "$pid" ]; then
    kill -INT "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  fi
  rm -rf "$dir"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
[ "$(id -u)" -ne 0 ] || chown postgres: "$dir"

# shellcheck disable=SC2086 # words
$as "$bin/initdb" -D "$dir/data" -A trust -U x402 -E UTF8 --locale=C.UTF-8 \
  --no-sync >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
# shellcheck disable=SC2086 # words; exec, so that pid is the postmaster's
exec_postgres() { exec $as "$bin/postgres" "$@"; }

# start PORT: true once it answers on a socket file of its own.
start() {
  exec_postgres -D "$dir/data" -p "$1" -k "$dir" \
    -c listen_addresses=127.0.0.1 -c fsync="${X402_POSTGRES_FSYNC:-off}" \
    -c autovacuum=off -c max_connections=64 >"$dir/log" 2>&1 &
  pid=$!
  until "$bin/pg_isready" -q -h "$dir" -p "$1"; do
    kill -0 "$pid" 2>/dev/null || { pid=; return 1; }
    sleep 0.05
  done
}

# Below the ports that the kernel gives out; somebody else may still have it.
cd "$dir"
tries=0
port=${X402_POSTGRES_PORT:-}
until start "${port:=$(python3 -c 'import random
print(random.randrange(10240, 32768))')}"; do
  tries=$((tries + 1))
  if [ -n "${X402_POSTGRES_PORT:-}" ] || [ "$tries" -eq 10 ] ||
    ! grep -q 'Address already in use' "$dir/log"; then
    cat "$dir/log" >&2
    exit 1
  fi
  port=
done
cd - >/dev/null
X402_TEST_POSTGRES=postgresql://x402@127.0.0.1:$port/postgres
X402_TEST_POSTGRES_PID=$pid
export X402_TEST_POSTGRES X402_TEST_POSTGRES_PID
"$@"
