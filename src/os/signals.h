/* SPDX-License-Identifier: MIT
 *
 * signals.h - SIGINT, SIGTERM, SIGHUP, and an alarm for those who compute.
 * Signals belong to the process, so this module is one of the two places with static
 * state. It knows no Lua: its user says what an alarm does. */
#ifndef HAP_SIGNALS_H
#define HAP_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct signals_user {
	/* Called once for each signal, from the loop or from signals_flush(). */
	void (*on_signal)(void *owner, int signo);
	/* Called inside the handler of an alarm: only what signal-safety(7) allows. */
	void (*in_alarm)(void);
	void *owner;
	int64_t patience; /* ns from a signal to the alarm, where no other was set since
			   */
};

/* Catch SIGINT, SIGTERM and SIGHUP (those that were not ignored when the program began)
 * and SIGALRM. A second signal, later than a tenth of a second after the first, ends the
 * process. 0 or UV_*. */
int signals_start(uv_loop_t *loop, const struct signals_user *user);

/* Put the handlers back and close the handle; the loop must run once more. */
void signals_stop(void);

/* The signal that was caught, or 0. */
int signals_caught(void);

/* The signal that was caught has had its effect: the next one counts as the first. */
void signals_forget(void);

/* Was it typed at the terminal? Then every process of the foreground group has it. */
bool signals_typed(void);

/* Have a function called in the handler of the signal that ends the process without
 * cleanups; NULL: none. It may do only what signal-safety(7) allows. */
void signals_before_end(void (*call)(void));

/* Call `on_signal` now where the loop has not done so: for whoever keeps the loop from
 * turning. */
void signals_flush(void);

/* Have an alarm ring after `ns` nanoseconds of real time; 0 calls it off. */
void signals_alarm(int64_t ns);

#endif
