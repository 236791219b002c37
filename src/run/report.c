/* SPDX-License-Identifier: MIT
 *
 * report.c - exit statuses, and the printed form of errors. */
#include "run/report.h"
#include "base/err.h"
#include "luakit/error.h"

#include <lauxlib.h>
#include <string.h>

int report_status(lua_State *L, int error, int other, int signo)
{
	if (!error_is(L, error))
		return other;
	int top = lua_gettop(L);
	const char *name =
		lua_getfield(L, error, "kind") == LUA_TSTRING ? lua_tostring(L, -1) : "";
	const struct error_kind *kind = err_kind_find(name);

	if (strcmp(name, "interrupted") == 0 &&
	    lua_getfield(L, error, "signal") == LUA_TNUMBER)
		signo = (int)lua_tointeger(L, -1);
	lua_settop(L, top);
	if (kind && strcmp(kind->name, "interrupted") == 0 && signo)
		return 128 + signo;
	lua_getfield(L, error, "exit");
	lua_Integer given = lua_tointeger(L, -1);

	lua_settop(L, top);
	if (given > EXIT_DONE && given <= 255)
		return (int)given;
	return kind ? kind->exit : EXIT_FAILED;
}

int report_returned(lua_State *L, int result)
{
	if (!lua_isinteger(L, result))
		return EXIT_DONE;
	lua_Integer status = lua_tointeger(L, result);

	return status >= 0 && status <= 255 ? (int)status : EXIT_FAILED;
}

/* EXIT_WOULD_CHANGE is no failure; others are worse the higher they are. */
static int rank(int status)
{
	return status == EXIT_WOULD_CHANGE ? 1 : 2 * status;
}

int report_worse(int a, int b)
{
	return rank(a) > rank(b) ? a : b;
}

/* (error) -> its text, made visible; lines after the first are indented, so that none of
 * them looks like another message. For a protected call: a script's __tostring may do
 * anything. */
static int text_of_error(lua_State *L)
{
	struct span rest, line;
	const char *before = "";
	luaL_Buffer b;

	rest.p = luaL_tolstring(L, 1, &rest.n);
	luaL_buffinit(L, &b);
	while (span_word(&rest, '\n', &line)) {
		while (line.n > 0 && *line.p == '\t')
			line = (struct span){line.p + 1, line.n - 1};
		if (line.n == 0)
			continue;
		luaL_addstring(&b, before);
		error_push_visible(L, line, SIZE_MAX);
		luaL_addvalue(&b);
		before = "\n    ";
	}
	luaL_pushresult(&b);
	return 1;
}

void report_print(lua_State *L, int index, FILE *to)
{
	int top = lua_gettop(L);

	lua_pushcfunction(L, text_of_error);
	lua_pushvalue(L, index);
	if (lua_pcall(L, 1, 1, 0) == LUA_OK)
		fprintf(to, "haplua: %s\n", lua_tostring(L, -1));
	else
		fprintf(to, "haplua: an error that has no text (a %s)\n",
			luaL_typename(L, index));
	lua_settop(L, top);
}
