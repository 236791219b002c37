/* SPDX-License-Identifier: MIT
 *
 * args.c - arguments that several bindings take. */
#include "luakit/args.h"
#include "base/err.h"
#include "base/typo.h"
#include "luakit/error.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* No table has more options than this. */
#define OPTIONS_MAX 16
#define LENGTH_MAX  (1 << 30)

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

struct span args_text(lua_State *L, int index)
{
	struct span s;

	s.p = luaL_checklstring(L, index, &s.n);
	return s;
}

const char *args_path(lua_State *L, int index)
{
	size_t n;
	const char *path = luaL_checklstring(L, index, &n);

	luaL_argcheck(L, n > 0 && strlen(path) == n, index,
		      "a path, not empty and without NUL, expected");
	return path;
}

int args_length(lua_State *L, int index, const char *what)
{
	if (!lua_istable(L, index))
		error_misuse(L, "%s: a list expected, got %s", what,
			     luaL_typename(L, index));
	lua_Integer n = luaL_len(L, index);

	if (n < 0 || n > LENGTH_MAX)
		error_misuse(L, "%s: a list expected, and not one of length %I", what,
			     (LUAI_UACINT)n);
	return (int)n;
}

/* Raise: the value at -1 of this option has another type. */
static void wrong_type(lua_State *L, const struct args_option *option)
{
	const char *expected = "", *given = luaL_typename(L, -1);

	luaL_checkstack(L, LUA_MINSTACK, NULL);
	for (int type = LUA_TBOOLEAN; type <= LUA_TFUNCTION; type++)
		if (option->types & 1u << type)
			expected = lua_pushfstring(L, "%s%s%s", expected,
						   *expected ? " or " : "a ",
						   lua_typename(L, type));
	error_misuse(L, "%s: %s expected, got %s", option->name, expected, given);
}

/* Raise where the key at -2 is no known option. */
static void check_key(lua_State *L, const struct args_option *known, lua_Integer list)
{
	if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 &&
	    lua_tointeger(L, -2) <= list)
		return;
	const char *name = luaL_tolstring(L, -2, NULL);

	if (lua_type(L, -3) != LUA_TSTRING || !typo_exact(name, known, sizeof *known))
		error_unknown(L, "option", name, known, sizeof *known);
	lua_pop(L, 1);
}

void args_push_options(lua_State *L, int index, const struct args_option *known,
		       lua_Integer list)
{
	bool given = !lua_isnoneornil(L, index);

	if (given) {
		luaL_checktype(L, index, LUA_TTABLE);
		for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
			check_key(L, known, list);
	}
	luaL_checkstack(L, OPTIONS_MAX + LUA_MINSTACK, NULL);
	for (; known->name; known++) {
		if (given) {
			lua_pushstring(L, known->name);
			lua_rawget(L, index);
			if (!lua_isnil(L, -1) && !(known->types & 1u << lua_type(L, -1)))
				wrong_type(L, known);
		} else {
			lua_pushnil(L);
		}
	}
}

mode_t args_mode(lua_State *L, int index, mode_t absent)
{
	size_t n;

	if (lua_isnil(L, index))
		return absent;
	const char *text = lua_tolstring(L, index, &n);

	if (n < 3 || n > 4 || strspn(text, "01234567") != n)
		error_misuse(L, "mode: three or four octal digits in a string expected, "
				"such as \"0640\"");
	return (mode_t)strtoul(text, NULL, 8);
}
