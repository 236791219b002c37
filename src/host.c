/* SPDX-License-Identifier: MIT
 *
 * host.c - start, run, ordered shutdown.
 * For each target a root task of the host's own spawns the script as its only child,
 * waits for its end, says on standard error what went wrong, and knows the exit status.
 */
#include "host.h"
#include "err.h"
#include "interrupt.h"
#include "lua_error.h"
#include "lua_haproxy.h"
#include "lua_script.h"
#include "lua_tables.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct host *host_of(lua_State *L)
{
	void *host;

	lua_getallocf(L, &host);
	return host;
}

static void *allocate(void *host, void *p, size_t old, size_t size)
{
	(void)host, (void)old;
	if (size == 0) {
		free(p);
		return NULL;
	}
	return realloc(p, size);
}

/* Only a fault of the host's own gets here: scripts run protected. */
static int panic(lua_State *L)
{
	const char *text = lua_tostring(L, -1);

	fprintf(stderr, "haplua: internal error: %s\n", text ? text : "(no message)");
	return 0;
}

/* Exit status of a run. */

static int status_of_kind(const char *kind, lua_State *L, int error)
{
	if (strcmp(kind, "unreachable") == 0 || strcmp(kind, "timeout") == 0)
		return EXIT_UNREACHABLE;
	if (strcmp(kind, "interrupted") == 0 &&
	    lua_getfield(L, error, "signal") == LUA_TNUMBER)
		return 128 + (int)lua_tointeger(L, -1);
	return EXIT_FAILED;
}

/* From the error at index `error`. [-0, +0] */
static int status_of_error(lua_State *L, int error)
{
	int top = lua_gettop(L), status = EXIT_FAILED;

	if (lua_istable(L, error) && lua_getmetatable(L, error)) {
		luaL_getmetatable(L, ERROR_OBJECT);
		if (lua_rawequal(L, -1, -2) &&
		    lua_getfield(L, error, "kind") == LUA_TSTRING)
			status = status_of_kind(lua_tostring(L, -1), L, error);
	}
	lua_settop(L, top);
	return status;
}

/* From what the script returned: an integer is its exit status. */
static int status_of_result(lua_State *L, int result)
{
	if (!lua_isinteger(L, result))
		return EXIT_DONE;
	lua_Integer status = lua_tointeger(L, result);

	return status >= 0 && status <= 255 ? (int)status : EXIT_FAILED;
}

/* The worst of several is the highest, but that a dry run's 4 is no failure. */
static int worse(int a, int b)
{
	if (a == EXIT_WOULD_CHANGE || b == EXIT_WOULD_CHANGE)
		return a == EXIT_DONE || b == EXIT_DONE || a == b ? EXIT_WOULD_CHANGE
		       : a == EXIT_WOULD_CHANGE                   ? b
								  : a;
	return a > b ? a : b;
}

/* Telling what went wrong. The stack of the root task: */
enum { SLOT_RUN = 1, SLOT_SCRIPT, SLOT_FAULT, SLOT_TRACE, SLOT_ADVICE };

/* (error) -> its text. For a protected call: a script's __tostring may do anything. */
static int text_of_error(lua_State *L)
{
	size_t n;
	const char *text = luaL_tolstring(L, 1, &n);

	error_push_visible(L, (struct span){text, n}, SIZE_MAX);
	return 1;
}

static void push_text_of_error(lua_State *L)
{
	lua_pushcfunction(L, text_of_error);
	lua_pushvalue(L, SLOT_FAULT);
	if (lua_pcall(L, 1, 1, 0) == LUA_OK)
		return;
	lua_pop(L, 1);
	lua_pushfstring(L, "an error that has no text (a %s)",
			luaL_typename(L, SLOT_FAULT));
}

static int report_k(lua_State *L, int status, lua_KContext context)
{
	struct run *run = (struct run *)context;
	bool several = run->host->options->n_sockets > 1;

	if (status != LUA_OK && status != LUA_YIELD) {
		lua_settop(L, SLOT_TRACE);
		lua_pushnil(L);
	}
	fflush(stdout);
	push_text_of_error(L);
	run->untold = false;
	fprintf(stderr, "%s%shaplua: %s\n", several ? run->socket : "",
		several ? ": " : "", lua_tostring(L, -1));
	if (lua_isstring(L, SLOT_ADVICE))
		fprintf(stderr, "%s\n", lua_tostring(L, SLOT_ADVICE));
	if (lua_isstring(L, SLOT_TRACE) && lua_rawlen(L, SLOT_TRACE) > 0)
		fprintf(stderr, "  raised at%s\n", lua_tostring(L, SLOT_TRACE));
	return 0;
}

/* Ask the library what to do about it. It may look around, so it may wait. */
static int report(lua_State *L, struct run *run)
{
	lua_getglobal(L, "require");
	lua_pushliteral(L, "haplua.advice");
	int status = lua_pcall(L, 1, 1, 0);

	if (status == LUA_OK) {
		lua_pushvalue(L, SLOT_FAULT);
		status = lua_pcallk(L, 1, 1, 0, (lua_KContext)run, report_k);
	}
	return report_k(L, status, (lua_KContext)run);
}

/* A run has ended: who waits at the barrier must know. */
static void end_run(struct run *run)
{
	struct host *host = run->host;

	run->ended = true;
	if (run->status == EXIT_DONE && host->would_change)
		run->status = EXIT_WOULD_CHANGE;
	for (int i = 0; i < host->options->n_sockets; i++)
		if (host->runs[i].waiting)
			task_wake(host->runs[i].waiting);
}

static int run_k(lua_State *L, int status, lua_KContext context)
{
	struct run *run = lua_touserdata(L, SLOT_RUN);
	struct task *script = run->script;

	(void)status, (void)context;
	if (script->state != TASK_DONE) {
		task_wait_for(task_of(L), script);
		return task_park_quietly(L, 0, run_k);
	}
	run->untold = script->failed && !run->exited;
	if (!script->failed && !run->exited) {
		luaL_checkstack(script->L, 1, NULL);
		lua_settop(script->L, lua_gettop(script->L) ? 1 : 0);
		run->status = status_of_result(script->L, 1);
	}
	if (script->failed && !run->exited) {
		for (int i = 1; i <= 2; i++) {
			lua_pushvalue(script->L, i);
			lua_xmove(script->L, L, 1);
		}
		run->status = status_of_error(L, SLOT_FAULT);
	}
	end_run(run);
	return lua_gettop(L) >= SLOT_FAULT ? report(L, run) : 0;
}

/* The function of a root task: (run, chunk, args...) */
static int run_main(lua_State *L)
{
	struct run *run = lua_touserdata(L, SLOT_RUN);

	run->script = task_spawn(L, &run->host->scheduler, task_of(L), lua_gettop(L) - 2);
	run->script->asked = true;
	return run_k(L, LUA_OK, 0);
}

/* What scripts call. */

static struct run *run_of(lua_State *L)
{
	struct task *t = task_of(L);

	while (t->parent)
		t = t->parent;
	return t->owner;
}

int host_exit(lua_State *L)
{
	struct run *run = run_of(L);
	int status = lua_isnoneornil(L, 1) ? EXIT_DONE
		     : lua_isboolean(L, 1)
			     ? (lua_toboolean(L, 1) ? EXIT_DONE : EXIT_FAILED)
			     : (int)luaL_checkinteger(L, 1) & 255;

	if (!run->exited) /* the first says why the script ends */
		run->status = status;
	run->exited = true;
	task_cancel(run->script);
	return task_end(L);
}

/* Has every run come to barrier number `round`, or passed it? -1: one never will. */
static int barrier_state(const struct host *host, size_t round)
{
	int missing = 0;

	for (int i = 0; i < host->options->n_sockets; i++) {
		const struct run *run = &host->runs[i];

		if (run->round > round)
			continue;
		if (run->ended)
			return -1;
		missing += run->waiting == NULL;
	}
	return missing == 0;
}

static int barrier_leave(lua_State *L)
{
	run_of(L)->waiting = NULL;
	return 0;
}

static int barrier_k(lua_State *L, int status, lua_KContext context)
{
	struct run *run = run_of(L);
	struct host *host = run->host;
	int state = barrier_state(host, run->round);

	(void)status, (void)context;
	if (state == 0)
		return task_park(L, 0, barrier_k);
	if (state < 0)
		return error_raise(L, HAP_EBARRIER, NULL);
	run->round++;
	for (int i = 0; i < host->options->n_sockets; i++)
		if (host->runs[i].waiting)
			task_wake(host->runs[i].waiting);
	return 0;
}

int host_barrier(lua_State *L)
{
	struct run *run = run_of(L);

	if (run->waiting)
		return error_misuse(L, "another task of this run waits at the barrier");
	lua_settop(L, 0);
	lua_newuserdatauv(L, 0, 0);
	luaL_setmetatable(L, "haplua.Barrier");
	lua_toclose(L, 1);
	run->waiting = task_of(L);
	return barrier_k(L, LUA_OK, 0);
}

/* Setting up. Under a protected call. */

static void start_run(lua_State *L, struct run *run)
{
	const struct options *o = run->host->options;
	struct task *root;

	lua_pushcfunction(L, run_main);
	lua_pushlightuserdata(L, run);
	int n = lua_script_load(L, o, run->socket);

	root = task_spawn(L, &run->host->scheduler, NULL, n + 2);
	root->owner = run;
	task_set_target(root,
			lua_target_open(L, span_of(run->socket), span_of(o->route)));
	lua_pop(L, 2);
}

static int set_up(lua_State *L)
{
	struct host *host = lua_touserdata(L, 1);
	const struct options *o = host->options;

	lua_script_setup(L);
	luaL_newmetatable(L, "haplua.Barrier");
	lua_pushcfunction(L, barrier_leave);
	lua_setfield(L, -2, "__close");
	luaL_requiref(L, "haplua.core", luaopen_haplua_core, 0);
	luaL_requiref(L, "haplua.task", luaopen_haplua_task, 0); /* boxes need their types */
	lua_settop(L, 1);
	for (int i = 0; i < o->n_sockets; i++) {
		host->runs[i] = (struct run){
			.host = host,
			.socket = o->sockets[i],
			.status = EXIT_FAILED,
			.untold = true,
		};
		start_run(L, &host->runs[i]);
	}
	return 0;
}

static void on_signal(void *owner, int signo)
{
	struct host *host = owner;

	(void)signo;
	scheduler_interrupt(&host->scheduler, HAP_EINTERRUPTED);
}

/* Running and shutting down. */

/* libuv runs its timers before it sleeps: those may have woken a task. */
static void on_before_sleep(uv_prepare_t *handle)
{
	struct host *host = handle->data;

	if (host->scheduler.first)
		uv_stop(&host->loop);
}

static void loop(struct host *host)
{
	while (host->scheduler.alive > 0) {
		scheduler_run(&host->scheduler);
		if (host->scheduler.first)
			uv_run(&host->loop, UV_RUN_NOWAIT);
		else if (host->scheduler.alive > 0 && !uv_run(&host->loop, UV_RUN_ONCE) &&
			 !host->scheduler.first)
			scheduler_interrupt(&host->scheduler, HAP_EDEADLOCK);
	}
}

static int run_all(struct host *host)
{
	lua_State *L = host->L;
	int status = EXIT_DONE;

	lua_pushcfunction(L, set_up);
	lua_pushlightuserdata(L, host);
	if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
		fprintf(stderr, "haplua: %s\n", luaL_tolstring(L, -1, NULL));
		return EXIT_USAGE;
	}
	lua_gc(L, LUA_GCINC, 200, 0, 0); /* Lua's own default */
	int rc = interrupt_start(&host->loop, on_signal, task_hook, host);

	if (rc < 0) {
		fprintf(stderr, "haplua: %s\n", err_text(rc));
		return EXIT_FAILED;
	}
	loop(host);
	interrupt_stop();
	for (int i = 0; i < host->options->n_sockets; i++) {
		status = worse(status, host->runs[i].status);
		if (host->runs[i].untold)
			fprintf(stderr, "haplua: %s\n", err_text(HAP_ENOMEM));
	}
	return status;
}

/* With the loop open: make everything else. */
static int start(struct host *host)
{
	int rc = clock_init(&host->clock, &host->loop);

	uv_prepare_init(&host->loop, &host->before_sleep);
	host->before_sleep.data = host;
	uv_prepare_start(&host->before_sleep, on_before_sleep);
	uv_unref((uv_handle_t *)&host->before_sleep);
	host->L = rc == 0 ? lua_newstate(allocate, host) : NULL;
	host->runs = calloc((size_t)host->options->n_sockets, sizeof *host->runs);
	if (rc == 0 && (!host->L || !host->runs))
		rc = HAP_ENOMEM;
	if (rc < 0)
		return rc;
	lua_atpanic(host->L, panic);
	/* Most runs are over before there is anything worth collecting: let the heap grow
	 * to ten times what it is now before the first real cycle. */
	lua_gc(host->L, LUA_GCINC, 1000, 0, 0);
	lua_gc(host->L, LUA_GCCOLLECT);
	scheduler_init(&host->scheduler, host->L, &host->clock);
	return 0;
}

/* What was printed must have arrived: a full disk is no success. */
static int flush_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	perror("haplua: standard output");
	return status == EXIT_DONE ? EXIT_FAILED : status;
}

/* Boxes close what they hold; then the loop sees every handle closed. */
static void stop(struct host *host)
{
	if (host->L)
		lua_close(host->L);
	clock_close(&host->clock);
	uv_close((uv_handle_t *)&host->before_sleep, NULL);
	uv_run(&host->loop, UV_RUN_DEFAULT);
	uv_loop_close(&host->loop);
	free(host->runs);
}

static int cannot_start(int rc)
{
	fprintf(stderr, "haplua: cannot start: %s\n", err_text(rc));
	return EXIT_FAILED;
}

int host_main(const struct options *options)
{
	struct host host = {.options = options};
	int status, rc = uv_loop_init(&host.loop);

	if (rc < 0)
		return cannot_start(rc);
	signal(SIGPIPE, SIG_IGN);
	rc = start(&host);
	status = rc < 0 ? cannot_start(rc) : flush_output(run_all(&host));
	stop(&host);
	if (status > 128) { /* so that a shell sees what ended us */
		signal(status - 128, SIG_DFL);
		raise(status - 128);
	}
	return status;
}
