/* SPDX-License-Identifier: MIT
 *
 * script.c - what a new state has: the standard libraries, the host's tables, and the
 * modules that are compiled in. lua/haplua/host/globals.lua finds and loads scripts. */
#include "run/script.h"
#include "base/typo.h"
#include "luakit/error.h"
#include "luakit/types.h"
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
	{"haplua.lines", luaopen_haplua_lines},
	{"haplua.namespace", luaopen_haplua_namespace},
	{"haplua.process", luaopen_haplua_process},
	{"haplua.regex", luaopen_haplua_regex},
	{"haplua.reply", luaopen_haplua_reply},
	{"haplua.screen", luaopen_haplua_screen},
	{"haplua.sqlite", luaopen_haplua_sqlite},
	{"haplua.task", luaopen_haplua_task},
	{"haplua.terminal", luaopen_haplua_terminal},
	{"haplua.virtual", luaopen_haplua_virtual},
	{"haplua.watch", luaopen_haplua_watch},
	{"run", luaopen_haplua_run},
	{NULL, NULL},
};

void script_setup(lua_State *L)
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
	lua_call(L, 2, 1);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, GLOBALS);
	lua_pop(L, 1);
	lua_setfield(L, LUA_REGISTRYINDEX, GLOBALS);
	lua_settop(L, 0);
}

/* Call a function of lua/haplua/host/globals.lua with the n values on the top. [-n, +1]
 */
static void call_globals(lua_State *L, const char *function, int n)
{
	lua_getfield(L, LUA_REGISTRYINDEX, GLOBALS);
	lua_getfield(L, -1, function);
	lua_replace(L, -2);
	lua_insert(L, -n - 1);
	lua_call(L, n, 1);
}

static void push_arg(lua_State *L, const struct options *options)
{
	lua_createtable(L, options->n_args, 1);
	lua_pushstring(L, options->script ? options->script : "-e");
	lua_rawseti(L, -2, 0);
	for (int i = 0; i < options->n_args; i++) {
		lua_pushstring(L, options->args[i]);
		lua_rawseti(L, -2, i + 1);
	}
}

void script_file(lua_State *L, const char *path)
{
	lua_pushstring(L, path);
	call_globals(L, "file", 2);
}

int script_load(lua_State *L, const struct options *options, const char *socket)
{
	push_arg(L, options);
	lua_pushstring(L, options->builtin);
	lua_pushstring(L, options->chunk);
	lua_pushstring(L, options->n_sockets > 1 ? socket : NULL); /* marks its lines */
	lua_pushboolean(L, socket == options->sockets[0]);
	call_globals(L, "load", 5);
	luaL_checkstack(L, options->n_args + 4, "too many arguments");
	for (int i = 0; i < options->n_args; i++)
		lua_pushstring(L, options->args[i]);
	return options->n_args;
}
