/* SPDX-License-Identifier: MIT
 *
 * virtual.c - the table `haplua.virtual`, for `haplua test` alone: virtual time, which
 * moves on when no task has anything left to do, and a Lua function that answers in the
 * place of every HAProxy. lua/haplua/test.lua makes the module haplua.test of it;
 * virtual_run.c runs scripts. Requests wait in a queue, and the host answers them between
 * two rounds of tasks: the function never runs within a script's call. */
#include "run/virtual.h"
#include "base/err.h"
#include "sched/cancel.h"
#include "sched/host.h"
#include "os/signals.h"
#include "luakit/error.h"
#include "luakit/types.h"
#include "net/request.h"

#include <math.h>
#include <stdio.h>

#define TEST_BOX   "haplua.VirtualTime"
#define SETTLE_BOX "haplua.Settle"
/* The instant at which virtual time begins. It is the same in each run: the fractions of
 * instants, which Lua rounds, decide which of two close timers is first. */
#define BEGINNING (1000 * CLOCK_SECOND)
/* Registry: the function that answers. */
#define ANSWER "haplua.answer"

/* A task that waits until all others wait. Lies in a userdata, which is closed when the
 * wait ends, whichever way. */
struct settle {
	struct test *test; /* NULL: not in its list */
	struct task *task;
	LIST_ENTRY(settle) link;
	bool step;  /* first let time move on to the next timer */
	bool moved; /* time has moved on */
	bool over;  /* the wait is over */
};

struct test {
	struct host_test base;
	TAILQ_HEAD(, request) queue; /* a reference each, through in_queue */
	LIST_HEAD(, settle) settling;
	struct task *guarded; /* counted: cancelled at `limit`; or NULL */
	uint64_t limit;       /* instant of the real monotonic clock */
	bool late;            /* `guarded` was cancelled */
};

static struct test *test_of(struct host *host)
{
	return CONTAINER_OF(host->test, struct test, base);
}

static void fake_transport(struct request *r)
{
	struct clock *c = r->target->clock;
	struct test *t = test_of(CONTAINER_OF(c, struct host, clock));

	request_ref(r);
	TAILQ_INSERT_TAIL(&t->queue, r, in_queue);
}

/* (request *) -> calls fn(address, bytes, put_off), which returns the answer's bytes; or
 * nil, seconds to ask again after; or nil, nil, the name of a system error. */
static int answer(lua_State *L)
{
	struct request **box = lua_touserdata(L, 1), *r = *box;
	struct span bytes = {NULL, 0};
	double seconds = 0;
	int rc = 0;

	if (lua_getfield(L, LUA_REGISTRYINDEX, ANSWER) == LUA_TFUNCTION) {
		lua_pushstring(L, r->target->name);
		lua_pushlstring(L, r->out.p, r->out.n);
		lua_pushboolean(L, r->put_off);
		lua_call(L, 3, 3);
	} else {
		lua_settop(L, 3);
		lua_pushliteral(L, "ENOENT");
	}
	if (lua_type(L, 2) == LUA_TSTRING)
		bytes.p = lua_tolstring(L, 2, &bytes.n);
	else if (!lua_isnil(L, 3))
		seconds = luaL_checknumber(L, 3);
	else
		rc = err_code(luaL_checkstring(L, 4));
	*box = NULL;
	if (rc == 0 && !bytes.p)
		request_ask_later(r, clock_after(r->target->clock, seconds));
	else
		request_answer(r, bytes, rc);
	return 0;
}

static void serve_one(lua_State *L, struct request *r)
{
	lua_pushcfunction(L, answer);
	lua_pushlightuserdata(L, &r);
	if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
		fprintf(stderr, "haplua: the fake HAProxy failed: %s\n",
			lua_tostring(L, -1));
		lua_pop(L, 1);
	}
	if (r)
		request_answer(r, (struct span){0}, UV_EIO);
}

static void let_go(struct test *t)
{
	if (t->guarded)
		task_unref(t->guarded);
	t->guarded = NULL;
}

static void serve(struct host *host)
{
	struct test *t = test_of(host);

	struct request *r;

	while ((r = TAILQ_FIRST(&t->queue))) { /* answers may add to the queue */
		TAILQ_REMOVE(&t->queue, r, in_queue);
		serve_one(host->L, r);
	}
	if (t->guarded && uv_hrtime() >= t->limit) {
		t->late = true;
		cancel_task(t->guarded);
		let_go(t);
	}
}

static void settle_leave(struct settle *s)
{
	if (!s->test)
		return;
	LIST_REMOVE(s, link);
	s->test = NULL;
}

/* Wake the tasks in settle(), and with `last` those in step(), too. Returns whether there
 * was one. */
static bool wake_settled(struct test *t, bool last)
{
	bool woken = false;

	for (struct settle *s = LIST_FIRST(&t->settling), *next; s; s = next) {
		next = LIST_NEXT(s, link);
		if (s->step && !last)
			continue;
		s->over = woken = true;
		settle_leave(s);
		task_wake(s->task);
	}
	return woken;
}

/* Turn the loop once without waiting: for signals, and for I/O that keeps no loop alive.
 */
static void look(struct host *host)
{
	uv_ref((uv_handle_t *)&host->before_sleep);
	uv_run(&host->loop, UV_RUN_NOWAIT);
	uv_unref((uv_handle_t *)&host->before_sleep);
}

static bool still(struct host *host)
{
	struct test *t = test_of(host);
	uint64_t next = clock_next(&host->clock);

	look(host);
	if (!STAILQ_EMPTY(&host->scheduler.ready))
		return true;
	if (next <= clock_now(&host->clock)) { /* as task.sleep(0) */
		clock_advance(&host->clock, next);
		return true;
	}
	if (wake_settled(t, false))
		return true;
	if (next == CLOCK_NEVER)
		return wake_settled(t, true);
	struct settle *s;

	LIST_FOREACH (s, &t->settling, link) {
		s->step = false;
		s->moved = true;
	}
	clock_advance(&host->clock, next);
	return true;
}

static int settle_close(lua_State *L)
{
	settle_leave(luaL_checkudata(L, 1, SETTLE_BOX));
	return 0;
}

static int settle_k(lua_State *L, int status, lua_KContext context)
{
	struct settle *s = lua_touserdata(L, 1);

	(void)status, (void)context;
	if (!s->over)
		return task_park(L, 0, settle_k);
	lua_pushboolean(L, s->moved);
	return 1;
}

static int settle(lua_State *L, bool step)
{
	struct test *t = test_of(host_of(L));
	struct task *task = task_of(L);

	lua_settop(L, 0);
	struct settle *s = types_push(L, SETTLE_BOX, sizeof *s, 0);

	lua_toclose(L, 1);
	s->task = task;
	s->step = step;
	s->test = t;
	LIST_INSERT_HEAD(&t->settling, s, link);
	return settle_k(L, LUA_OK, 0);
}

/* settle(): wait until no other task has anything left to do at this instant */
static int lvirtual_settle(lua_State *L)
{
	return settle(L, false);
}

/* step() -> has time moved on? As settle(), then moves the clock on to the next timer,
 * and settles again. */
static int lvirtual_step(lua_State *L)
{
	return settle(L, true);
}

/* next() -> seconds until the next timer, or nil */
static int lvirtual_next(lua_State *L)
{
	const struct clock *c = &host_of(L)->clock;
	uint64_t next = clock_next(c), now = clock_now(c);

	if (next == CLOCK_NEVER)
		return 0;
	lua_pushnumber(L, next > now ? (lua_Number)(next - now) / CLOCK_SECOND : 0);
	return 1;
}

/* clock(wall): set the wall clock, in seconds since 1970; monotonic time stays */
static int lvirtual_clock(lua_State *L)
{
	struct clock *c = &host_of(L)->clock;
	lua_Number wall = luaL_checknumber(L, 1);

	luaL_argcheck(L, fabs(wall) < 9e9, 1, "seconds since 1970 expected");
	clock_manual(c, clock_now(c), (int64_t)(wall * (double)CLOCK_SECOND));
	return 0;
}

/* answer(fn): have this function answer requests from now on; nil: all fail with ENOENT
 */
static int lvirtual_answer(lua_State *L)
{
	lua_settop(L, 1);
	lua_setfield(L, LUA_REGISTRYINDEX, ANSWER);
	return 0;
}

/* guard(task, seconds): cancel the task when so many seconds of real time have passed.
 * guard() -> was it cancelled? Ends the guard. */
static int lvirtual_guard(lua_State *L)
{
	struct test *t = test_of(host_of(L));

	let_go(t);
	if (lua_isnone(L, 1)) {
		lua_pushboolean(L, t->late);
		return 1;
	}
	t->late = false;
	struct task *task = task_check(L, 1);
	lua_Number seconds = luaL_checknumber(L, 2);

	t->limit = uv_hrtime() + (uint64_t)(seconds * (double)CLOCK_SECOND);
	t->guarded = task;
	task->refs++;
	return 0;
}

/* abandon(task): stop a root task and all below it for good, as a kill would */
static int lvirtual_abandon(lua_State *L)
{
	struct task *task = task_check(L, 1), *root = task_of(L);

	while (root->parent)
		root = root->parent;
	luaL_argcheck(L, !task->parent && task != root, 1, "another run's task expected");
	scheduler_abandon(task);
	return 0;
}

static int test_gc(lua_State *L)
{
	struct test *t = luaL_checkudata(L, 1, TEST_BOX);
	struct host *host = host_of(L);

	host->test = NULL;
	let_go(t);
	struct request *r;

	while ((r = TAILQ_FIRST(&t->queue))) {
		TAILQ_REMOVE(&t->queue, r, in_queue);
		request_ask_later(r, CLOCK_NEVER);
	}
	return 0;
}

/* Make time virtual from now on, and requests fake ones. */
static void begin(lua_State *L)
{
	struct host *host = host_of(L);
	struct test *t = types_push(L, TEST_BOX, sizeof *t, 0);

	t->base = (struct host_test){serve, still, fake_transport};
	TAILQ_INIT(&t->queue);
	lua_setfield(L, LUA_REGISTRYINDEX, TEST_BOX ".box");
	clock_manual(&host->clock, BEGINNING, clock_wall(&host->clock));
	host->test = &t->base;
}

static const luaL_Reg library[] = {
	{"settle", lvirtual_settle},
	{"step", lvirtual_step},
	{"next", lvirtual_next},
	{"clock", lvirtual_clock},
	{"answer", lvirtual_answer},
	{"guard", lvirtual_guard},
	{"abandon", lvirtual_abandon},
	{"start", virtual_start},
	{"load", virtual_load},
	{"write", virtual_write},
	{NULL, NULL},
};

int luaopen_haplua_virtual(lua_State *L)
{
	if (!host_of(L)->options->test)
		return luaL_error(L, "haplua.test is there under `haplua test` only");
	types_box(L, TEST_BOX, test_gc);
	types_box(L, SETTLE_BOX, settle_close);
	virtual_types(L);
	if (!host_of(L)->test)
		begin(L);
	luaL_newlib(L, library);
	return 1;
}
