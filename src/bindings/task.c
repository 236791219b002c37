/* SPDX-License-Identifier: MIT
 *
 * task.c - the table `task`: spawn, sleep, deadline, and the handle of a task. */
#include "base/err.h"
#include "sched/host.h"
#include "luakit/error.h"
#include "luakit/types.h"
#include "sched/cancel.h"
#include "sched/deadline.h"

#include <lauxlib.h>
#include <stdlib.h>

#define SLEEP_BOX    "haplua.Sleep"
#define DEADLINE_BOX "haplua.Deadline"

/* task.spawn(fn, ...) -> Task. Begins when the caller waits next. */
static int ltask_spawn(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	scheduler_spawn(L, &host_of(L)->scheduler, task_of(L), lua_gettop(L) - 1);
	return 1;
}

/* The task in argument 1, which the running one can wait for: not itself, nor a parent.
 */
static struct task *check_other(lua_State *L)
{
	struct task *t = task_check(L, 1);

	for (struct task *up = task_of(L); up; up = up->parent)
		luaL_argcheck(L, up != t, 1,
			      "a task cannot wait for itself or for a parent of its own");
	return t;
}

/* task:wait() -> what its function returned; raises what it raised. */
static int ltask_wait(lua_State *L)
{
	struct task *t = check_other(L);

	lua_settop(L, 1);
	return task_join(L, t);
}

/* task:cancel(): its waits raise `interrupted`. Does not wait for its end. */
static int ltask_cancel(lua_State *L)
{
	cancel_task(task_check(L, 1));
	return 0;
}

/* task:done() -> has it ended? */
static int ltask_done(lua_State *L)
{
	lua_pushboolean(L, task_check(L, 1)->state == TASK_DONE);
	return 1;
}

static int ltask_close_k(lua_State *L, int status, lua_KContext context)
{
	struct task *t = task_check(L, 1);

	(void)status, (void)context;
	if (t->state == TASK_DONE)
		return 0;
	return task_park_quietly(L, t, 0, ltask_close_k);
}

/* <close>: cancel, and wait for the end. */
static int ltask_close(lua_State *L)
{
	cancel_task(task_check(L, 1));
	/* A coroutine that has failed is closed where nobody can wait: an error of this
	 * call would take the place of the one that is on its way. */
	if (!task_can_wait(L) && !lua_isnoneornil(L, 2))
		return 0;
	check_other(L);
	lua_settop(L, 1);
	return ltask_close_k(L, LUA_OK, 0);
}

static int ltask_gc(lua_State *L)
{
	struct task **box = lua_touserdata(L, 1);

	if (*box)
		task_unref(*box);
	*box = NULL;
	return 0;
}

static int ltask_tostring(lua_State *L)
{
	static const char *const states[] = {"ready", "running", "waiting", "done"};
	struct task *t = task_check(L, 1);

	lua_pushfstring(L, "task: %p (%s)", (void *)t,
			t->state == TASK_DONE && t->failed ? "failed" : states[t->state]);
	return 1;
}

/* Sleeping. The timer lies in a userdata that is closed however the call ends. */

struct sleep {
	struct clock *clock;
	struct timer timer; /* `wall`: of sleep_until */
	struct task *task;
	bool over;
	int64_t until; /* sleep_until: the wall clock's instant */
	int64_t shift; /* and wall time minus monotonic time at the start */
};

static void on_slept(struct timer *timer)
{
	struct sleep *s = CONTAINER_OF(timer, struct sleep, timer);

	s->over = true;
	task_wake(s->task);
}

static int sleep_close(lua_State *L)
{
	struct sleep *s = luaL_checkudata(L, 1, SLEEP_BOX);

	clock_unset(s->clock, &s->timer);
	return 0;
}

static struct sleep *push_sleep(lua_State *L)
{
	struct task *t = task_of(L);

	lua_settop(L, 1);
	struct sleep *s = types_push(L, SLEEP_BOX, sizeof *s, 0);

	s->clock = &host_of(L)->clock;
	s->task = t;
	lua_toclose(L, 2);
	return s;
}

static int slept_k(lua_State *L, int status, lua_KContext context)
{
	struct sleep *s = lua_touserdata(L, 2);

	(void)status, (void)context;
	if (!s->over)
		return task_park(L, 0, slept_k);
	lua_pushboolean(L, clock_wall(s->clock) >= s->until);
	return s->timer.wall;
}

/* task.sleep(seconds). 0 lets the other tasks run once. */
static int ltask_sleep(lua_State *L)
{
	lua_Number seconds = luaL_checknumber(L, 1);

	luaL_argcheck(L, seconds >= 0, 1, "seconds, 0 or more, expected");
	struct sleep *s = push_sleep(L);

	if (clock_set(s->clock, &s->timer, clock_after(s->clock, seconds), on_slept) < 0)
		return error_raise(L, HAP_ENOMEM, NULL);
	return slept_k(L, LUA_OK, 0);
}

/* The wall clock has been set, or the machine was suspended, when it and the monotonic
 * clock part by more than this: ntpd slews smaller differences, which moves both. */
#define CLOCK_WAS_SET ((int64_t)CLOCK_SECOND / 10)
/* Nobody tells when; so it is looked at this often. */
#define LOOK_EVERY ((int64_t)CLOCK_SECOND)

static int64_t clock_shift(const struct clock *c)
{
	return clock_wall(c) - (int64_t)clock_now(c);
}

static void on_wall_slept(struct timer *timer);

/* Set the timer for the instant, or for the next look. 0 or HAP_ENOMEM. */
static int sleep_on(struct sleep *s)
{
	int64_t left = s->until - clock_wall(s->clock);

	if (!s->clock->manual && left > LOOK_EVERY)
		left = LOOK_EVERY;
	return clock_set(s->clock, &s->timer,
			 clock_now(s->clock) + (uint64_t)(left > 0 ? left : 0),
			 on_wall_slept);
}

static void on_wall_slept(struct timer *timer)
{
	struct sleep *s = CONTAINER_OF(timer, struct sleep, timer);

	/* the timer that fires has left its place to this one: there is memory */
	if (clock_wall(s->clock) >= s->until ||
	    llabs(clock_shift(s->clock) - s->shift) > CLOCK_WAS_SET || sleep_on(s) < 0)
		on_slept(timer);
}

/* task.sleep_until(instant) -> is it time? Sleeps until the wall clock shows it. False:
 * the clock was set, or the machine was suspended, and it is not; noticed within a
 * second. */
static int ltask_sleep_until(lua_State *L)
{
	lua_Number instant = luaL_checknumber(L, 1);

	luaL_argcheck(L, instant > -9e9 && instant < 9e9, 1,
		      "seconds since 1970 expected");
	struct sleep *s = push_sleep(L);

	s->timer.wall = true;
	s->until = (int64_t)(instant * (lua_Number)CLOCK_SECOND);
	s->shift = clock_shift(s->clock);
	if (sleep_on(s) < 0)
		return error_raise(L, HAP_ENOMEM, NULL);
	return slept_k(L, LUA_OK, 0);
}

static int deadline_close(lua_State *L)
{
	deadline_leave(luaL_checkudata(L, 1, DEADLINE_BOX));
	return 0;
}

static int ltask_deadline_k(lua_State *L, int status, lua_KContext context)
{
	struct deadline *d = lua_touserdata(L, 1);
	bool is_error = status != LUA_OK && status != LUA_YIELD;

	(void)context;
	deadline_leave(d);
	if (is_error)
		return lua_error(L);
	if (d->raised) /* the function swallowed the error and went on */
		return error_raise(L, HAP_ETIMEOUT,
				   &(struct error_about){.seconds = d->seconds});
	return lua_gettop(L) - 1;
}

/* task.deadline(seconds, fn, ...) -> what fn returns. When the time is over, fn's wait
 * raises `timeout`, or its next instruction where it does not wait; its cleanups may wait
 * for 5 seconds more. */
static int ltask_deadline(lua_State *L)
{
	lua_Number seconds = luaL_checknumber(L, 1);

	luaL_argcheck(L, seconds >= 0, 1, "seconds, 0 or more, expected");
	luaL_checktype(L, 2, LUA_TFUNCTION);
	task_of(L);
	struct deadline *d = types_push(L, DEADLINE_BOX, sizeof *d, 1);

	lua_pushthread(L); /* the deadline knows its coroutine */
	lua_setiuservalue(L, -2, 1);
	lua_replace(L, 1);
	lua_toclose(L, 1); /* coroutine.close() ends it, too */
	if (deadline_enter(d, L, seconds) < 0)
		return error_raise(L, HAP_ENOMEM, NULL);
	int status =
		lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, ltask_deadline_k);

	return ltask_deadline_k(L, status, 0);
}

/* task.now() -> monotonic seconds, of no particular beginning. */
static int ltask_now(lua_State *L)
{
	lua_pushnumber(L, (lua_Number)clock_now(&host_of(L)->clock) / CLOCK_SECOND);
	return 1;
}

/* task.time() -> seconds since 1970 UTC, with fractions: os.time() through the host's
 * clock. */
static int ltask_time(lua_State *L)
{
	lua_pushnumber(L, (lua_Number)clock_wall(&host_of(L)->clock) / CLOCK_SECOND);
	return 1;
}

static const luaL_Reg library[] = {
	{"spawn", ltask_spawn},
	{"sleep", ltask_sleep},
	{"sleep_until", ltask_sleep_until},
	{"deadline", ltask_deadline},
	{"now", ltask_now},
	{"time", ltask_time},
	{NULL, NULL},
};

static const luaL_Reg methods[] = {
	{"wait", ltask_wait}, {"cancel", ltask_cancel}, {"done", ltask_done},
	{"__gc", ltask_gc},   {"__close", ltask_close}, {"__tostring", ltask_tostring},
	{NULL, NULL},
};

int luaopen_haplua_task(lua_State *L)
{
	types_object(L, TASK_BOX, methods);
	types_box(L, SLEEP_BOX, sleep_close);
	types_box(L, DEADLINE_BOX, deadline_close);
	luaL_newlib(L, library);
	return 1;
}
