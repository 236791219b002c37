/* SPDX-License-Identifier: MIT
 *
 * script.c - find scripts and load them. */
#include "run/script.h"
#include "os/file.h"
#include "run/globals.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Registry: the compiled script, where it runs for several targets. */
#define COMPILED "haplua.compiled"

/* Push the path of NAME.lua in the folder, if that is readable. [-0, +(0|1)] */
static bool push_in(lua_State *L, const char *folder, const char *name)
{
	lua_pushfstring(L, "%s/%s.lua", folder, name);
	if (access(lua_tostring(L, -1), R_OK) == 0)
		return true;
	lua_pop(L, 1);
	return false;
}

/* Push the path of NAME.lua in ./scripts, if nobody else may write to either: whoever may
 * write to the folder that one happens to be in must not choose what a name means. [-0,
 * +(0|1)] */
static bool push_here(lua_State *L, const char *name)
{
	if (!file_is_ours("./scripts") || !push_in(L, "./scripts", name))
		return false;
	if (file_is_ours(lua_tostring(L, -1)))
		return true;
	lua_pop(L, 1);
	return false;
}

/* Push the path of NAME.lua among the scripts of this program: in its source tree, or
 * where `make install` has put them. [-0, +(0|1)] */
static bool push_beside_program(lua_State *L, const char *name)
{
	static const char *const folders[] = {"scripts", "../share/haplua/scripts"};
	char program[4096];
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);

	if (n <= 0)
		return false;
	program[n] = '\0';
	*strrchr(program, '/') = '\0';
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		lua_pushfstring(L, "%s/%s", program, folders[i]);
		bool found = push_in(L, lua_tostring(L, -1), name);

		lua_remove(L, found ? -2 : -1);
		if (found)
			return true;
	}
	return false;
}

/* Push the path of the script that the user named. A path has a '/' or ends in ".lua"; a
 * name is looked up in ./scripts, then among the scripts of this program. [-0, +1] */
static void push_path(lua_State *L, const char *script)
{
	size_t n = strlen(script);

	if (strchr(script, '/') || (n > 4 && strcmp(script + n - 4, ".lua") == 0))
		lua_pushstring(L, script);
	else if (!push_here(L, script) && !push_beside_program(L, script))
		luaL_error(L,
			   "no script '%s': looked for %s.lua in ./scripts and among the "
			   "installed scripts (a path has a '/' or ends in .lua; "
			   "./scripts counts if only you or root may write it)",
			   script, script);
}

static void load_file(lua_State *L, const char *script)
{
	push_path(L, script);
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
