/* SPDX-License-Identifier: MIT
 *
 * task.c - the lists that a task is in. */
#include "sched/task.h"
#include "net/target.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

/* A coroutine's extra space holds the task that it runs for. Lua copies the main thread's
 * into each new coroutine. */

struct task *task_current(lua_State *L)
{
	return *(struct task **)lua_getextraspace(L);
}

void task_set_current(lua_State *L, struct task *t)
{
	*(struct task **)lua_getextraspace(L) = t;
}

void task_wake(void *task)
{
	struct task *t = task;
	struct scheduler *s = t->s;

	if (t->queued || (t->state != TASK_PARKED && t->state != TASK_READY))
		return;
	t->queued = true;
	t->refs++;
	STAILQ_INSERT_TAIL(&s->ready, t, in_ready);
}

void task_wait_for(struct task *t, struct task *ended)
{
	t->waits_for = ended;
	LIST_INSERT_HEAD(&ended->waiters, t, co_waiters);
}

void task_leave_wait(struct task *t)
{
	struct task *ended = t->waits_for;

	if (!ended)
		return;
	LIST_REMOVE(t, co_waiters);
	t->waits_for = NULL;
	if (ended->state == TASK_DONE && ended->failed && !ended->heard &&
	    LIST_EMPTY(&ended->waiters) && ended->parent)
		task_wake(ended->parent);
}

struct task *task_failed_child(struct task *t)
{
	struct task *next;

	for (struct task *child = STAILQ_FIRST(&t->failed_children); child;
	     child = next) {
		next = STAILQ_NEXT(child, in_failed);
		if (child->heard)
			task_drop_failed_child(t, child);
		else if (LIST_EMPTY(&child->waiters))
			return child;
	}
	return NULL;
}

void task_drop_failed_child(struct task *t, struct task *child)
{
	STAILQ_REMOVE(&t->failed_children, child, task, in_failed);
	child->parent = NULL;
	task_unanchor(child);
	task_unref(child);
}

void task_unanchor(struct task *t)
{
	luaL_unref(t->s->L, LUA_REGISTRYINDEX, t->anchor);
	t->anchor = LUA_NOREF;
}

void task_unref(struct task *t)
{
	if (--t->refs > 0)
		return;
	if (t->target)
		target_unref(t->target);
	free(t);
}

void task_set_target(struct task *t, struct target *target)
{
	target_ref(target);
	if (t->target)
		target_unref(t->target);
	t->target = target;
}

#ifdef HAP_DEBUG

/* Not assert(): NDEBUG must not remove it, and the sanitizers show the way here. */
#define REQUIRE(rule)                                                                    \
	do {                                                                             \
		if (!(rule)) {                                                           \
			fprintf(stderr, "task %p: broken rule: %s\n", (const void *)t,   \
				#rule);                                                  \
			abort();                                                         \
		}                                                                        \
	} while (0)

static bool is_waiter_of(const struct task *t, const struct task *ended)
{
	const struct task *w = LIST_FIRST(&ended->waiters);

	while (w && w != t)
		w = LIST_NEXT(w, co_waiters);
	return w;
}

void task_assert(const struct task *t)
{
	bool done = t->state == TASK_DONE;

	REQUIRE(t->refs > 0);
	REQUIRE((t->s->running == t) == (t->state == TASK_RUNNING));
	REQUIRE(t->state != TASK_PARKED || t->k);
	REQUIRE(!t->waits_for || t->state == TASK_PARKED);
	REQUIRE(!t->waits_for || is_waiter_of(t, t->waits_for));
	REQUIRE(!done || (LIST_EMPTY(&t->children) && LIST_EMPTY(&t->deadlines) &&
			  STAILQ_EMPTY(&t->failed_children)));
	REQUIRE(!done || t->grace.slot == 0);
	REQUIRE(done || t->anchor != LUA_NOREF);
	for (const struct deadline *d = LIST_FIRST(&t->deadlines); d;
	     d = LIST_NEXT(d, link))
		REQUIRE(d->task == t && task_current(d->L) == t);
	for (const struct task *c = LIST_FIRST(&t->children); c;
	     c = LIST_NEXT(c, siblings))
		REQUIRE(c->parent == t && c->state != TASK_DONE);
}

#endif
