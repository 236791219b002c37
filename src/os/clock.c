/* SPDX-License-Identifier: MIT
 *
 * clock.c - a binary heap of timers over one uv_timer_t. */
#include "os/clock.h"
#include "base/err.h"

#include <stdlib.h>
#include <time.h>

#define MILLISECOND (CLOCK_SECOND / 1000)

static void place(struct clock *c, size_t i, struct timer *t)
{
	c->heap[i] = t;
	t->slot = i + 1;
}

static void sift_up(struct clock *c, size_t i, struct timer *t)
{
	while (i > 0 && c->heap[(i - 1) / 2]->at > t->at) {
		place(c, i, c->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(c, i, t);
}

static void sift_down(struct clock *c, size_t i, struct timer *t)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= c->n)
			break;
		if (child + 1 < c->n && c->heap[child + 1]->at < c->heap[child]->at)
			child++;
		if (c->heap[child]->at >= t->at)
			break;
		place(c, i, c->heap[child]);
		i = child;
	}
	place(c, i, t);
}

static void arm(struct clock *c, uint64_t least);

static void on_wake(uv_timer_t *handle)
{
	struct clock *c = handle->data;

	/* One reading for the whole turn, and libuv is not asked to come back within it:
	 * a timer that another sets to "now" cannot starve the loop. */
	clock_advance(c, clock_now(c));
	arm(c, 1);
}

/* Have libuv call on_wake() for the earliest timer, in `least` milliseconds or later. */
static void arm(struct clock *c, uint64_t least)
{
	if (c->manual || c->n == 0) {
		uv_timer_stop(&c->wake);
		return;
	}
	uint64_t now = clock_now(c);
	uint64_t wait = c->heap[0]->at > now ? c->heap[0]->at - now : 0;

	/* libuv counts from the beginning of its turn unless it reads the clock again. */
	uv_update_time(c->wake.loop);
	wait = wait / MILLISECOND + (wait % MILLISECOND != 0);
	uv_timer_start(&c->wake, on_wake, wait > least ? wait : least, 0);
}

int clock_init(struct clock *c, uv_loop_t *loop)
{
	*c = (struct clock){0};
	int rc = uv_timer_init(loop, &c->wake);

	c->wake.data = c;
	return rc;
}

void clock_close(struct clock *c)
{
	while (c->n > 0)
		c->heap[--c->n]->slot = 0;
	free(c->heap);
	c->heap = NULL;
	c->cap = 0;
	uv_close((uv_handle_t *)&c->wake, NULL);
}

uint64_t clock_now(const struct clock *c)
{
	return c->manual ? c->now : uv_hrtime();
}

int64_t clock_wall(const struct clock *c)
{
	struct timespec ts;

	if (c->manual)
		return (int64_t)c->now + c->shift;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * (int64_t)CLOCK_SECOND + ts.tv_nsec;
}

uint64_t clock_after(const struct clock *c, double seconds)
{
	uint64_t now = clock_now(c);

	if (!(seconds > 0))
		return now;
	if (seconds >= (double)(UINT64_MAX - now) / (double)CLOCK_SECOND / 2)
		return CLOCK_NEVER;
	return now + (uint64_t)(seconds * (double)CLOCK_SECOND);
}

int clock_set(struct clock *c, struct timer *t, uint64_t at, void (*fire)(struct timer *))
{
	clock_unset(c, t);
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 16;
		struct timer **heap = realloc(c->heap, cap * sizeof *heap);

		if (!heap)
			return HAP_ENOMEM;
		c->heap = heap;
		c->cap = cap;
	}
	t->at = at;
	t->fire = fire;
	c->n++;
	sift_up(c, c->n - 1, t);
	if (c->heap[0] == t)
		arm(c, 0);
	return 0;
}

void clock_unset(struct clock *c, struct timer *t)
{
	if (t->slot == 0)
		return;
	size_t i = t->slot - 1;
	struct timer *last = c->heap[--c->n];

	t->slot = 0;
	if (c->n == 0) /* a timer that nobody waits for must not keep the loop alive */
		uv_timer_stop(&c->wake);
	if (last == t)
		return;
	if (i > 0 && c->heap[(i - 1) / 2]->at > last->at)
		sift_up(c, i, last);
	else
		sift_down(c, i, last);
}

void clock_manual(struct clock *c, uint64_t now, int64_t wall)
{
	bool again = c->manual;

	c->manual = true;
	c->now = now;
	c->shift = wall - (int64_t)now;
	/* sift_up() moves only timers that this loop has passed */
	for (size_t i = 0; again && i < c->n; i++)
		if (c->heap[i]->wall && c->heap[i]->at > now) {
			struct timer *t = c->heap[i];

			t->at = now;
			sift_up(c, i, t);
		}
	arm(c, 0);
}

uint64_t clock_next(const struct clock *c)
{
	return c->n > 0 ? c->heap[0]->at : CLOCK_NEVER;
}

void clock_advance(struct clock *c, uint64_t at)
{
	while (c->n > 0 && c->heap[0]->at <= at) {
		if (c->heap[0]->at > c->now)
			c->now = c->heap[0]->at;
		struct timer *t = c->heap[0];

		clock_unset(c, t);
		t->fire(t);
	}
	if (at > c->now)
		c->now = at;
}
