#!/bin/sh
# Every symbol that a library exports begins with its prefix, and not with the
# private x402__:  check_symbols.sh LIBRARY PREFIX
set -eu
library=$1
prefix=$2
symbols=$(nm -D --defined-only "$library" | awk '{print $3}' | sed 's/@.*//')
[ -n "$symbols" ] || { echo "$library exports nothing" >&2; exit 1; }
bad=$(printf '%s\n' "$symbols" | grep -v "^$prefix" |
  grep -vE '^(_init|_fini|__bss_start|_edata|_end|__(a|t|ub)san_.*|__odr_asan.*|__sancov.*|__start___sancov.*|__stop___sancov.*)$' || true)
private=$(printf '%s\n' "$symbols" | grep '^x402__' || true)
if [ -n "$bad$private" ]; then
  printf '%s exports, beside %s*:\n%s\n' "$library" "$prefix" "$bad$private" >&2
  exit 1
fi
printf '%s symbols, all %s*\n' "$(printf '%s\n' "$symbols" | wc -l)" "$prefix"
