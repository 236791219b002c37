/* SPDX-License-Identifier: MIT
 *
 * signals.c - handlers for SIGINT, SIGTERM, SIGHUP and SIGALRM. */
#include "os/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#define DUPLICATE_MS 100

static const int caught_signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { SIGNALS = sizeof caught_signals / sizeof *caught_signals };

static struct {
	uv_async_t async;
	struct signals_user user;
	void (*before_end)(void);
	struct sigaction before[SIGNALS], before_alarm;
	volatile sig_atomic_t signo, typed, reported;
	volatile sig_atomic_t alarm; /* it may ring yet */
	int64_t since;               /* milliseconds */
} state;

static void on_caught(int signo, siginfo_t *info, void *context)
{
	int saved = errno;
	struct timespec ts;

	(void)context;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	int64_t now = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;

	/* timeout(1) and some shells send a signal to the process and to its group:
	 * these two, a moment apart, are one. */
	if (state.signo && now - state.since < DUPLICATE_MS)
		return;
	if (state.signo) { /* the second: end by it, without cleanups */
		if (state.before_end)
			state.before_end();
		signal(signo, SIG_DFL);
		raise(signo);
	}
	state.since = now;
	state.signo = signo;
	state.typed = info->si_code == SI_KERNEL;
	signals_alarm(state.user.patience);
	uv_async_send(&state.async);
	errno = saved;
}

static void on_alarm(int signo)
{
	int saved = errno;

	(void)signo;
	state.user.in_alarm();
	errno = saved;
}

void signals_flush(void)
{
	if (state.signo && !state.reported) {
		state.reported = 1;
		state.user.on_signal(state.user.owner, state.signo);
	}
}

static void on_async(uv_async_t *handle)
{
	(void)handle;
	signals_flush();
}

int signals_start(uv_loop_t *loop, const struct signals_user *user)
{
	struct sigaction caught = {.sa_sigaction = on_caught,
				   .sa_flags = SA_SIGINFO | SA_RESTART};
	struct sigaction rung = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	int rc = uv_async_init(loop, &state.async, on_async);

	if (rc < 0)
		return rc;
	uv_unref((uv_handle_t *)&state.async);
	state.user = *user;
	state.signo = state.typed = state.reported = 0;
	for (int i = 0; i < SIGNALS; i++) {
		sigaction(caught_signals[i], NULL, &state.before[i]);
		if (state.before[i].sa_handler != SIG_IGN)
			sigaction(caught_signals[i], &caught, NULL);
	}
	sigaction(SIGALRM, &rung, &state.before_alarm);
	return 0;
}

void signals_stop(void)
{
	for (int i = 0; i < SIGNALS; i++)
		sigaction(caught_signals[i], &state.before[i], NULL);
	sigaction(SIGALRM, &state.before_alarm, NULL);
	uv_close((uv_handle_t *)&state.async, NULL);
}

void signals_before_end(void (*call)(void))
{
	state.before_end = call;
}

int signals_caught(void)
{
	return state.signo;
}

void signals_forget(void)
{
	state.signo = state.typed = state.reported = 0;
}

bool signals_typed(void)
{
	return state.typed;
}

void signals_alarm(int64_t ns)
{
	int64_t us = ns / 1000 + (ns > 0);
	struct itimerval it = {.it_value = {us / 1000000, us % 1000000}};

	if (state.alarm || ns > 0)
		setitimer(ITIMER_REAL, &it, NULL);
	state.alarm = ns > 0;
}
