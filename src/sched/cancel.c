/* SPDX-License-Identifier: MIT
 *
 * task_due.c - what ends a task before it ends by itself: interruption, deadlines, a
 * child's failure. Others only mark a task (and wake it); the error is raised by the task
 * itself, at its next wait, or by the hook where it never waits. */
#include "sched/cancel.h"
#include "base/err.h"
#include "os/signals.h"
#include "luakit/error.h"

#include <lauxlib.h>

/* How long a task that was told to end may go on with its cleanups before every wait of
 * it raises again. */
#define GRACE_SECONDS 5.0

/* Instructions: a tenth of a second or so, time enough for cleanups that compute. */
#define LONG_PATIENCE 10000000

/* What is to be raised in a task. */

static struct scope *scope_due(const struct task *t)
{
	for (struct scope *s = t->scope; s; s = s->outer)
		if (s->fired && !s->delivered)
			return s;
	return NULL;
}

static void on_grace_end(struct timer *timer)
{
	struct task *t = CONTAINER_OF(timer, struct task, grace);

	t->doomed = true;
	task_wake(t);
}

/* After how many instructions the hook raises again what was just raised. A script that
 * goes on computing may have eaten it with pcall(), in a loop whose body takes every
 * raise: so in turns a long time, for cleanups, and ever longer bursts of raises one
 * after the other, which get out of as many nested loops. */
static void lose_patience(struct task *t)
{
	if (t->burst > 0) {
		t->burst--;
		t->patience = 1;
	} else {
		t->burst = ++t->strikes;
		t->patience = LONG_PATIENCE;
	}
}

/* `rc` is about to be raised in L. From now on the task has GRACE_SECONDS, then it is
 * raised again at each wait. */
static void begin_grace(lua_State *L, struct task *t, int rc)
{
	struct clock *c = t->s->clock;

	t->last_raised = rc;
	lose_patience(t);
	interrupt_again(L, t->patience);
	if (!t->doomed && t->grace.slot == 0 &&
	    clock_set(c, &t->grace, clock_after(c, GRACE_SECONDS), on_grace_end) < 0)
		t->doomed = true;
}

void task_renew_grace(struct task *t)
{
	struct clock *c = t->s->clock;

	if (t->grace.slot == 0 && !t->doomed)
		return;
	t->doomed =
		clock_set(c, &t->grace, clock_after(c, GRACE_SECONDS), on_grace_end) < 0;
}

void task_end_grace(struct task *t)
{
	clock_unset(t->s->clock, &t->grace);
	t->doomed = false;
	t->strikes = t->burst = 0;
	t->last_raised = 0;
}

/* Push the error that a task ended with, to be raised in `t`; its traceback goes with it.
 * A failed task leaves two values on its stack, the error and the traceback. [-0, +1] */
void task_push_error_of(lua_State *L, struct task *t, struct task *ended)
{
	task_push(L, t);
	for (int i = 1; i <= 2; i++) {
		if (!lua_checkstack(ended->L, 1))
			luaL_error(L, "stack overflow");
		lua_pushvalue(ended->L, i);
		lua_xmove(ended->L, L, 1);
	}
	lua_setiuservalue(L, -3, BOX_TRACE);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, -3, BOX_ERROR);
	lua_remove(L, -2);
}

/* Push what is due, if anything. Returns whether. [-0, +(0|1)] */
bool task_push_due(lua_State *L, struct task *t)
{
	struct scope *s = scope_due(t);
	struct error_about about = {0};
	int rc = t->pending;

	luaL_checkstack(L, 6, NULL);
	if (rc || t->doomed) {
		rc = rc ? rc : t->last_raised;
		t->pending = 0;
		if (rc == HAP_EINTERRUPTED && !t->cancelled)
			about.signal = interrupt_signal();
	} else if (s) {
		s->delivered = true;
		t->last_seconds = s->seconds;
		rc = HAP_ETIMEOUT;
	} else if (t->broken) {
		struct task *child = t->broken;

		t->broken = NULL;
		task_push_error_of(L, t, child);
		task_unref(child);
		return true;
	} else {
		return false;
	}
	if (rc == HAP_ETIMEOUT)
		about.seconds = t->last_seconds;
	begin_grace(L, t, rc);
	error_push(L, rc, &about);
	t->told = lua_topointer(L, -1);
	return true;
}

/* Ending one from outside. */

static void interrupt_task(struct task *t, int rc)
{
	if (t->state == TASK_DONE)
		return;
	if (t->last_raised != rc)
		t->pending = rc;
	for (struct task *child = t->children; child; child = child->next)
		interrupt_task(child, rc);
	task_wake(t);
}

void scheduler_interrupt(struct scheduler *s, int rc)
{
	for (struct task *root = s->roots; root; root = root->next)
		for (struct task *t = root->children; t; t = t->next)
			interrupt_task(t, rc);
}

void task_cancel(struct task *t)
{
	if (t->state == TASK_DONE || t->cancelled)
		return;
	t->cancelled = true;
	if (t->last_raised != HAP_EINTERRUPTED)
		t->pending = HAP_EINTERRUPTED;
	task_wake(t);
}

int task_end(lua_State *L)
{
	struct task *t = task_of(L);

	task_cancel(t);
	t->pending = HAP_EINTERRUPTED;
	task_push_due(L, t);
	return lua_error(L);
}

/* Has a parent's deadline passed, and the parent cannot be told because `t` goes on
 * computing? */
static bool parent_is_late(const struct task *t, uint64_t now)
{
	for (const struct task *up = t->parent; up; up = up->parent)
		for (const struct scope *s = up->scope; s; s = s->outer)
			if (!s->delivered && s->timer.at <= now)
				return true;
	return false;
}

/* The first thing after a raise of a burst is a call: of a `__close`, so the raise got
 * out of its loop. It may also be xpcall()'s handler, which is why later bursts do not
 * look. */
static bool is_cleanup(const struct task *t, const lua_Debug *ar)
{
	return ar->event == LUA_HOOKCALL && t->patience == 1 && t->strikes <= 2;
}

/* A signal has no patience: the alarm of a deadline that a wait has raised already may
 * ring late, and breaks no cleanup off. */
void task_hook(lua_State *L, lua_Debug *ar)
{
	struct task *t = task_get(L);
	bool is_again = interrupt_is_again(L, ar);
	uint64_t now;

	interrupt_again(L, 0);
	if (!t)
		return;
	if (is_cleanup(t, ar)) {
		t->patience = LONG_PATIENCE;
		interrupt_again(L, t->patience);
		return;
	}
	interrupt_flush();
	now = clock_now(t->s->clock);
	for (struct scope *s = t->scope; s; s = s->outer)
		s->fired = s->fired || s->timer.at <= now;
	if (parent_is_late(t, now))
		task_cancel(t);
	if (t->strikes > 0 && t->pending == 0 && is_again)
		t->pending = t->last_raised;
	if ((t->pending || scope_due(t)) && task_push_due(L, t))
		lua_error(L);
	if (t->strikes > 0)
		interrupt_again(L, t->patience);
}

/* Deadlines. */

/* A script that never waits gives the loop no chance to run a timer: ask for a signal
 * when the first deadline passes, of this task or of a parent. */
void task_watch(const struct task *t)
{
	const struct clock *clock = t->s->clock;
	uint64_t now = clock_now(clock), at = CLOCK_NEVER;

	for (; t; t = t->parent)
		for (const struct scope *s = t->scope; s; s = s->outer)
			if (!s->delivered && s->timer.at < at)
				at = s->timer.at;
	if (at == CLOCK_NEVER || clock->manual)
		return;
	interrupt_alarm(at > now ? (double)(at - now) / (double)CLOCK_SECOND : 1e-6);
}

static void on_scope_end(struct timer *timer)
{
	struct scope *s = CONTAINER_OF(timer, struct scope, timer);

	s->fired = true;
	task_wake(s->task);
}

int scope_enter(struct scope *s, struct task *t, double seconds)
{
	struct clock *c = t->s->clock;

	*s = (struct scope){.outer = t->scope, .task = t, .seconds = seconds};
	int rc = clock_set(c, &s->timer, clock_after(c, seconds), on_scope_end);

	if (rc < 0)
		return rc;
	t->scope = s;
	task_watch(t);
	return 0;
}

void scope_leave(struct scope *s)
{
	struct task *t = s->task;

	if (!t)
		return;
	clock_unset(t->s->clock, &s->timer);
	for (struct scope **link = &t->scope; *link; link = &(*link)->outer) {
		if (*link == s) {
			*link = s->outer;
			break;
		}
	}
	if (s->delivered && t->last_raised == HAP_ETIMEOUT)
		task_end_grace(t);
	s->task = NULL;
}
