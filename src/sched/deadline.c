/* SPDX-License-Identifier: MIT
 *
 * deadline.c - deadlines in force, suspended, and over. */
#include "sched/deadline.h"
#include "base/buf.h"
#include "sched/cancel.h"

static void on_end(struct timer *timer)
{
	struct deadline *d = CONTAINER_OF(timer, struct deadline, timer);

	d->fired = true;
	task_wake(d->task);
}

/* Put in force for `t`; NULL: suspend. */
static void put_in(struct deadline *d, struct task *t)
{
	d->task = t;
	LIST_INSERT_HEAD(t ? &t->deadlines : &d->s->suspended, d, link);
}

int deadline_enter(struct deadline *d, lua_State *L, double seconds)
{
	struct task *t = task_current(L);
	struct clock *c = t->s->clock;

	*d = (struct deadline){.L = L, .seconds = seconds};
	int rc = clock_set(c, &d->timer, clock_after(c, seconds), on_end);

	if (rc < 0)
		return rc;
	d->s = t->s;
	put_in(d, t);
	cancel_watch(t);
	return 0;
}

void deadline_leave(struct deadline *d)
{
	if (!d->s)
		return;
	LIST_REMOVE(d, link);
	clock_unset(d->s->clock, &d->timer);
	d->s = NULL;
	if (d->task && d->raised)
		cancel_arm_grace(d->task);
}

/* Those of one coroutine are suspended innermost first and resumed outermost first: each
 * time the list is turned around. */

void deadline_resume(lua_State *L, struct task *t)
{
	if (LIST_EMPTY(&t->s->suspended))
		return;
	struct deadline *next;

	for (struct deadline *d = LIST_FIRST(&t->s->suspended); d; d = next) {
		next = LIST_NEXT(d, link);
		if (d->L != L)
			continue;
		LIST_REMOVE(d, link);
		put_in(d, t);
		/* What was raised before is raised again. Without memory for a timer the
		 * time is over. */
		d->raised = false;
		if (clock_set(t->s->clock, &d->timer, d->timer.at, on_end) < 0)
			d->fired = true;
	}
	cancel_watch(t);
}

void deadline_suspend(lua_State *L, struct task *t)
{
	if (LIST_EMPTY(&t->deadlines))
		return;
	struct deadline *next;

	for (struct deadline *d = LIST_FIRST(&t->deadlines); d; d = next) {
		next = LIST_NEXT(d, link);
		if (d->L != L)
			continue;
		LIST_REMOVE(d, link);
		put_in(d, NULL);
		clock_unset(t->s->clock, &d->timer);
	}
	cancel_arm_grace(t);
}

void deadline_leave_all(struct task *t)
{
	while (!LIST_EMPTY(&t->deadlines))
		deadline_leave(LIST_FIRST(&t->deadlines));
}
