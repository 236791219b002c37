/* SPDX-License-Identifier: MIT
 *
 * run.c - run{...}: start a child process and wait for its end. */
#include "os/child.h"
#include "base/err.h"
#include "sched/host.h"
#include "os/signals.h"
#include "luakit/args.h"
#include "luakit/error.h"
#include "luakit/types.h"

#include <signal.h>
#include <string.h>

#define RUN_BOX "haplua.Run"
/* How long a child has to end after a signal, before it gets SIGKILL. */
#define KILL_SECONDS 5.0

/* Stack of run{}: the argument, the options' values, the box, then what is made on the
 * way. */
enum {
	SLOT_OPTIONS = 1,
	SLOT_STDIN,
	SLOT_STDOUT,
	SLOT_STDERR,
	SLOT_ENV,
	SLOT_CWD,
	SLOT_GROUP,
	SLOT_BOX
};

static const struct args_option known[] = {
	{"stdin", ARGS_STRING | ARGS_NUMBER},
	{"stdout", ARGS_STRING | ARGS_FUNCTION},
	{"stderr", ARGS_STRING | ARGS_FUNCTION},
	{"env", ARGS_TABLE},
	{"cwd", ARGS_STRING},
	{"group", ARGS_BOOLEAN},
	{NULL, 0},
};

struct lrun {
	struct child *child; /* one reference, or NULL */
	struct clock *clock; /* borrowed */
	struct timer kill;
	size_t passed[3]; /* bytes of each stream that the script's function has got */
};

/* Options. */

/* What becomes of the stream `name`, whose option is at `index`. */
static enum child_stream check_stream(lua_State *L, int index, const char *name)
{
	static const char *const names[] = {[CHILD_INHERIT] = "inherit",
					    [CHILD_NULL] = "null",
					    [CHILD_CAPTURE] = "capture"};

	if (lua_isnil(L, index))
		return CHILD_INHERIT;
	if (lua_isfunction(L, index))
		return CHILD_CAPTURE;
	for (int i = CHILD_INHERIT; i <= CHILD_CAPTURE; i++)
		if (strcmp(lua_tostring(L, index), names[i]) == 0)
			return (enum child_stream)i;
	error_misuse(L, "%s is 'inherit', 'null', 'capture' or a function, not '%s'",
		     name, lua_tostring(L, index));
	return CHILD_INHERIT;
}

/* The string without NUL at -1, which messages call `what`; a number becomes a string in
 * its slot. */
static const char *check_word(lua_State *L, const char *what)
{
	size_t n;
	const char *s = lua_tolstring(L, -1, &n);

	if (!s || strlen(s) != n)
		error_misuse(L, "%s: a string without NUL expected, got %s", what,
			     s ? "one with it" : luaL_typename(L, -1));
	return s;
}

/* The `n` words of the command, as a vector in a userdata; they stay on the stack. [-0,
 * +many] */
static char **push_argv(lua_State *L, int n)
{
	luaL_checkstack(L, n + LUA_MINSTACK, "too many arguments");
	char **argv = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *argv, 0);

	for (int i = 1; i <= n; i++) {
		lua_geti(L, SLOT_OPTIONS, i);
		argv[i - 1] = (char *)check_word(L, "argument");
	}
	argv[n] = NULL;
	return argv;
}

/* Raise where the value at `index` is no name that getenv() could find. */
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

extern char **environ;

/* Push a table from a variable's name to "NAME=VALUE": this process's environment with
 * the changes that the option `env` asks for. [-0, +1] */
static void push_variables(lua_State *L)
{
	lua_newtable(L);
	int table = lua_gettop(L);

	for (char **variable = environ; *variable; variable++) {
		lua_pushlstring(L, *variable, strcspn(*variable, "="));
		lua_pushstring(L, *variable);
		lua_rawset(L, table);
	}
	for (lua_pushnil(L); lua_next(L, SLOT_ENV); lua_pop(L, 1)) {
		check_name(L, -2);
		lua_pushvalue(L, -2);
		if (lua_isboolean(L, -2) && !lua_toboolean(L, -2)) {
			lua_pushnil(L);
		} else {
			lua_pushvalue(L, -2);
			lua_pushfstring(L, "%s=%s", lua_tostring(L, -2),
					check_word(L, "env"));
			lua_replace(L, -2);
		}
		lua_rawset(L, table);
	}
}

/* The environment for `env`, as a vector in a userdata; its strings stay on the stack, in
 * a table of our own: the script's may change meanwhile. NULL: as this process's. [-0,
 * +(0|2)] */
static char **push_env(lua_State *L)
{
	size_t n = 0;

	if (lua_isnil(L, SLOT_ENV))
		return NULL;
	push_variables(L);
	int table = lua_gettop(L);

	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
		n++;
	char **env = lua_newuserdatauv(L, (n + 1) * sizeof *env, 0);

	env[n] = NULL;
	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
		env[--n] = (char *)lua_tostring(L, -1);
	return env;
}

/* Ending. */

static void on_kill(struct timer *timer)
{
	struct lrun *r = CONTAINER_OF(timer, struct lrun, kill);

	child_kill(r->child, SIGKILL);
}

/* Let go of the child, which SIGKILL ends if it still runs. */
static int run_gc(lua_State *L)
{
	struct lrun *r = luaL_checkudata(L, 1, RUN_BOX);

	if (!r->child)
		return 0;
	clock_unset(r->clock, &r->kill);
	child_drop(r->child);
	r->child = NULL;
	return 0;
}

/* Have the child wake task `t`, which is about to park; NULL: no task. A function that
 * gets lines may yield from a coroutine of the script, which may then outlive the task,
 * or go on in another one. */
static void set_owner(struct child *c, struct task *t)
{
	c->wake = t ? task_wake : NULL;
	c->owner = t;
}

static int run_close_k(lua_State *L, int status, lua_KContext context)
{
	struct lrun *r = lua_touserdata(L, 1);

	(void)status, (void)context;
	set_owner(r->child, task_of(L));
	if (!r->child->exited)
		return task_park_quietly(L, NULL, 0, run_close_k);
	return run_gc(L);
}

/* Where the call ends early, the child gets the signal that this process got, else
 * SIGTERM, and the task waits for its end. A signal typed at the terminal went to the
 * child, too, unless it has a group of its own. Where the task cannot wait, SIGKILL ends
 * the child. */
static int run_close(lua_State *L)
{
	struct lrun *r = luaL_checkudata(L, 1, RUN_BOX);
	int signo = signals_caught();

	if (!r->child)
		return 0;
	if (r->child->exited || !task_can_wait(L))
		return run_gc(L);
	if (r->child->group || !(signo && signals_typed()))
		child_kill(r->child, signo ? signo : SIGTERM);
	if (clock_set(r->clock, &r->kill, clock_after(r->clock, KILL_SECONDS), on_kill) <
	    0)
		child_kill(r->child, SIGKILL);
	lua_settop(L, 1);
	return run_close_k(L, LUA_OK, 0);
}

/* Running. */

/* Push the function at `slot`, and the next line of stream `i` that it has not got: a
 * whole one, or the rest once the stream has ended. Returns whether. [-0, +(0|2)] */
static bool push_line(lua_State *L, struct lrun *r, int i, int slot)
{
	struct buf *got = &r->child->got[i];
	struct span rest = {got->p + r->passed[i], got->n - r->passed[i]}, line;

	if (rest.n == 0 || !lua_isfunction(L, slot))
		return false;
	if (!span_line(&rest, &line)) {
		if (r->child->used[i])
			return false;
		line = rest;
		rest.n = 0;
	}
	lua_pushvalue(L, slot);
	lua_pushlstring(L, line.p, line.n);
	r->passed[i] = got->n - rest.n;
	if (r->passed[i] == got->n)
		r->passed[i] = got->n = 0;
	return true;
}

/* Push what stream `i` has written, or nil where the option at `slot` does not ask for
 * it. [-0, +1] */
static void push_captured(lua_State *L, const struct lrun *r, int i, int slot)
{
	const struct buf *got = &r->child->got[i];

	if (lua_isstring(L, slot) && strcmp(lua_tostring(L, slot), "capture") == 0)
		lua_pushlstring(L, got->p, got->n);
	else
		lua_pushnil(L);
}

static int run_k(lua_State *L, int status, lua_KContext context)
{
	struct lrun *r = lua_touserdata(L, SLOT_BOX);
	struct child *c = r->child;

	(void)status, (void)context;
	lua_settop(L, SLOT_BOX);
	set_owner(c, NULL);
	while (push_line(L, r, 1, SLOT_STDOUT) || push_line(L, r, 2, SLOT_STDERR))
		lua_callk(L, 1, 0, 0, run_k);
	if (!child_ended(c)) {
		set_owner(c, task_of(L));
		return task_park(L, 0, run_k);
	}
	if (c->rc < 0)
		return error_raise(L, c->rc, NULL);
	lua_pushinteger(L, c->signal ? 128 + c->signal : c->status);
	push_captured(L, r, 1, SLOT_STDOUT);
	push_captured(L, r, 2, SLOT_STDERR);
	return 3;
}

/* Push the box, which keeps the input for as long as the child may read it. [-0, +1] */
static struct lrun *push_box(lua_State *L)
{
	struct lrun *r = types_push(L, RUN_BOX, sizeof *r, 1);

	r->clock = &host_of(L)->clock;
	lua_tostring(L, SLOT_STDIN); /* makes a string of a number, in its slot */
	lua_pushvalue(L, SLOT_STDIN);
	lua_setiuservalue(L, SLOT_BOX, 1);
	lua_toclose(L, SLOT_BOX);
	return r;
}

/* run{program, arguments..., stdin=, stdout=, stderr=, env=, cwd=, group=} -> status,
 * stdout, stderr. No shell. `status` is 128 + n for a child that signal n ended. */
static int lrun_run(lua_State *L)
{
	struct child_options o = {0};

	task_of(L); /* raises outside of a task */
	luaL_checktype(L, SLOT_OPTIONS, LUA_TTABLE);
	lua_settop(L, SLOT_OPTIONS);
	int n = args_length(L, SLOT_OPTIONS, "arguments");

	if (n == 0)
		error_misuse(L, "a list with the program and its arguments expected");
	args_push_options(L, SLOT_OPTIONS, known, n);
	struct lrun *r = push_box(L);

	o.out = check_stream(L, SLOT_STDOUT, "stdout");
	o.err = check_stream(L, SLOT_STDERR, "stderr");
	o.argv = push_argv(L, n);
	o.env = push_env(L);
	lua_pushvalue(L, SLOT_CWD);
	o.cwd = lua_isnil(L, -1) ? NULL : check_word(L, "cwd");
	o.group = lua_toboolean(L, SLOT_GROUP);
	o.has_input = !lua_isnil(L, SLOT_STDIN);
	if (o.has_input)
		o.input.p = lua_tolstring(L, SLOT_STDIN, &o.input.n);
	if (!task_can_wait(L))
		return task_park(L, 0, run_k); /* raises, before there is a child */
	fflush(NULL); /* the script's output comes before the child's */
	int rc = child_start(&r->child, &host_of(L)->loop, &o);

	if (rc < 0)
		return error_misuse(L, "cannot start '%s': %s", o.argv[0], err_text(rc));
	return run_k(L, LUA_OK, 0);
}

int luaopen_haplua_run(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"__gc", run_gc}, {"__close", run_close}, {NULL, NULL}};

	types_object(L, RUN_BOX, methods);
	lua_pushcfunction(L, lrun_run);
	return 1;
}
