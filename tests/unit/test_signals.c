/* SPDX-License-Identifier: MIT
 *
 * test_signals.c - the handlers of signals: what they tell, and leave as it was. */
/* link: --wrap=uv_async_send */
#include "unit.h"
#include "os/signals.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

static uv_loop_t loop;
static uv_prepare_t awake; /* the signals' handle alone does not keep a loop turning */
static int told, alarms;

int __real_uv_async_send(uv_async_t *handle);
int __wrap_uv_async_send(uv_async_t *handle);

/* As a system call in a handler may do. */
int __wrap_uv_async_send(uv_async_t *handle)
{
	int rc = __real_uv_async_send(handle);

	errno = EAGAIN;
	return rc;
}

static void on_signal(void *owner, int signo)
{
	(void)owner;
	told = signo;
}

static void in_alarm(void)
{
	alarms++;
	errno = EINTR;
}

static void on_turn(uv_prepare_t *handle)
{
	(void)handle;
}

static int start(void **state)
{
	(void)state;
	told = alarms = 0;
	/* Those that were ignored when the program began would stay so: below nohup, and
	 * in the background. */
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	if (uv_loop_init(&loop) < 0)
		return -1;
	uv_prepare_init(&loop, &awake);
	uv_prepare_start(&awake, on_turn);
	return signals_start(
		&loop, &(struct signals_user){on_signal, in_alarm, NULL, 10000000000});
}

static int stop(void **state)
{
	(void)state;
	signals_alarm(0);
	signals_stop();
	uv_close((uv_handle_t *)&awake, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static void a_signal_is_told_once_by_the_loop(void **state)
{
	(void)state;
	raise(SIGTERM);
	assert_int_equal(told, 0);
	assert_int_equal(signals_caught(), SIGTERM);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(told, SIGTERM);
	told = 0;
	signals_flush();
	assert_int_equal(told, 0);
	assert_false(signals_typed());
}

static void a_signal_that_is_forgotten_is_followed_by_a_first_one(void **state)
{
	(void)state;
	raise(SIGINT);
	signals_flush();
	assert_int_equal(told, SIGINT);
	signals_forget();
	assert_int_equal(signals_caught(), 0);
	raise(SIGHUP);
	signals_flush();
	assert_int_equal(told, SIGHUP);
}

/* The program may be between a system call that failed and its look at errno. */
static void the_handlers_leave_errno(void **state)
{
	(void)state;
	errno = ENOTTY;
	raise(SIGTERM);
	assert_int_equal(errno, ENOTTY);
	raise(SIGALRM);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(alarms, 1);
}

static void an_alarm_rings_after_its_time(void **state)
{
	(void)state;
	signals_alarm(1000000);
	for (int i = 0; i < 10000 && alarms == 0; i++)
		usleep(1000);
	assert_true(alarms > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_signal_is_told_once_by_the_loop, start,
						stop),
		cmocka_unit_test_setup_teardown(
			a_signal_that_is_forgotten_is_followed_by_a_first_one, start,
			stop),
		cmocka_unit_test_setup_teardown(the_handlers_leave_errno, start, stop),
		cmocka_unit_test_setup_teardown(an_alarm_rings_after_its_time, start,
						stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
