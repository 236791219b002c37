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

/* The list that `d` is in. */
static struct deadline **list_of(struct deadline *d)
{
	return d->task ? &d->task->deadlines : &d->s->suspended;
}

static void put_in(struct deadline *d, struct task *t)
{
	d->task = t;
	d->outer = *list_of(d);
	*list_of(d) = d;
}

static void take_out(struct deadline *d)
{
	struct deadline **link = list_of(d);

	while (*link != d)
		link = &(*link)->outer;
	*link = d->outer;
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
	take_out(d);
	clock_unset(d->s->clock, &d->timer);
	d->s = NULL;
	if (d->task && d->raised)
		cancel_arm_grace(d->task);
}

/* Take the deadlines of coroutine L out of a list: linked through `outer`, the outermost
 * first. */
static struct deadline *take_those_of(lua_State *L, struct deadline **from)
{
	struct deadline *taken = NULL;

	while (*from) {
		struct deadline *d = *from;

		if (d->L != L) {
			from = &d->outer;
			continue;
		}
		*from = d->outer;
		d->outer = taken;
		taken = d;
	}
	return taken;
}

void deadline_resume(lua_State *L, struct task *t)
{
	if (!t->s->suspended)
		return;
	struct deadline *next;

	for (struct deadline *d = take_those_of(L, &t->s->suspended); d; d = next) {
		next = d->outer;
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
	if (!t->deadlines)
		return;
	struct deadline *next;

	for (struct deadline *d = take_those_of(L, &t->deadlines); d; d = next) {
		next = d->outer;
		put_in(d, NULL);
		clock_unset(t->s->clock, &d->timer);
	}
	cancel_arm_grace(t);
}

void deadline_leave_all(struct task *t)
{
	while (t->deadlines)
		deadline_leave(t->deadlines);
}
