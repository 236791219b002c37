/* SPDX-License-Identifier: MIT
 *
 * interrupt.c - handlers for SIGINT, SIGTERM, SIGHUP and the alarm of a deadline.
 * lua_sethook() is the one function of Lua that may be called from a signal handler. */
#include "os/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#define SAME_BLOW_MS 100

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { SIGNALS = sizeof signals / sizeof *signals };

static struct {
	uv_async_t async;
	void (*on_signal)(void *owner, int signo);
	lua_Hook hook;
	void *owner;
	struct sigaction before[SIGNALS], before_alarm;
	volatile sig_atomic_t signo, typed, told;
	bool alarm; /* it may ring yet */
	struct timespec since;
	lua_State *volatile running;
} state;

static void set_hook(void)
{
	lua_State *L = state.running;

	if (L)
		lua_sethook(L, state.hook,
			    LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

/* timeout(1) and some shells send a signal to the process and to its group: these two, a
 * moment apart, are one. */
static bool same_blow(const struct timespec *now)
{
	long ms = (now->tv_sec - state.since.tv_sec) * 1000 +
		  (now->tv_nsec - state.since.tv_nsec) / 1000000;

	return ms < SAME_BLOW_MS;
}

static void on_caught(int signo, siginfo_t *info, void *context)
{
	int saved = errno;
	struct timespec now;

	(void)context;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (state.signo && same_blow(&now))
		return;
	if (state.signo) {
		signal(signo, SIG_DFL);
		raise(signo);
	}
	state.since = now;
	state.signo = signo;
	state.typed = info->si_code == SI_KERNEL;
	set_hook();
	uv_async_send(&state.async);
	errno = saved;
}

static void on_alarm(int signo)
{
	(void)signo;
	set_hook();
}

void interrupt_flush(void)
{
	if (state.signo && !state.told) {
		state.told = 1;
		state.on_signal(state.owner, state.signo);
	}
}

static void on_async(uv_async_t *handle)
{
	(void)handle;
	interrupt_flush();
}

int interrupt_start(uv_loop_t *loop, void (*on_signal)(void *owner, int signo),
		    lua_Hook hook, void *owner)
{
	struct sigaction caught = {.sa_sigaction = on_caught,
				   .sa_flags = SA_SIGINFO | SA_RESTART};
	struct sigaction rung = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	int rc = uv_async_init(loop, &state.async, on_async);

	if (rc < 0)
		return rc;
	uv_unref((uv_handle_t *)&state.async);
	state.on_signal = on_signal;
	state.hook = hook;
	state.owner = owner;
	state.signo = state.typed = state.told = 0;
	for (int i = 0; i < SIGNALS; i++) {
		sigaction(signals[i], NULL, &state.before[i]);
		if (state.before[i].sa_handler != SIG_IGN)
			sigaction(signals[i], &caught, NULL);
	}
	sigaction(SIGALRM, &rung, &state.before_alarm);
	return 0;
}

void interrupt_stop(void)
{
	for (int i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &state.before[i], NULL);
	sigaction(SIGALRM, &state.before_alarm, NULL);
	uv_close((uv_handle_t *)&state.async, NULL);
}

int interrupt_signal(void)
{
	return state.signo;
}

bool interrupt_typed(void)
{
	return state.typed;
}

lua_State *interrupt_running(lua_State *L)
{
	lua_State *before = state.running;

	state.running = L;
	return before;
}

void interrupt_alarm(double seconds)
{
	struct itimerval it = {0};

	if (!state.alarm && seconds <= 0)
		return;
	state.alarm = seconds > 0;
	if (seconds > 0) {
		it.it_value.tv_sec = (time_t)seconds;
		it.it_value.tv_usec =
			(suseconds_t)((seconds - (double)(time_t)seconds) * 1e6) + 1;
		if (it.it_value.tv_usec > 999999)
			it.it_value.tv_usec = 999999;
	}
	setitimer(ITIMER_REAL, &it, NULL);
}

/* One instruction may call the hook twice, for the count and for the line: the second
 * time the mask is what the first has set. */
bool interrupt_is_again(lua_State *L, const lua_Debug *ar)
{
	return !(lua_gethookmask(L) & LUA_MASKLINE) && ar->event != LUA_HOOKLINE;
}

void interrupt_again(lua_State *L, int instructions)
{
	if (instructions > 0)
		lua_sethook(L, state.hook,
			    LUA_MASKCOUNT | (instructions == 1 ? LUA_MASKCALL : 0),
			    instructions);
	else
		lua_sethook(L, NULL, 0, 0);
}
