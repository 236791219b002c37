/* SPDX-License-Identifier: MIT
 *
 * virtual_run.c - runs of a script under `haplua test`: those of policy.c, with their
 * output kept in memory. The box of a run is anchored in the registry until it is closed,
 * because its tasks point into it. */
#include "base/err.h"
#include "luakit/args.h"
#include "luakit/error.h"
#include "run/script.h"
#include "luakit/types.h"
#include "run/virtual.h"
#include "run/policy.h"

#include <stdlib.h>
#include <string.h>

#define RUN_BOX "haplua.TestRun"

/* A stream into memory. */
struct kept {
	FILE *file;
	char *p;
	size_t n;
};

struct test_run {
	struct options options; /* its strings are in the box's user value */
	const char **sockets;   /* owned */
	char **args;            /* owned */
	struct kept out, err;
	struct policy *policy; /* owned */
};

static struct test_run *check(lua_State *L)
{
	return luaL_checkudata(L, 1, RUN_BOX);
}

static bool open_kept(struct kept *k)
{
	k->file = open_memstream(&k->p, &k->n);
	return k->file != NULL;
}

static void close_kept(struct kept *k)
{
	if (k->file)
		fclose(k->file);
	free(k->p);
	*k = (struct kept){0};
}

static int run_gc(lua_State *L)
{
	struct test_run *r = check(L);

	policy_free(r->policy);
	r->policy = NULL;
	close_kept(&r->out);
	close_kept(&r->err);
	free(r->sockets);
	free(r->args);
	r->sockets = NULL;
	r->args = NULL;
	return 0;
}

/* Replace the list at `index` by a copy that no script has, and make a vector of its
 * strings, which the copy holds. NULL: no memory. */
static char **copy_vector(lua_State *L, int index, const char *what, int *count)
{
	luaL_checktype(L, index, LUA_TTABLE);
	int n = args_length(L, index, what);

	lua_createtable(L, n, 0);
	for (int i = 1; i <= n; i++) {
		if (lua_rawgeti(L, index, i) != LUA_TSTRING)
			error_misuse(L, "%s: a list of strings expected", what);
		lua_rawseti(L, -2, i);
	}
	lua_replace(L, index);
	char **v = calloc((size_t)n + 1, sizeof *v);

	for (int i = 0; v && i < n; i++) {
		lua_rawgeti(L, index, i + 1);
		v[i] = (char *)lua_tostring(L, -1);
		lua_pop(L, 1);
	}
	*count = n;
	return v;
}

/* start(script, args, sockets) -> Run, and a Task for each socket. Raises a string where
 * there is no such script. */
int virtual_start(lua_State *L)
{
	const char *script = luaL_checkstring(L, 1);

	lua_settop(L, 3);
	struct test_run *r = types_push(L, RUN_BOX, sizeof *r, 3);

	r->options = *host_of(L)->options;
	r->args = copy_vector(L, 2, "args", &r->options.n_args);
	r->sockets = (const char **)copy_vector(L, 3, "sockets", &r->options.n_sockets);
	luaL_argcheck(L, r->options.n_sockets > 0, 3, "a socket expected");
	for (int i = 1; i <= 3; i++) {
		lua_pushvalue(L, i);
		lua_setiuservalue(L, 4, i);
	}
	r->options.args = r->args;
	r->options.sockets = r->sockets;
	r->options.script = script;
	r->options.chunk = NULL;
	r->options.builtin = NULL;
	r->options.test = false;
	if (r->args && r->sockets && open_kept(&r->out) && open_kept(&r->err))
		r->policy = policy_new(host_of(L), &r->options, r->out.file, r->err.file);
	if (!r->policy)
		return error_raise(L, HAP_ENOMEM, NULL);
	lua_pushvalue(L, 4);
	lua_rawsetp(L, LUA_REGISTRYINDEX, r);
	policy_start(L, r->policy);
	return 1 + r->options.n_sockets;
}

static int push_kept(lua_State *L, struct kept *k)
{
	if (!k->file)
		return luaL_error(L, "the run is closed");
	fflush(k->file);
	lua_pushlstring(L, k->p, k->n);
	return 1;
}

/* run:out() -> what it has printed so far */
static int run_out(lua_State *L)
{
	return push_kept(L, &check(L)->out);
}

/* run:err() -> what it has printed on standard error so far */
static int run_err(lua_State *L)
{
	return push_kept(L, &check(L)->err);
}

/* run:status() -> the exit status, once its tasks have ended */
static int run_status(lua_State *L)
{
	luaL_argcheck(L, check(L)->policy, 1, "the run is closed");
	lua_pushinteger(L, policy_status(check(L)->policy));
	return 1;
}

/* run:stop(signo): interrupt the run. Does not wait for its end. */
static int run_stop(lua_State *L)
{
	luaL_argcheck(L, check(L)->policy, 1, "the run is closed");
	policy_stop(check(L)->policy, (int)luaL_checkinteger(L, 2));
	return 0;
}

/* run:close(): free the run, once its tasks have ended or were abandoned */
static int run_close(lua_State *L)
{
	struct test_run *r = check(L);

	lua_pushnil(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, r);
	return run_gc(L);
}

/* load(path, globals) -> the file as a function with these globals, which become strict
 */
int virtual_load(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);

	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	script_file(L, path);
	return 1;
}

/* write(text [, err]): print to the running script's output; true: to its errors */
int virtual_write(lua_State *L)
{
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);

	fwrite(text, 1, n, policy_stream(L, lua_toboolean(L, 2)));
	return 0;
}

void virtual_types(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"out", run_out},   {"err", run_err},     {"status", run_status},
		{"stop", run_stop}, {"close", run_close}, {"__gc", run_gc},
		{NULL, NULL}};

	types_object(L, RUN_BOX, methods);
}
