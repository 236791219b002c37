#!/bin/sh
# SPDX-License-Identifier: MIT
#
# libraries.sh - find how to compile with Lua 5.4, libuv and SQLite, and how to link them.
# Usage: [CC=] [CPPFLAGS=] [CFLAGS=] [LDFLAGS=] [SHARED=1] libraries.sh FOLDER. It writes FOLDER/headers and FOLDER/libraries,
# arguments for the compiler. Status 1, with a message, where a library cannot be had.
#
# A library is linked from its static archive where a program that is linked so runs, else as a shared library; with
# SHARED=1 all are shared. docs/performance.md has the reason: to find and bind a shared library takes time at each start.
# The rest of Lua is linked as a whole, since modules in C may call what haplua does not.
set -eu

folder=$1
test=$(mktemp -d)
trap 'rm -rf "$test"' EXIT
cc=${CC:-cc}
config=${PKG_CONFIG:-pkg-config}

fail() {
	echo "libraries.sh: $*" >&2
	[ ! -s "$test/log" ] || sed 's/^/  /' "$test/log" >&2
	exit 1
}

# Does pkg-config have the module $1, of version 5.4? A distribution's `lua` may be another version.
is_lua() {
	$config --exists "$1" 2>/dev/null && case $($config --modversion "$1") in 5.4 | 5.4.*) ;; *) false ;; esac
}

# A program that needs code of each library.
cat >"$test/plain.c" <<-END
	int main(void) { return 0; }
END
cat >"$test/lua.c" <<-END
	#include <lua.h>
	#include <lauxlib.h>
	#if LUA_VERSION_NUM != 504
	#error "not Lua 5.4"
	#endif
	int main(void) { lua_State *L = luaL_newstate(); if (L) lua_close(L); return !L; }
END
cat >"$test/uv.c" <<-END
	#include <uv.h>
	int main(void) { uv_loop_t loop; return uv_loop_init(&loop) < 0 || uv_loop_close(&loop) < 0; }
END
cat >"$test/sqlite.c" <<-END
	#include <sqlite3.h>
	int main(void) { sqlite3 *db; return sqlite3_open(":memory:", &db) != SQLITE_OK || sqlite3_close(db) != SQLITE_OK; }
END

# Does the program $1 link with the other arguments, and run? Where programs for the target do not run here, it need not.
links() {
	source=$test/$1.c
	shift
	# shellcheck disable=SC2086 # flags are to be split
	$cc -D_GNU_SOURCE ${CPPFLAGS-} ${CFLAGS-} $headers -o "$test/program" "$source" ${LDFLAGS-} "$@" >"$test/log" 2>&1 &&
		! grep -q 'ignored' "$test/log" && { [ -n "$cross" ] || "$test/program" >"$test/log" 2>&1; }
}

# Print how to link the library of the program $1, which is pkg-config's module $2; $3 stands before and $4 behind an archive.
linked() {
	shared=$($config --libs "$2")
	paths=$($config --libs-only-L "$2")
	if [ -z "${SHARED-}" ]; then
		private=$($config --static --libs "$2")
		name=$(printf '%s\n' $shared | sed -n 's/^-l//p' | head -n 1)
		for archive in "-l:lib${name}_a.a" "-l:lib$name.a"; do
			for others in "" "$private"; do
				# the archive stands for the shared library
				others=$(printf ' %s ' "$others" | sed "s/ -l$name / /g")
				# shellcheck disable=SC2086
				if links "$1" $paths $3 $archive $4 $others -lpthread -ldl -lm; then
					echo $paths $3 $archive $4 $others
					return
				fi
			done
		done
	fi
	# shellcheck disable=SC2086
	links "$1" $shared -lm || fail "a program with $2 does not link or run ($cc ${LDFLAGS-} $shared)"
	echo $shared
}

command -v "$config" >/dev/null || fail "$config is not installed"
headers='' cross=''
links plain || { [ -x "$test/program" ] && cross=1; } || fail "$cc does not compile"
for lua in lua5.4 lua-5.4 lua54 lua; do
	! is_lua "$lua" || break
done
is_lua "$lua" || fail "$config does not find Lua 5.4"
for module in libuv sqlite3; do
	$config --exists "$module" || fail "$config does not find $module"
done
headers=$($config --cflags "$lua" libuv sqlite3)

# shellcheck disable=SC2086
{
	# These reduce the pages of memory that a start touches: SQLite's tables are full of addresses.
	for option in -Wl,-z,pack-relative-relocs -Wl,-z,noseparate-code; do
		! links plain $option || echo $option
	done
	linked lua "$lua" -Wl,--whole-archive -Wl,--no-whole-archive
	linked uv libuv '' ''
	linked sqlite sqlite3 '' ''
	echo -lpthread -ldl -lm
} >"$test/libraries"
echo "$headers" >"$folder/headers.new"
cmp -s "$folder/headers.new" "$folder/headers" || mv "$folder/headers.new" "$folder/headers"
rm -f "$folder/headers.new"
cp "$test/libraries" "$folder/libraries"
