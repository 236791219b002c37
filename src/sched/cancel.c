/* SPDX-License-Identifier: MIT
 *
 * cancel.c - marking tasks, raising in them, and the grace that follows. */
#include "sched/cancel.h"
#include "base/err.h"
#include "luakit/error.h"
#include "os/signals.h"

#include <lauxlib.h>
#include <signal.h>

/* The causes that are in force in a task are its active_error and its raised deadlines.
 */

static uint64_t grace_from_now(const struct task *t)
{
	return clock_after(t->s->clock, CANCEL_GRACE_SECONDS);
}

static uint64_t first_grace_end(const struct task *t)
{
	uint64_t end = t->active_error ? t->active_grace_end : CLOCK_NEVER;

	for (const struct deadline *d = LIST_FIRST(&t->deadlines); d;
	     d = LIST_NEXT(d, link))
		if (d->raised && d->grace_end < end)
			end = d->grace_end;
	return end;
}

static bool has_expired(const struct task *t, uint64_t end)
{
	return end != CLOCK_NEVER && end <= clock_now(t->s->clock);
}

static void on_grace_end(struct timer *timer)
{
	task_wake(CONTAINER_OF(timer, struct task, grace));
}

/* Set the end of every grace that runs. */
static void set_grace_ends(struct task *t, uint64_t end)
{
	if (t->active_error)
		t->active_grace_end = end;
	for (struct deadline *d = LIST_FIRST(&t->deadlines); d; d = LIST_NEXT(d, link))
		if (d->raised)
			d->grace_end = end;
}

void cancel_arm_grace(struct task *t)
{
	uint64_t end = first_grace_end(t);
	struct clock *c = t->s->clock;

	if (end == CLOCK_NEVER || has_expired(t, end))
		clock_unset(c, &t->grace);
	else if ((t->grace.slot == 0 || t->grace.at != end) &&
		 clock_set(c, &t->grace, end, on_grace_end) < 0)
		set_grace_ends(t, clock_now(c)); /* no memory for a timer: no time */
}

void cancel_renew_grace(struct task *t)
{
	if (first_grace_end(t) == CLOCK_NEVER)
		return;
	set_grace_ends(t, grace_from_now(t));
	cancel_arm_grace(t);
}

void cancel_forget(struct task *t)
{
	t->pending_error = t->active_error = 0;
	clock_unset(t->s->clock, &t->grace);
}

/* The error that is to be raised now, which counts as raised from here on: HAP_E*, or 0.
 * *d is the deadline that HAP_ETIMEOUT is about. */
static int take_due(struct task *t, struct deadline **d)
{
	int rc = t->pending_error;

	t->pending_error = 0;
	if (rc == HAP_EINTERRUPTED) {
		t->active_error = rc;
		t->active_grace_end = grace_from_now(t);
	}
	if (rc)
		return rc;
	for (*d = LIST_FIRST(&t->deadlines); *d; *d = LIST_NEXT(*d, link)) {
		if ((*d)->fired && !(*d)->raised) {
			(*d)->raised = true;
			(*d)->grace_end = grace_from_now(t);
			return HAP_ETIMEOUT;
		}
	}
	if (t->active_error && has_expired(t, t->active_grace_end))
		return t->active_error;
	for (*d = LIST_FIRST(&t->deadlines); *d; *d = LIST_NEXT(*d, link))
		if ((*d)->raised && has_expired(t, (*d)->grace_end))
			return HAP_ETIMEOUT;
	return 0;
}

/* Push the error object of an interruption, the same one each time, or of a deadlock: its
 * parent recognises it. [-0, +1] */
static void push_kept(lua_State *L, struct task *t, int rc)
{
	int slot = rc == HAP_EINTERRUPTED ? BOX_INTERRUPTED : BOX_DEADLOCK;
	struct error_about about = {0};

	lua_rawgeti(L, LUA_REGISTRYINDEX, t->anchor);
	if (lua_getiuservalue(L, -1, slot) == LUA_TNIL || rc != HAP_EINTERRUPTED) {
		lua_pop(L, 1);
		if (rc == HAP_EINTERRUPTED && !t->cancelled)
			about.signal = signals_caught();
		error_push(L, rc, &about);
		lua_pushvalue(L, -1);
		lua_setiuservalue(L, -3, slot);
	}
	lua_remove(L, -2);
}

bool cancel_push(lua_State *L, struct task *t)
{
	struct deadline *d = NULL;

	luaL_checkstack(L, 6, NULL);
	int rc = take_due(t, &d);

	if (rc == 0)
		return false;
	cancel_arm_grace(t);
	if (d)
		error_push(L, rc, &(struct error_about){.seconds = d->seconds});
	else
		push_kept(L, t, rc);
	cancel_enter(L, t);
	cancel_watch(t);
	return true;
}

void cancel_task(struct task *t)
{
	if (t->state == TASK_DONE || t->cancelled)
		return;
	t->cancelled = true;
	if (t->active_error != HAP_EINTERRUPTED)
		t->pending_error = HAP_EINTERRUPTED;
	task_wake(t);
}

void cancel_interrupt(struct task *t)
{
	if (t->active_error != HAP_EINTERRUPTED)
		t->pending_error = HAP_EINTERRUPTED;
	task_wake(t);
}

bool cancel_forgive(lua_State *L, struct task *t)
{
	if (t->cancelled || signals_caught() != SIGINT ||
	    (t->active_error != HAP_EINTERRUPTED && !t->pending_error))
		return false;
	luaL_checkstack(L, 2, NULL);
	lua_rawgeti(L, LUA_REGISTRYINDEX, t->anchor);
	lua_pushnil(L);
	lua_setiuservalue(L, -2, BOX_INTERRUPTED);
	lua_pop(L, 1);
	cancel_forget(t);
	cancel_arm_grace(t);
	signals_forget();
	return true;
}

int cancel_self(lua_State *L)
{
	struct task *t = task_current(L);

	cancel_task(t);
	t->pending_error = HAP_EINTERRUPTED;
	cancel_push(L, t);
	return lua_error(L);
}

static void mark(struct task *t, int rc)
{
	if (t->active_error != rc)
		t->pending_error = rc;
	for (struct task *c = LIST_FIRST(&t->children); c; c = LIST_NEXT(c, siblings))
		mark(c, rc);
	task_wake(t);
}

void cancel_all(struct scheduler *s, int rc)
{
	struct task *root, *t;

	LIST_FOREACH (root, &s->roots, siblings)
		LIST_FOREACH (t, &root->children, siblings)
			mark(t, rc);
}

/* A task that computes: the hook. */

static lua_State *volatile running;

lua_State *cancel_set_running(lua_State *L)
{
	lua_State *before = running;

	running = L;
	return before;
}

/* Has a deadline of a parent passed? The parent cannot raise it while `t` computes. */
static bool parent_is_late(const struct task *t, uint64_t now)
{
	for (const struct task *up = t->parent; up; up = up->parent)
		for (const struct deadline *d = LIST_FIRST(&up->deadlines); d;
		     d = LIST_NEXT(d, link))
			if (!d->raised && d->timer.at <= now)
				return true;
	return false;
}

/* While a task computes, the loop runs no timers: look at the time here. A hook that has
 * nothing to raise takes itself off; a late signal costs no more than that. */
static void on_hook(lua_State *L, lua_Debug *ar)
{
	struct task *t = task_current(L);
	uint64_t now;

	(void)ar;
	lua_sethook(L, NULL, 0, 0);
	if (!t)
		return;
	signals_flush();
	now = clock_now(t->s->clock);
	for (struct deadline *d = LIST_FIRST(&t->deadlines); d; d = LIST_NEXT(d, link))
		d->fired = d->fired || d->timer.at <= now;
	if (!t->cancelled && parent_is_late(t, now))
		cancel_task(t);
	if (cancel_push(L, t))
		lua_error(L);
	cancel_watch(t);
}

void cancel_stop_running(void)
{
	lua_State *L = running;

	if (L)
		lua_sethook(L, on_hook,
			    LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

void cancel_enter(lua_State *L, const struct task *t)
{
	bool is_clear = !t->active_error && LIST_EMPTY(&t->deadlines); /* as a rule */

	if (!is_clear && has_expired(t, first_grace_end(t)))
		lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
}

/* The first instant at which something in `t` becomes due; an end of a grace that is over
 * counts no more, since every instruction raises then. */
static uint64_t next_due(const struct task *t)
{
	uint64_t at = first_grace_end(t);

	if (has_expired(t, at))
		at = CLOCK_NEVER;
	if (t->pending_error)
		at = clock_now(t->s->clock);
	for (const struct task *up = t; up; up = up->parent) {
		for (const struct deadline *d = LIST_FIRST(&up->deadlines); d;
		     d = LIST_NEXT(d, link))
			if (!d->raised && d->timer.at < at)
				at = d->timer.at;
		if (t->cancelled)
			break; /* what a parent's deadline would bring about */
	}
	return at;
}

void cancel_watch(const struct task *t)
{
	signals_flush();
	uint64_t at = next_due(t);

	if (at == CLOCK_NEVER || t->s->clock->manual)
		return;
	uint64_t now = clock_now(t->s->clock), left = at > now ? at - now : 0;

	if (left < INT64_MAX / 2)
		signals_alarm((int64_t)left + CANCEL_COMPUTE_NS);
}
