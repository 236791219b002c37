/* SPDX-License-Identifier: MIT
 *
 * run.c - run{...}: a child process, waited for like everything else. */
#include "os/child.h"
#include "base/err.h"
#include "sched/host.h"
#include "os/signals.h"
#include "luakit/error.h"
#include "luakit/types.h"

#include <signal.h>
#include <string.h>

#define RUN_BOX "haplua.Run"
/* How long a child has between the polite signal and the other one. */
#define KILL_SECONDS 5.0

enum { SLOT_OPTIONS = 1, SLOT_BOX };

struct lrun {
	struct child *child; /* one reference, or NULL */
	struct clock *clock;
	struct timer kill;
	size_t told[3]; /* bytes of each stream that the script's function has had */
};

/* Options. */

static enum child_stream check_stream(lua_State *L, const char *name,
				      enum child_stream absent)
{
	static const char *const names[] = {"inherit", "null", "capture"};
	enum child_stream stream = absent;
	int type = lua_getfield(L, SLOT_OPTIONS, name);

	if (type == LUA_TFUNCTION) {
		stream = CHILD_CAPTURE;
	} else if (type == LUA_TSTRING) {
		const char *s = lua_tostring(L, -1);
		int i = 0;

		while (i < 3 && strcmp(s, names[i]) != 0)
			i++;
		if (i == 3)
			error_misuse(L,
				     "%s is 'inherit', 'null', 'capture' or a "
				     "function, not '%s'",
				     name, s);
		stream = (enum child_stream)i;
	} else if (type != LUA_TNIL) {
		error_misuse(L, "%s: a string or function expected, got %s", name,
			     lua_typename(L, type));
	}
	lua_pop(L, 1);
	return stream;
}

static void check_keys(lua_State *L)
{
	static const char *const known[] = {"stdin", "stdout", "stderr", "env", "cwd"};

	lua_pushnil(L);
	while (lua_next(L, SLOT_OPTIONS)) {
		bool ok = lua_isinteger(L, -2);

		for (size_t i = 0; i < sizeof known / sizeof *known && !ok; i++)
			ok = lua_type(L, -2) == LUA_TSTRING &&
			     strcmp(lua_tostring(L, -2), known[i]) == 0;
		if (!ok) {
			lua_pop(L, 1);
			error_misuse(L, "unknown option '%s'",
				     luaL_tolstring(L, -1, NULL));
		}
		lua_pop(L, 1);
	}
}

/* Push a word that C can take: a string without NUL. */
static const char *check_word(lua_State *L, const char *what)
{
	size_t n;
	const char *s = lua_tolstring(L, -1, &n);

	if (!s || strlen(s) != n)
		error_misuse(L, "%s: a string without NUL expected, got %s", what,
			     s ? "one with it" : luaL_typename(L, -1));
	return s;
}

/* The words of the command, as a vector in a userdata; they stay on the stack. [-0,
 * +many] */
static char **push_argv(lua_State *L)
{
	lua_Integer n = luaL_len(L, SLOT_OPTIONS);

	if (n < 1)
		error_misuse(L, "a list with the program and its arguments expected");
	luaL_checkstack(L, (int)n + 10, "too many arguments");
	char **argv = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *argv, 0);

	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, SLOT_OPTIONS, i);
		argv[i - 1] = (char *)check_word(L, "argument");
	}
	argv[n] = NULL;
	return argv;
}

/* The name of a variable must be one that getenv() can find. */
static void check_name(lua_State *L, int index)
{
	size_t n;
	const char *name;

	if (lua_type(L, index) != LUA_TSTRING)
		error_misuse(L, "env: names are strings");
	name = lua_tolstring(L, index, &n);
	if (n == 0 || strcspn(name, "=") != n)
		error_misuse(L, "env: a name without '=' and NUL expected, got '%s'",
			     name);
}

/* What goes to the child's standard input, if anything; it stays on the stack. [-0, +1]
 */
static bool push_input(lua_State *L, struct span *input)
{
	int type = lua_getfield(L, SLOT_OPTIONS, "stdin");

	if (type == LUA_TNIL)
		return false;
	if (type != LUA_TSTRING && type != LUA_TNUMBER)
		error_misuse(L, "stdin: a string expected, got %s",
			     lua_typename(L, type));
	input->p = lua_tolstring(L, -1, &input->n);
	return true;
}

extern char **environ;

/* This process's environment with the changes that `env` asks for (false unsets). [-0,
 * +many] */
static char **push_env(lua_State *L)
{
	size_t have = 0, n = 0;
	int type = lua_getfield(L, SLOT_OPTIONS, "env");

	if (type == LUA_TNIL)
		return NULL;
	if (type != LUA_TTABLE)
		error_misuse(L, "env: a table expected, got %s", lua_typename(L, type));
	int table = lua_gettop(L);

	while (environ[have])
		have++;
	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
		n++;
	luaL_checkstack(L, (int)n + 10, "too many variables");
	char **env = lua_newuserdatauv(L, (have + n + 1) * sizeof *env, 0);

	n = 0;
	for (size_t i = 0; i < have; i++) {
		const char *equals = strchr(environ[i], '=');

		lua_pushlstring(L, environ[i],
				equals ? (size_t)(equals - environ[i])
				       : strlen(environ[i]));
		if (lua_gettable(L, table) == LUA_TNIL)
			env[n++] = environ[i];
		lua_pop(L, 1);
	}
	lua_pushnil(L);
	while (lua_next(L, table)) {
		check_name(L, -2);
		if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
			lua_pop(L, 1);
			continue;
		}
		check_word(L, "env");
		lua_pushfstring(L, "%s=%s", lua_tostring(L, -2), lua_tostring(L, -1));
		env[n++] = (char *)lua_tostring(L, -1);
		lua_insert(L, -3); /* the new string stays, below the pair */
		lua_pop(L, 1);
	}
	env[n] = NULL;
	return env;
}

/* Ending. */

static void on_kill(struct timer *timer)
{
	struct lrun *r = CONTAINER_OF(timer, struct lrun, kill);

	child_kill(r->child, SIGKILL);
}

static void let_go(struct lrun *r)
{
	if (!r->child)
		return;
	clock_unset(r->clock, &r->kill);
	child_drop(r->child);
	r->child = NULL;
}

static int run_gc(lua_State *L)
{
	struct lrun *r = luaL_checkudata(L, 1, RUN_BOX);

	if (r->child)
		child_kill(r->child, SIGKILL);
	let_go(r);
	return 0;
}

static int run_close_k(lua_State *L, int status, lua_KContext context)
{
	struct lrun *r = lua_touserdata(L, 1);

	(void)status, (void)context;
	if (!r->child->exited)
		return task_park_quietly(L, 0, run_close_k);
	let_go(r);
	return 0;
}

/* The call ends early: the child gets the signal that this process got, else SIGTERM, and
 * is waited for. One typed at the terminal it has had already. */
static int run_close(lua_State *L)
{
	struct lrun *r = luaL_checkudata(L, 1, RUN_BOX);
	int signo = interrupt_signal();

	if (!r->child)
		return 0;
	if (r->child->exited || !lua_isyieldable(L))
		return run_gc(L);
	if (!(signo && interrupt_typed()))
		child_kill(r->child, signo ? signo : SIGTERM);
	if (clock_set(r->clock, &r->kill, clock_after(r->clock, KILL_SECONDS), on_kill) <
	    0)
		child_kill(r->child, SIGKILL);
	lua_settop(L, 1);
	return run_close_k(L, LUA_OK, 0);
}

/* Running. */

/* Push the next whole line (or, once the stream has ended, the rest) that the script's
 * function for it has not had. Returns whether. [-0, +(0|2)] */
static bool push_line(lua_State *L, struct lrun *r, int i, const char *name)
{
	struct buf *got = &r->child->got[i];
	struct span rest = {got->p + r->told[i], got->n - r->told[i]}, line;

	if (rest.n == 0)
		return false;
	if (lua_getfield(L, SLOT_OPTIONS, name) != LUA_TFUNCTION) {
		lua_pop(L, 1);
		return false;
	}
	if (!span_line(&rest, &line)) {
		if (r->child->used[i]) {
			lua_pop(L, 1);
			return false;
		}
		line = rest;
		rest.n = 0;
	}
	lua_pushlstring(L, line.p, line.n);
	r->told[i] = got->n - rest.n;
	if (r->told[i] == got->n)
		r->told[i] = got->n = 0;
	return true;
}

static void push_captured(lua_State *L, const struct lrun *r, int i, const char *name)
{
	bool captured = lua_getfield(L, SLOT_OPTIONS, name) == LUA_TSTRING &&
			strcmp(lua_tostring(L, -1), "capture") == 0;
	const struct buf *got = &r->child->got[i];

	lua_pop(L, 1);
	if (captured)
		lua_pushlstring(L, got->n ? got->p : "", got->n);
	else
		lua_pushnil(L);
}

static int run_k(lua_State *L, int status, lua_KContext context)
{
	struct lrun *r = lua_touserdata(L, SLOT_BOX);
	struct child *c = r->child;

	(void)status, (void)context;
	lua_settop(L, SLOT_BOX);
	while (push_line(L, r, 1, "stdout") || push_line(L, r, 2, "stderr"))
		lua_callk(L, 1, 0, 0, run_k);
	if (!child_ended(c))
		return task_park(L, 0, run_k);
	if (c->rc < 0)
		return error_raise(L, c->rc, NULL);
	lua_pushinteger(L, c->signal ? 128 + c->signal : c->status);
	push_captured(L, r, 1, "stdout");
	push_captured(L, r, 2, "stderr");
	return 3;
}

/* run{program, arguments..., stdin=, stdout=, stderr=, env=, cwd=} -> status, stdout,
 * stderr No shell. `status` is 128 + n for a child that signal n ended. */
static int lrun_run(lua_State *L)
{
	struct child_options o = {0};
	struct task *t = task_of(L);

	luaL_checktype(L, SLOT_OPTIONS, LUA_TTABLE);
	lua_settop(L, SLOT_OPTIONS);
	struct lrun *r = lua_newuserdatauv(L, sizeof *r, 0);

	*r = (struct lrun){.clock = &host_of(L)->clock};
	luaL_setmetatable(L, RUN_BOX);
	lua_toclose(L, SLOT_BOX);
	check_keys(L);
	o.out = check_stream(L, "stdout", CHILD_INHERIT);
	o.err = check_stream(L, "stderr", CHILD_INHERIT);
	o.argv = push_argv(L);
	o.env = push_env(L);
	if (lua_getfield(L, SLOT_OPTIONS, "cwd") != LUA_TNIL)
		o.cwd = check_word(L, "cwd");
	o.has_input = push_input(L, &o.input);
	fflush(NULL); /* what was printed before comes before what it prints */
	int rc = child_start(&r->child, &host_of(L)->loop, &o, task_wake, t);

	if (rc < 0)
		return error_misuse(L, "cannot start '%s': %s", o.argv[0], err_text(rc));
	return run_k(L, LUA_OK, 0);
}

int luaopen_haplua_run(lua_State *L)
{
	static const luaL_Reg meta[] = {
		{"__gc", run_gc}, {"__close", run_close}, {NULL, NULL}};
	static const luaL_Reg none[] = {{NULL, NULL}};

	types_object(L, RUN_BOX, none, meta);
	lua_pushcfunction(L, lrun_run);
	return 1;
}
