/* SPDX-License-Identifier: MIT
 *
 * args.c - what the tables for files, processes and journals share. */
#include "luakit/args.h"
#include "base/err.h"

#include <lauxlib.h>
#include <string.h>

int args_failure(lua_State *L, int rc, const char *what)
{
	lua_pushnil(L);
	if (what)
		lua_pushfstring(L, "%s: %s", what, err_text(rc));
	else
		lua_pushstring(L, err_text(rc));
	lua_pushstring(L, err_name(rc));
	return 3;
}

const char *args_path(lua_State *L, int index)
{
	size_t n;
	const char *path = luaL_checklstring(L, index, &n);

	luaL_argcheck(L, n > 0 && strlen(path) == n, index,
		      "a path, not empty and without NUL, expected");
	return path;
}

void args_options(lua_State *L, int index, const char *const *known)
{
	if (lua_isnoneornil(L, index))
		return;
	luaL_checktype(L, index, LUA_TTABLE);
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		const char *key =
			lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
		size_t i = 0;

		while (key && known[i] && strcmp(key, known[i]) != 0)
			i++;
		if (!key || !known[i])
			luaL_argerror(L, index,
				      lua_pushfstring(L, "unknown option '%s'",
						      luaL_tolstring(L, -2, NULL)));
	}
}

mode_t args_mode(lua_State *L, int index, mode_t absent)
{
	unsigned mode = 0;
	size_t n;

	if (lua_isnoneornil(L, index))
		return absent;
	int type = lua_getfield(L, index, "mode");
	const char *text = type == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;

	lua_pop(L, 1);
	if (type == LUA_TNIL)
		return absent;
	luaL_argcheck(L, text && n >= 3 && n <= 4 && strspn(text, "01234567") == n, index,
		      "mode: three or four octal digits in a string expected, \"0640\"");
	for (size_t i = 0; i < n; i++)
		mode = mode * 8 + (unsigned)(text[i] - '0');
	return (mode_t)mode;
}
