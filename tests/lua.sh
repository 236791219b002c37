#!/bin/sh
# SPDX-License-Identifier: MIT
#
# lua.sh - print the name of the interpreter of Lua 5.4; status 1 if there is none.
for name in ${LUA-} lua5.4 lua-5.4 lua54 lua; do
	case $("$name" -v 2>/dev/null) in "Lua 5.4"*) echo "$name"; exit ;; esac
done
exit 1
