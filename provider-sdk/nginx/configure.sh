#!/bin/sh
# configure.sh DIR: what nginx was configured with on this machine, as the
# headers in DIR that a module must be compiled with. Debian's nginx-dev has the
# sources and the flags; without it nothing is printed and 1 returned.
set -eu
src=/usr/share/nginx/src
[ -f "$src/conf_flags" ] && [ -x "$src/configure" ] || exit 1
dir=$1
if [ ! -f "$dir/ngx_auto_config.h" ] ||
  [ "$src/conf_flags" -nt "$dir/ngx_auto_config.h" ]; then
  mkdir -p "$dir"
  # conf_flags is a bash array; nginx's own flags have no spaces in them.
  flags=$(sed -n 's/^NGX_CONF_FLAGS=( *\(.*\) *)$/\1/p' "$src/conf_flags")
  cd "$src"
  # shellcheck disable=SC2086 # flags are words
  ./configure $flags --builddir="$dir" >"$dir/configure.log" 2>&1 || exit 1
fi
echo "$src"
