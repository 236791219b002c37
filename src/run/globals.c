/* SPDX-License-Identifier: MIT
 *
 * globals.c - strict globals and require(). */
#include "run/globals.h"
#include "base/typo.h"
#include "luakit/error.h"
#include "luakit/types.h"
#include "run/modules.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <string.h>

/* Registry: the set of folders of the scripts that run; several under `haplua test`. */
#define FOLDERS "haplua.folders"

/* Globals. To read a name that was never defined is an error, so that a misspelt one does
 * not pass for nil. The host's modules are loaded when their names are first used, which
 * keeps the start short. */

static const struct host_name {
	const char *name, *module;
	bool whole; /* the module itself; false: its field of this name */
} host_names[] = {
	{"send", "haproxy", false},
	{"acl_add", "haproxy", false},
	{"acl_clear", "haproxy", false},
	{"acl_get", "haproxy", false},
	{"servers", "haproxy", false},
	{"haproxy", "haproxy", true},
	{"task", "task", true},
	{"run", "run", true},
	{NULL, NULL, false},
};

/* Does the file lie in the folder of a script, or below it? */
static bool is_beside(lua_State *L, const char *path)
{
	bool found = false;

	luaL_getsubtable(L, LUA_REGISTRYINDEX, FOLDERS);
	for (lua_pushnil(L); !found && lua_next(L, -2); lua_pop(L, 1)) {
		size_t n;
		const char *folder = lua_tolstring(L, -2, &n);

		found = (n == 1 && *folder == '.' && !strchr(path, '/')) ||
			(strncmp(path, folder, n) == 0 && path[n] == '/');
	}
	lua_pop(L, found ? 2 : 1);
	return found;
}

/* Is the calling function no part of a script, but C code or a library in another folder?
 * Such code may test whether a global exists, and define new ones. */
static bool is_foreign(lua_State *L)
{
	lua_Debug ar;

	if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "S", &ar))
		return true;
	if (ar.source[0] == '@')
		return !is_beside(L, ar.source + 1);
	return *ar.what == 'C' || strcmp(ar.source, "=?") == 0; /* "=?": lua-argparse */
}

static bool push_host_name(lua_State *L, const char *name)
{
	const struct host_name *host = typo_exact(name, host_names, sizeof *host_names);

	if (!host)
		return false;
	lua_getglobal(L, "require");
	lua_pushstring(L, host->module);
	lua_call(L, 1, 1);
	if (!host->whole)
		lua_getfield(L, -1, name);
	return true;
}

/* __index of the globals; upvalue 1: the table to look in next, or nil */
static int strict_index(lua_State *L)
{
	if (lua_istable(L, lua_upvalueindex(1))) {
		lua_pushvalue(L, 2);
		if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
			return 1;
	}
	if (lua_type(L, 2) != LUA_TSTRING)
		return 0;
	const char *name = lua_tostring(L, 2);

	if (!push_host_name(L, name))
		return is_foreign(L) ? 0 : luaL_error(L, "undefined name '%s'", name);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, -2);
	lua_rawset(L, 1);
	return 1;
}

/* __newindex of the globals: the main chunk of a script may define some, its functions
 * may not. */
static int strict_newindex(lua_State *L)
{
	lua_Debug ar;

	if (lua_type(L, 2) == LUA_TSTRING && lua_getstack(L, 1, &ar) &&
	    lua_getinfo(L, "S", &ar) && strcmp(ar.what, "Lua") == 0 && !is_foreign(L))
		return luaL_error(L,
				  "assignment to the undefined name '%s' (a missing "
				  "'local'?)",
				  lua_tostring(L, 2));
	lua_settop(L, 3);
	lua_rawset(L, 1);
	return 0;
}

void globals_strict(lua_State *L, int behind)
{
	lua_createtable(L, 0, 2);
	if (behind)
		lua_pushvalue(L, behind);
	else
		lua_pushnil(L);
	lua_pushcclosure(L, strict_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, strict_newindex);
	lua_setfield(L, -2, "__newindex");
	lua_setmetatable(L, -2);
}

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

/* Push "; did you mean 'NAME'?" for the public module that is nearest, or "". [-0, +1] */
static void push_public_module(lua_State *L, struct span name)
{
	static const struct span prefix = {"haplua.", 7};
	size_t least = TYPO_FAR, cut = span_begins(name, prefix.p) ? prefix.n : 0;
	const char *found = NULL;

	for (const struct module *m = modules; m->name; m++) {
		struct span have = span_of(m->name);
		const char *dot = memchr(have.p, '.', have.n);

		if (span_begins(have, prefix.p) != (cut > 0) ||
		    (dot && strchr(dot + 1, '.')))
			continue;
		size_t edits = typo_distance((struct span){name.p + cut, name.n - cut},
					     (struct span){have.p + cut, have.n - cut});

		if (edits < least) {
			least = edits;
			found = m->name;
		}
	}
	if (found)
		lua_pushfstring(L, "; did you mean '%s'?", found);
	else
		lua_pushliteral(L, "");
}

/* One of Lua's searchers (upvalue 1) without its list of places. The one for C modules
 * (upvalue 2 is true) says in a line where all have looked. */
static int search_quietly(lua_State *L)
{
	lua_settop(L, 1);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushvalue(L, 1);
	lua_call(L, 1, LUA_MULTRET);
	if (lua_type(L, 2) != LUA_TSTRING)
		return lua_gettop(L) - 1;
	if (!lua_toboolean(L, lua_upvalueindex(2)))
		return 0;
	push_public_module(L, span_of(lua_tostring(L, 1)));
	lua_pushfstring(L,
			"no file of this name beside the script, in package.path or in "
			"package.cpath, and no module of haplua%s",
			lua_tostring(L, -1));
	return 1;
}

/* Have require() look among the compiled modules after package.preload and before any
 * file, so that no stray file takes the place of a module of haplua. */
static void add_searcher(lua_State *L)
{
	lua_getglobal(L, LUA_LOADLIBNAME);
	lua_getfield(L, -1, "searchers");
	lua_Integer n = luaL_len(L, -1);

	for (lua_Integer i = n; i >= 1; i--) {
		lua_rawgeti(L, -1, i);
		lua_pushboolean(L, i == n - 1);
		lua_pushcclosure(L, search_quietly, 2);
		lua_rawseti(L, -2, i == 1 ? 1 : i + 1);
	}
	lua_pushcfunction(L, search_compiled);
	lua_rawseti(L, -2, 2);
	lua_pop(L, 2);
}

void globals_folder(lua_State *L, const char *script)
{
	const char *slash = strrchr(script, '/');
	int top = lua_gettop(L);

	luaL_getsubtable(L, LUA_REGISTRYINDEX, FOLDERS);
	const char *folder = lua_pushlstring(L, slash ? script : ".",
					     slash ? (size_t)(slash - script) : 1);

	lua_pushvalue(L, -1);
	if (lua_rawget(L, top + 1) == LUA_TNIL) {
		lua_pushvalue(L, top + 2);
		lua_pushboolean(L, true);
		lua_rawset(L, top + 1);
		lua_getglobal(L, LUA_LOADLIBNAME);
		lua_getfield(L, -1, "path");
		lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", folder, folder,
				lua_tostring(L, -1));
		lua_setfield(L, -3, "path");
	}
	lua_settop(L, top);
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
	{"run", luaopen_haplua_run},
	{NULL, NULL},
};

/* Remove `what` from the search path package[field]. */
static void cut_path(lua_State *L, const char *field, const char *what)
{
	lua_getglobal(L, LUA_LOADLIBNAME);
	lua_getfield(L, -1, field);
	luaL_gsub(L, lua_tostring(L, -1), what, "");
	lua_setfield(L, -3, field);
	lua_pop(L, 2);
}

void globals_setup(lua_State *L)
{
	luaL_openlibs(L);
	/* globals_folder() adds the folder of a script. Lua's own "." would find the
	 * files of whoever may write to the folder that one happens to be in. */
	cut_path(L, "path", ";./?.lua;./?/init.lua");
	cut_path(L, "cpath", ";./?.so");
	luaopen_haplua_coroutine(L);
	luaL_requiref(L, "haplua.error", luaopen_haplua_error, 0);
	lua_settop(L, 0);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
	luaL_setfuncs(L, preloaded, 0);
	lua_pop(L, 1);
	add_searcher(L);
	lua_pushglobaltable(L);
	globals_strict(L, 0);
	lua_pop(L, 1);
}
