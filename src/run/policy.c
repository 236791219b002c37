/* SPDX-License-Identifier: MIT
 *
 * policy.c - run a script, once for each target.
 * For each target a root task spawns the script as its only child, waits for its end, has
 * an error reported, and sets the exit status. */
#include "run/policy.h"
#include "run/report.h"
#include "base/err.h"
#include "sched/cancel.h"
#include "sched/host.h"
#include "os/signals.h"
#include "luakit/error.h"
#include "bindings/haproxy/call.h"
#include "run/script.h"
#include "luakit/types.h"

#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* One target's run of the script. */
struct run {
	struct policy *policy; /* borrowed */
	const char *socket;    /* borrowed: the address of its target */
	struct task *script;   /* borrowed: the box lies on the root's stack */
	int status;            /* exit status: once ended, or what os.exit() was given */
	bool ended;
	bool exited;          /* by os.exit() */
	bool missing;         /* it has failed, and this is not reported */
	struct task *waiting; /* in haproxy.barrier(), or NULL */
	size_t round;         /* barriers passed */
};

struct policy {
	struct host *host;             /* borrowed */
	const struct options *options; /* borrowed */
	FILE *out, *err;               /* borrowed: where its scripts print */
	struct run *runs;              /* owned */
	int n;
	int signo; /* the signal that policy_stop() stands for, or 0 */
};

/* Stack of the root task. */
enum { SLOT_RUN = 1, SLOT_SCRIPT, SLOT_ERROR, SLOT_TRACE, SLOT_ADVICE };

/* Once `haplua test` has ended, no run that it started goes on. A signal in the middle of
 * a start can leave a run that no test stops; on the virtual clock it would never end. */
static void abandon_others(struct policy *p)
{
	struct task *root, *next;

	for (int i = 0; i < p->n; i++)
		if (!p->runs[i].ended)
			return;
	for (root = LIST_FIRST(&p->host->scheduler.roots); root; root = next) {
		const struct run *run = root->owner;

		next = LIST_NEXT(root, siblings);
		if (run->policy != p)
			scheduler_abandon(root);
	}
}

/* A run has ended: who waits at the barrier must know. */
static void end_run(struct run *run)
{
	struct policy *p = run->policy;

	run->ended = true;
	if (run->status == EXIT_DONE && p->host->would_change)
		run->status = EXIT_WOULD_CHANGE;
	for (int i = 0; i < p->n; i++)
		if (p->runs[i].waiting)
			task_wake(p->runs[i].waiting);
	if (p->options->test)
		abandon_others(p);
}

static int report_k(lua_State *L, int status, lua_KContext context)
{
	struct run *run = lua_touserdata(L, SLOT_RUN);
	FILE *to = run->policy->err;

	(void)context;
	if (status != LUA_OK && status != LUA_YIELD) {
		lua_settop(L, SLOT_TRACE);
		lua_pushnil(L);
	}
	fflush(stdout);
	if (run->policy->n > 1)
		fprintf(to, "%s: ", run->socket);
	report_print(L, SLOT_ERROR, to);
	run->missing = false;
	if (lua_isstring(L, SLOT_ADVICE))
		fprintf(to, "%s\n", lua_tostring(L, SLOT_ADVICE));
	/* what somebody typed is wrong, and no line of the script */
	bool typed = report_status(L, SLOT_ERROR, EXIT_FAILED, 0) == EXIT_USAGE;
	if (!typed && lua_isstring(L, SLOT_TRACE) && lua_rawlen(L, SLOT_TRACE) > 0)
		fprintf(to, "  raised at%s\n", lua_tostring(L, SLOT_TRACE));
	return 0;
}

/* Print the error, the library's advice and the traceback. The library may ask HAProxy,
 * so this may wait. */
static int report(lua_State *L)
{
	lua_getglobal(L, "require");
	lua_pushliteral(L, "haplua.host.advice");
	int status = lua_pcall(L, 1, 1, 0);

	if (status == LUA_OK) {
		lua_pushvalue(L, SLOT_ERROR);
		status = lua_pcallk(L, 1, 1, 0, 0, report_k);
	}
	return report_k(L, status, 0);
}

static int run_k(lua_State *L, int status, lua_KContext context)
{
	struct run *run = lua_touserdata(L, SLOT_RUN);
	struct task *script = run->script;

	(void)status, (void)context;
	if (script->state != TASK_DONE) {
		return task_park_quietly(L, script, 0, run_k);
	}
	run->missing = script->failed && !run->exited;
	if (!script->failed && !run->exited) {
		luaL_checkstack(script->L, 1, NULL);
		lua_settop(script->L, lua_gettop(script->L) ? 1 : 0);
		run->status = report_returned(script->L, 1);
	}
	if (script->failed && !run->exited) {
		for (int i = 1; i <= 2; i++) {
			lua_pushvalue(script->L, i);
			lua_xmove(script->L, L, 1);
		}
		run->status =
			report_status(L, SLOT_ERROR, EXIT_FAILED, run->policy->signo);
	}
	end_run(run);
	return lua_gettop(L) >= SLOT_ERROR ? report(L) : 0;
}

/* The function of a root task: (run, chunk, args...) */
static int run_main(lua_State *L)
{
	struct run *run = lua_touserdata(L, SLOT_RUN);

	run->script = scheduler_spawn(L, &run->policy->host->scheduler, task_of(L),
				      lua_gettop(L) - 2);
	run->script->heard = true; /* by report() */
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

/* os.exit([status]): end the run of the calling task; its cleanups run first. */
static int exit_run(lua_State *L)
{
	struct run *run = run_of(L);
	int status = lua_isnoneornil(L, 1) ? EXIT_DONE
		     : lua_isboolean(L, 1)
			     ? (lua_toboolean(L, 1) ? EXIT_DONE : EXIT_FAILED)
			     : (int)luaL_checkinteger(L, 1) & 255;

	if (!run->exited) /* only the first call sets the status */
		run->status = status;
	run->exited = true;
	cancel_task(run->script);
	return cancel_self(L);
}

/* Has every run reached barrier number `round`? 1, 0; -1: one has ended before it. */
static int barrier_state(const struct policy *p, size_t round)
{
	int missing = 0;

	for (int i = 0; i < p->n; i++) {
		const struct run *run = &p->runs[i];

		if (run->round > round)
			continue;
		if (run->ended)
			return -1;
		missing += run->waiting == NULL || run->round < round;
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
	struct policy *p = run->policy;
	int state = barrier_state(p, run->round);

	(void)status, (void)context;
	if (state == 0)
		return task_park(L, 0, barrier_k);
	if (state < 0)
		return error_raise(L, HAP_EBARRIER, NULL);
	run->round++;
	for (int i = 0; i < p->n; i++)
		if (p->runs[i].waiting)
			task_wake(p->runs[i].waiting);
	return 0;
}

/* haproxy.barrier(): wait until the run of every target has reached it. */
static int barrier(lua_State *L)
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

/* several(), in haplua.core -> does the script run for more than one target? */
static int several(lua_State *L)
{
	lua_pushboolean(L, run_of(L)->policy->n > 1);
	return 1;
}

static void add_word(lua_State *L, const char *word)
{
	lua_pushstring(L, word);
	lua_rawseti(L, 1, (lua_Integer)lua_rawlen(L, 1) + 1);
}

/* options(), in haplua.core -> the words of the options that confine the requests of this
 * run, for another start of haplua. */
static int options(lua_State *L)
{
	const struct options *o = run_of(L)->policy->options;

	lua_settop(L, 0);
	lua_newtable(L);
	if (*o->route) {
		add_word(L, "--via");
		add_word(L, o->route);
	}
	if (o->dry_run)
		add_word(L, "-n");
	if (o->permit.read_only)
		add_word(L, "--read-only");
	for (int i = 0; i < o->permit.n_only; i++) {
		add_word(L, "--only");
		add_word(L, o->permit.only[i].text);
	}
	if (o->timeout > 0) {
		lua_pushfstring(L, "%f", (lua_Number)o->timeout);
		add_word(L, "-t");
		add_word(L, lua_tostring(L, 2));
	}
	lua_settop(L, 1);
	return 1;
}

/* Setting up, in a protected call. */

/* Start a run: pushes the box of its root task. [-0, +1] */
static void start_run(lua_State *L, struct run *run)
{
	const struct options *o = run->policy->options;
	struct task *root;

	lua_pushcfunction(L, run_main);
	lua_pushlightuserdata(L, run);
	int n = script_load(L, o, run->socket);

	root = scheduler_spawn(L, &run->policy->host->scheduler, NULL, n + 2);
	root->owner = run;
	task_set_target(root, core_open(L, span_of(run->socket), span_of(o->route)));
	lua_pop(L, 1);
}

struct policy *policy_new(struct host *host, const struct options *options, FILE *out,
			  FILE *err)
{
	struct policy *p = malloc(sizeof *p);

	if (!p)
		return NULL;
	*p = (struct policy){host, options, out, err, NULL, options->n_sockets, 0};
	p->runs = calloc((size_t)p->n, sizeof *p->runs);
	if (!p->runs) {
		free(p);
		return NULL;
	}
	for (int i = 0; i < p->n; i++)
		p->runs[i] = (struct run){
			.policy = p,
			.socket = options->sockets[i],
			.status = EXIT_FAILED,
			.missing = true,
		};
	return p;
}

void policy_free(struct policy *p)
{
	if (p)
		free(p->runs);
	free(p);
}

void policy_start(lua_State *L, struct policy *p)
{
	luaL_checkstack(L, p->n + 4, "too many targets");
	for (int i = 0; i < p->n; i++)
		start_run(L, &p->runs[i]);
}

void policy_stop(struct policy *p, int signo)
{
	p->signo = signo;
	for (int i = 0; i < p->n; i++)
		if (!p->runs[i].ended && p->runs[i].script)
			cancel_task(p->runs[i].script);
}

int policy_status(const struct policy *p)
{
	int status = EXIT_DONE;

	for (int i = 0; i < p->n; i++)
		status = report_worse(status, p->runs[i].status);
	return status;
}

FILE *policy_stream(lua_State *L, bool err)
{
	const struct policy *p = run_of(L)->policy;

	return err ? p->err : p->out;
}

static int set_up(lua_State *L)
{
	struct policy *p = lua_touserdata(L, 1);

	script_setup(L);
	luaL_newmetatable(L, "haplua.Barrier");
	lua_pushcfunction(L, barrier_leave);
	lua_setfield(L, -2, "__close");
	lua_getglobal(L, LUA_OSLIBNAME);
	lua_pushcfunction(L, exit_run);
	lua_setfield(L, -2, "exit");
	luaL_requiref(L, "haplua.core", luaopen_haplua_core, 0);
	lua_pushcfunction(L, barrier);
	lua_setfield(L, -2, "barrier");
	lua_pushcfunction(L, several);
	lua_setfield(L, -2, "several");
	lua_pushcfunction(L, options);
	lua_setfield(L, -2, "options");
	lua_pushstring(L, p->options->version);
	lua_setfield(L, -2, "version");
	luaL_requiref(L, "haplua.task", luaopen_haplua_task,
		      0); /* boxes need their types */
	if (p->options->test)
		luaL_requiref(L, "haplua.virtual", luaopen_haplua_virtual, 0);
	lua_settop(L, 1);
	policy_start(L, p);
	return 0;
}

/* Let the collector work as Lua sets it. In a debug build $HAPLUA_GC may ask for one that
 * finds what is used after it was let go: `all`, a whole cycle whenever Lua looks whether
 * to collect, which each function of its interface that allocates does; `generational`,
 * Lua's other collector, as eager as it can be. */
static void set_collector(lua_State *L)
{
	lua_gc(L, LUA_GCINC, 200, 0, 0);
#ifdef HAP_DEBUG
	const char *how = getenv("HAPLUA_GC");

	if (how && strcmp(how, "all") == 0)
		lua_gc(L, LUA_GCINC, 1, 1000, 63);
	else if (how && strcmp(how, "generational") == 0)
		lua_gc(L, LUA_GCGEN, 1, 0);
#endif
}

static int run_all(struct policy *p)
{
	lua_State *L = p->host->L;

	lua_pushcfunction(L, set_up);
	lua_pushlightuserdata(L, p);
	int rc = lua_pcall(L, 1, 0, 0);

	if (rc != LUA_OK) {
		report_print(L, 1, stderr);
		return rc == LUA_ERRMEM ? EXIT_FAILED
					: report_status(L, 1, EXIT_USAGE, 0);
	}
	set_collector(L);
	rc = host_loop(p->host);

	if (rc < 0) {
		fprintf(stderr, "haplua: %s\n", err_text(rc));
		return EXIT_FAILED;
	}
	for (int i = 0; i < p->n; i++)
		if (p->runs[i].missing)
			fprintf(stderr, "haplua: %s\n", err_text(HAP_ENOMEM));
	return policy_status(p);
}

/* Where standard output could not be written, because the disk is full, say, the run is
 * no success. */
static int flush_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	perror("haplua: standard output");
	return status == EXIT_DONE ? EXIT_FAILED : status;
}

int policy_run(const struct options *options)
{
	struct host host;
	int status = EXIT_FAILED, rc = host_start(&host, options);

	if (rc == 0) {
		struct policy *p = policy_new(&host, options, stdout, stderr);

		rc = p ? 0 : HAP_ENOMEM;
		if (p)
			status = flush_output(run_all(p));
		host_stop(&host);
		policy_free(p);
	}
	if (rc < 0)
		fprintf(stderr, "haplua: cannot start: %s\n", err_text(rc));
	int signo = signals_caught();

	if (signo && status == 128 + signo) { /* so that a shell sees the signal */
		signal(signo, SIG_DFL);
		raise(signo);
	}
	return status;
}
