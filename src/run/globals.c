/* SPDX-License-Identifier: MIT
 *
 * globals.c - what a new state has: the standard libraries, the host's tables, and the
 * modules that are compiled in. */
#include "run/globals.h"
#include "base/typo.h"
#include "luakit/error.h"
#include "luakit/types.h"
#include "os/file.h"
#include "run/modules.h"

#include <lauxlib.h>
#include <lualib.h>

#define GLOBALS "haplua.host.globals"

/* The searcher of the modules that are compiled in. */
static int search_compiled(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	const struct module *m = typo_exact(name, modules, sizeof *modules);

	if (!m)
		return 0;
	if (luaL_loadbufferx(L, m->code, m->size, m->name, "b") != LUA_OK)
		return lua_error(L);
	lua_pushliteral(L, "compiled in");
	return 2;
}

/* is_ours(path) -> file_is_ours() */
static int is_ours(lua_State *L)
{
	lua_pushboolean(L, file_is_ours(luaL_checkstring(L, 1)));
	return 1;
}

static int module_names(lua_State *L)
{
	lua_newtable(L);
	for (lua_Integer i = 0; modules[i].name; i++) {
		lua_pushstring(L, modules[i].name);
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

static const luaL_Reg preloaded[] = {
	{"haplua.core", luaopen_haplua_core},
	{"haplua.error", luaopen_haplua_error},
	{"haplua.file", luaopen_haplua_file},
	{"haplua.inet", luaopen_haplua_inet},
	{"haplua.process", luaopen_haplua_process},
	{"haplua.regex", luaopen_haplua_regex},
	{"haplua.reply", luaopen_haplua_reply},
	{"haplua.sqlite", luaopen_haplua_sqlite},
	{"haplua.task", luaopen_haplua_task},
	{"haplua.terminal", luaopen_haplua_terminal},
	{"haplua.virtual", luaopen_haplua_virtual},
	{"haplua.watch", luaopen_haplua_watch},
	{"haplua.recurrence", luaopen_haplua_recurrence},
	{"run", luaopen_haplua_run},
	{NULL, NULL},
};

void globals_setup(lua_State *L)
{
	luaL_openlibs(L);
	luaopen_haplua_coroutine(L);
	luaL_requiref(L, "haplua.error", luaopen_haplua_error, 0);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
	luaL_setfuncs(L, preloaded, 0);
	lua_pushcfunction(L, search_compiled);
	lua_pushliteral(L, GLOBALS);
	lua_call(L, 1, 1);
	lua_pushcfunction(L, search_compiled);
	lua_pushcfunction(L, module_names);
	lua_pushcfunction(L, is_ours);
	lua_call(L, 3, 1);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, GLOBALS);
	lua_pop(L, 1);
	lua_setfield(L, LUA_REGISTRYINDEX, GLOBALS);
	lua_settop(L, 0);
}

void globals_call(lua_State *L, const char *function, int n, int results)
{
	lua_getfield(L, LUA_REGISTRYINDEX, GLOBALS);
	lua_getfield(L, -1, function);
	lua_replace(L, -2);
	lua_insert(L, -n - 1);
	lua_call(L, n, results);
}
