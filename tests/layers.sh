#!/bin/sh
# SPDX-License-Identifier: MIT
#
# layers.sh - what docs/architecture.md says of layers, held against the #include lines.
# A pure module includes no socket, Lua or loop; Lua is known to the host, the tasks and lua_*
# only. Also: no library module sets a global, and each module has a test.
set -eu
cd "$(dirname "$0")/.."
bad=0

complain()
{
	echo "layers.sh: $*" >&2
	bad=1
}

for m in buf address command frame reply reply_rows permit tally; do
	grep -nE '#include <(uv|lua|lauxlib|sys/|time|unistd)' src/$m.[ch] &&
		complain "src/$m is pure"
done
for m in file file_replace; do
	grep -nE '#include [<"](uv|host|clock|task)\.h' src/$m.c && complain "src/$m.c knows the loop"
done
for f in src/*.c; do
	case ${f#src/} in
	request.c | request_connect.c) ;;
	*) grep -nE '#include "request_connect\.h"' "$f" && complain "$f: request_connect.h is for request.c" ;;
	esac
done
for f in src/*.[ch]; do
	case ${f#src/} in
	lua_* | task* | host.* | policy.* | interrupt.*) ;;
	*) grep -nE '#include [<"](lua|lauxlib|lualib)\.h' "$f" && complain "$f knows Lua" ;;
	esac
done

if command -v luac5.4 >/dev/null; then
	for f in $(find lua -name '*.lua'); do
		luac5.4 -l -p "$f" | grep -E 'SETTABUP.*_ENV' && complain "$f sets a global"
	done
fi

for m in buf err address command frame reply reply_rows permit clock tally; do
	[ -e tests/unit/test_$m.c ] || complain "src/$m.c has no tests/unit/test_$m.c"
done
exit $bad
