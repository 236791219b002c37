/* SPDX-License-Identifier: MIT
 *
 * clock.h - monotonic time, wall time and timers behind one door.
 * Every wait of haplua goes through here, so a test can turn time by hand
 * (clock_manual(), clock_advance()) and nothing else notices. Times are nanoseconds in 64
 * bits; the real clock wakes on whole milliseconds, never early. Owns one uv_timer_t. */
#ifndef HAP_CLOCK_H
#define HAP_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define CLOCK_SECOND UINT64_C(1000000000)
#define CLOCK_NEVER  UINT64_MAX

/* A timer is memory of its user, set to {0} before its first use. It may be freed as
 * soon as it has fired or clock_unset() has returned. */
struct timer {
	uint64_t at; /* monotonic instant */
	bool wall;   /* fires, too, when clock_manual() sets wall time */
	size_t slot; /* place in the heap + 1; 0: not set */
	void (*fire)(struct timer *t); /* called once, from clock_advance() or the loop */
};

struct clock {
	uv_timer_t wake;     /* armed for the earliest timer; real time only */
	struct timer **heap; /* owned array of borrowed timers, earliest first */
	size_t n, cap;
	bool manual;
	uint64_t now;  /* manual: the monotonic instant */
	int64_t shift; /* manual: wall time minus monotonic time, ns */
};

/* Begin with real time. 0 or UV_*. After success clock_close() must be called. */
int clock_init(struct clock *c, uv_loop_t *loop);

/* Unset every timer and close the handle; the struct must stay until the loop has run. */
void clock_close(struct clock *c);

/* Monotonic nanoseconds, of no particular beginning. */
uint64_t clock_now(const struct clock *c);

/* Nanoseconds since 1970-01-01 00:00 UTC. */
int64_t clock_wall(const struct clock *c);

/* The instant `seconds` from now; CLOCK_NEVER for what is too far to tell. Negative and
 * NaN count as 0. */
uint64_t clock_after(const struct clock *c, double seconds);

/* Set (or move) a timer. 0 or HAP_ENOMEM. A timer in the past fires at the next turn of
 * the loop, never from within this call. */
int clock_set(struct clock *c, struct timer *t, uint64_t at,
	      void (*fire)(struct timer *));

/* Unset; nothing happens to one that is not set. */
void clock_unset(struct clock *c, struct timer *t);

/* Hold time still at this monotonic and wall instant; from now on only clock_advance()
 * moves it. Called again, it sets the wall clock: timers marked `wall` are due now. Real
 * wall clocks are set by others, and those timers look for themselves. */
void clock_manual(struct clock *c, uint64_t now, int64_t wall);

/* Manual time: the earliest timer's instant, or CLOCK_NEVER. */
uint64_t clock_next(const struct clock *c);

/* Manual time: move on to `at`, firing every timer due on the way at its own instant. */
void clock_advance(struct clock *c, uint64_t at);

#endif
