#!/bin/sh
# A paid article, end to end, on this machine:  sh examples/quickstart.sh
#
# Installs what is missing, builds, starts a local chain, the facilitator and
# a content site; shows the 402, pays, prints the article, the receipt and the
# payee's new balance. Then it stays up for you to try; --once ends it there.
#
# Where next: examples/content-site.c (the seller), docs/architecture.md.
set -eu
cd "$(dirname "$0")/.."
once=no
case "${1:-}" in
  --once) once=yes ;;
  '') ;;
  *) printf 'quickstart.sh: expected --once or nothing, got %s\n' "$1" >&2
     exit 2 ;;
esac

sh tests/support/install.sh --run
build=build/release
if [ ! -f "$build/build.ninja" ]; then
  mkdir -p build
  echo '== configuring'
  meson setup "$build" --buildtype=release >"$build.log" 2>&1 ||
    { cat "$build.log" >&2; exit 1; }
fi
echo '== building'
ninja -C "$build" --quiet facilitator/x402-facilitator client-sdk/x402 \
  examples/content-site

run=$(mktemp -d)
pids=
# Everything started here is ended here, by its process id.
stop() {
  trap - EXIT INT TERM
  for pid in $pids; do kill "$pid" 2>/dev/null || true; done
  for pid in $pids; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$run"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# wait_for FILE PATTERN PID: until the process has said it, or has died.
wait_for() {
  tries=0
  until grep -q "$2" "$1" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ] || ! kill -0 "$3" 2>/dev/null; then
      echo "quickstart.sh: expected '$2' in $1, which says:" >&2
      cat "$1" >&2
      exit 1
    fi
    sleep 0.1
  done
}

echo '== starting a local chain'
node tests/devnet/devnet.mjs --json "$run/devnet.json" >"$run/devnet.log" 2>&1 &
pids="$! $pids"
wait_for "$run/devnet.log" '"rpcUrl"' "$!"
field() { jq -r "$1" "$run/devnet.json"; }
rpc=$(field .rpcUrl)
token=$(field .token)
payee=$(field .accounts.payee.address)

echo '== starting the facilitator'
PORT=0 EVM_RPC_URL=$rpc EVM_PRIVATE_KEY=$(field .accounts.facilitator.privateKey) \
  X402_STORE=$run/facilitator.sqlite \
  "$build/facilitator/x402-facilitator" >"$run/facilitator.log" 2>&1 &
pids="$! $pids"
wait_for "$run/facilitator.log" 'url=http' "$!"
url_of() { sed -n 's/.*url=\(http[^ ]*\).*/\1/p' "$1" | head -n 1; }
facilitator=$(url_of "$run/facilitator.log")

echo '== starting the content site'
PORT=0 FACILITATOR_URL=$facilitator PAY_TO=$payee X402_NETWORK=$(field .network) \
  "$build/examples/content-site" >"$run/site.log" 2>&1 &
pids="$! $pids"
wait_for "$run/site.log" 'url=http' "$!"
site=$(url_of "$run/site.log")

# balanceOf(payee), in atomic units of the token (6 decimals).
balance() {
  data=0x70a08231000000000000000000000000$(printf %s "$payee" | cut -c3-)
  hex=$(curl -sS "$rpc" -H 'content-type: application/json' -d \
    '{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[{"to":"'"$token"'","data":"'"$data"'"},"latest"]}' |
    jq -r .result)
  printf '%d' "0x$(printf %s "$hex" | tail -c 15)"
}

article=$(curl -sS "$site/" | grep -o '/articles/[a-z0-9-]*' | head -n 1)
before=$(balance)
printf '\n$ curl -i %s\n\n' "$site$article"
curl -sS -i "$site$article"
export EVM_PRIVATE_KEY X402_JOURNAL="$run/journal.sqlite"
EVM_PRIVATE_KEY=$(field .accounts.payer.privateKey)
printf '\n\n$ x402 get %s\n\n' "$site$article"
"$build/client-sdk/x402" get "$site$article"
printf '\npayee %s: balance %s, was %s (atomic units of USDC)\n' \
  "$payee" "$(balance)" "$before"

[ "$once" = no ] || exit 0
cat <<END

Still running, until you press Ctrl-C:
  content site   $site
  facilitator    $facilitator   (try /supported, /discovery/resources)
  chain          $rpc   (chain id 84532, token $token)

Pay again from another terminal, with the development key of this chain:
  EVM_PRIVATE_KEY=$EVM_PRIVATE_KEY \\
    $build/client-sdk/x402 get $site$article
END
wait
