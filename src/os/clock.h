/* SPDX-License-Identifier: MIT
 *
 * clock.h - monotonic time, wall time and timers.
 * Every wait of haplua uses this clock, so that tests can set the time
 * (clock_manual(), clock_advance()). Times are nanoseconds in 64 bits; real timers fire
 * on whole milliseconds, never early. Knows no Lua. Owns one uv_timer_t. */
#ifndef HAP_CLOCK_H
#define HAP_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define CLOCK_SECOND UINT64_C(1000000000)
#define CLOCK_NEVER  UINT64_MAX

/* A timer is memory of its user, {0} before its first use. The user may free it when it
 * has fired or after clock_unset(). */
struct timer {
	uint64_t at; /* monotonic instant */
	bool wall;   /* also fires when clock_manual() sets the wall clock */
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

/* Monotonic nanoseconds since an arbitrary instant. */
uint64_t clock_now(const struct clock *c);

/* Nanoseconds since 1970-01-01 00:00 UTC. */
int64_t clock_wall(const struct clock *c);

/* The monotonic instant `seconds` from now; CLOCK_NEVER where it does not fit. Negative
 * and NaN count as 0. */
uint64_t clock_after(const struct clock *c, double seconds);

/* Set or move a timer to the monotonic instant `at`. 0 or HAP_ENOMEM. A timer in the past
 * fires at the next turn of the loop, never within this call. */
int clock_set(struct clock *c, struct timer *t, uint64_t at,
	      void (*fire)(struct timer *));

/* Unset; nothing happens to one that is not set. */
void clock_unset(struct clock *c, struct timer *t);

/* Stop the clock at this monotonic and wall instant; from now on only clock_advance()
 * moves it. Called again, it sets the wall clock, and timers marked `wall` are due now.
 * (Where time is real nobody reports that the wall clock was set: the users of such
 * timers compare the two clocks.) */
void clock_manual(struct clock *c, uint64_t now, int64_t wall);

/* Manual time: the earliest timer's instant, or CLOCK_NEVER. */
uint64_t clock_next(const struct clock *c);

/* Manual time: move on to `at`; each timer that is due on the way fires at its instant.
 */
void clock_advance(struct clock *c, uint64_t at);

#endif
