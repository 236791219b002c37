/* SPDX-License-Identifier: MIT
 *
 * script.c - load scripts. */
#include "run/script.h"
#include "run/globals.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Registry: the compiled script, where it runs for several targets. */
#define COMPILED "haplua.compiled"

static void load_file(lua_State *L, const char *script)
{
	lua_pushstring(L, script);
	globals_call(L, "find", 1, 1);
	const char *path = lua_tostring(L, -1);

	if (access(path, R_OK) != 0)
		luaL_error(L, "cannot read %s: %s", path, strerror(errno));
	lua_pushvalue(L, -1);
	globals_call(L, "folder", 1, 0);
	if (luaL_loadfile(L, path) != LUA_OK)
		lua_error(L);
	lua_remove(L, -2);
}

/* The compiled module that runs in the place of a script: the prompt or `haplua test`; or
 * NULL. */
static const char *builtin(const struct options *options)
{
	return options->test                         ? "haplua.test.main"
	       : !options->chunk && !options->script ? "haplua.host.prompt"
						     : NULL;
}

static void load_chunk(lua_State *L, const struct options *options)
{
	int rc = LUA_OK;

	if (options->script && !builtin(options) && strcmp(options->script, "-") != 0) {
		load_file(L, options->script);
		return;
	}
	lua_pushliteral(L, "./");
	globals_call(L, "folder", 1, 0);
	if (options->chunk) {
		rc = luaL_loadbuffer(L, options->chunk, strlen(options->chunk), "=-e");
	} else if (builtin(options)) {
		lua_getglobal(L, "require");
		lua_pushstring(L, builtin(options));
		lua_call(L, 1, 1);
	} else {
		rc = luaL_loadfile(L, NULL);
	}
	if (rc != LUA_OK)
		lua_error(L);
}

/* Push the script's function. The script is read and compiled once, so that all targets
 * run the same text, also from standard input. [-0, +1] */
static void push_script(lua_State *L, const struct options *options)
{
	size_t n;

	if (lua_getfield(L, LUA_REGISTRYINDEX, COMPILED) == LUA_TSTRING) {
		const char *code = lua_tolstring(L, -1, &n);

		if (luaL_loadbufferx(L, code, n, "script", "b") != LUA_OK)
			lua_error(L);
		lua_remove(L, -2);
		return;
	}
	lua_pop(L, 1);
	load_chunk(L, options);
	if (options->n_sockets == 1 || builtin(options))
		return;
	lua_getglobal(L, LUA_STRLIBNAME);
	lua_getfield(L, -1, "dump");
	lua_pushvalue(L, -3);
	lua_call(L, 1, 1);
	lua_setfield(L, LUA_REGISTRYINDEX, COMPILED);
	lua_pop(L, 1);
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
	globals_call(L, "finish", 1, 1);
	load_file(L, path);
	lua_insert(L, -2);
	if (!lua_setupvalue(L, -2, 1))
		lua_pop(L, 1);
}

int script_load(lua_State *L, const struct options *options, const char *socket)
{
	push_script(L, options);
	if (socket == options->sockets[options->n_sockets - 1]) { /* the last one */
		lua_pushnil(L);
		lua_setfield(L, LUA_REGISTRYINDEX, COMPILED);
	}
	push_arg(L, options);
	lua_pushstring(L, options->n_sockets > 1 ? socket : NULL); /* marks its lines */
	globals_call(L, "make", 2, 1);
	/* A chunk's first upvalue is its _ENV; a module is no chunk and makes its own. */
	if (builtin(options) || !lua_setupvalue(L, -2, 1))
		lua_pop(L, 1);
	luaL_checkstack(L, options->n_args + 4, "too many arguments");
	for (int i = 0; i < options->n_args; i++)
		lua_pushstring(L, options->args[i]);
	return options->n_args;
}
