/* SPDX-License-Identifier: MIT
 *
 * test_clock.c - timers in real time and in time turned by hand. */
/* link: --wrap=malloc --wrap=realloc */
#define UNIT_OOM
#include "unit.h"
#include "os/clock.h"
#include "base/err.h"

#include <math.h>

enum { MANY = 500 };

static uv_loop_t loop;
static struct clock clock_;

/* A timer that records when it fired. */
struct probe {
	struct timer timer;
	int fired, order;
	uint64_t at;
	struct probe *sets,
		*unsets; /* other timers, which it sets and unsets when it fires */
};

static int fired_so_far;

static void on_fire(struct timer *t)
{
	struct probe *p = (struct probe *)t;

	p->fired++;
	p->order = ++fired_so_far;
	p->at = clock_now(&clock_);
	if (p->sets)
		assert_int_equal(clock_set(&clock_, &p->sets->timer, p->at, on_fire), 0);
	if (p->unsets)
		clock_unset(&clock_, &p->unsets->timer);
}

static int open_clock(void **state)
{
	(void)state;
	fired_so_far = 0;
	return uv_loop_init(&loop) || clock_init(&clock_, &loop);
}

static int close_clock(void **state)
{
	(void)state;
	clock_close(&clock_);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static void set(struct probe *p, uint64_t at)
{
	assert_int_equal(clock_set(&clock_, &p->timer, at, on_fire), 0);
}

static void fires_in_order_of_time(void **state)
{
	static struct probe probes[MANY];
	uint64_t last = 0;

	(void)state;
	memset(probes, 0, sizeof probes);
	clock_manual(&clock_, 0, 0);
	for (unsigned i = 0; i < MANY; i++)
		set(&probes[i], 1 + i * 7919u % 1009);
	for (unsigned i = 0; i < MANY; i += 3)
		clock_unset(&clock_, &probes[i].timer);
	for (unsigned i = 1; i < MANY; i += 3)
		set(&probes[i], 1 + i * 104729u % 997);
	assert_true(clock_next(&clock_) > 0);
	for (uint64_t at = 0; at <= 1010; at++) {
		clock_advance(&clock_, at);
		assert_true(clock_next(&clock_) > at);
		last = at;
	}
	assert_int_equal(clock_next(&clock_), CLOCK_NEVER);
	assert_int_equal(clock_now(&clock_), last);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(probes[i].fired, i % 3 != 0);
		if (i % 3 == 1)
			assert_int_equal(probes[i].at, 1 + i * 104729u % 997);
		for (unsigned j = 0; j < i && i % 3; j++)
			if (j % 3 && probes[j].at < probes[i].at)
				assert_true(probes[j].order < probes[i].order);
	}
}

static void a_jump_fires_each_at_its_own_instant(void **state)
{
	struct probe a = {.sets = NULL}, b = {.sets = NULL};

	(void)state;
	clock_manual(&clock_, 100, 0);
	set(&a, 300);
	set(&b, 200);
	clock_advance(&clock_, 1000);
	assert_int_equal(b.at, 200);
	assert_int_equal(a.at, 300);
	assert_int_equal(clock_now(&clock_), 1000);
}

static void a_timer_may_set_and_unset_others(void **state)
{
	struct probe late = {.sets = NULL}, never = {.sets = NULL};
	struct probe first = {.sets = &late, .unsets = &never};

	(void)state;
	clock_manual(&clock_, 0, 0);
	set(&first, 10);
	set(&never, 20);
	clock_advance(&clock_, 30);
	assert_int_equal(first.fired, 1);
	assert_int_equal(late.fired, 1);
	assert_int_equal(late.at, 10);
	assert_int_equal(never.fired, 0);
}

static void one_that_is_unset_never_fires(void **state)
{
	struct probe p = {.sets = NULL};

	(void)state;
	clock_manual(&clock_, 0, 0);
	clock_unset(&clock_, &p.timer);
	set(&p, 5);
	clock_unset(&clock_, &p.timer);
	clock_unset(&clock_, &p.timer);
	clock_advance(&clock_, 10);
	assert_int_equal(p.fired, 0);
	assert_int_equal(p.timer.slot, 0);
}

static void wall_time_moves_with_the_manual_clock(void **state)
{
	(void)state;
	clock_manual(&clock_, 1000, INT64_C(1700000000) * 1000000000);
	clock_advance(&clock_, 1000 + 5 * CLOCK_SECOND);
	assert_int_equal(clock_wall(&clock_), INT64_C(1700000005) * 1000000000);
}

static void after_takes_any_number(void **state)
{
	(void)state;
	clock_manual(&clock_, 1000, 0);
	assert_int_equal(clock_after(&clock_, 0), 1000);
	assert_int_equal(clock_after(&clock_, -5), 1000);
	assert_int_equal(clock_after(&clock_, (double)NAN), 1000);
	assert_int_equal(clock_after(&clock_, 2), 1000 + 2 * CLOCK_SECOND);
	assert_int_equal(clock_after(&clock_, 1e-9), 1001);
	assert_int_equal(clock_after(&clock_, 1e300), CLOCK_NEVER);
	assert_int_equal(clock_after(&clock_, (double)INFINITY), CLOCK_NEVER);
}

static void real_timers_wake_the_loop_and_never_early(void **state)
{
	struct probe a = {.sets = NULL}, b = {.sets = NULL}, now = {.sets = NULL};
	uint64_t begin = clock_now(&clock_);

	(void)state;
	set(&a, begin + 3 * CLOCK_SECOND / 1000);
	set(&b, begin + CLOCK_SECOND / 1000 + 1);
	set(&now, begin);
	uv_run(&loop, UV_RUN_DEFAULT); /* until no timer is left */
	assert_int_equal(now.order, 1);
	assert_int_equal(b.order, 2);
	assert_int_equal(a.order, 3);
	assert_true(a.at >= a.timer.at);
	assert_true(b.at >= b.timer.at);
}

static void one_set_to_now_does_not_starve_the_loop(void **state)
{
	struct probe other = {.sets = NULL}, again = {.sets = NULL};

	(void)state;
	again.sets = &again;
	set(&again, 0);
	set(&other, clock_now(&clock_) + CLOCK_SECOND / 1000);
	while (!other.fired)
		uv_run(&loop, UV_RUN_ONCE);
	assert_true(again.fired > 1);
	clock_unset(&clock_, &again.timer);
}

static void setting_wall_time_fires_what_waits_for_it(void **state)
{
	static struct probe wall[3], other;

	(void)state;
	memset(wall, 0, sizeof wall);
	memset(&other, 0, sizeof other);
	clock_manual(&clock_, 0, 0);
	assert_int_equal(clock_set(&clock_, &other.timer, 50, on_fire), 0);
	for (int i = 0; i < 3; i++) {
		wall[i].timer.wall = true;
		assert_int_equal(clock_set(&clock_, &wall[i].timer,
					   100 - 30 * (uint64_t)i, on_fire),
				 0);
	}
	clock_advance(&clock_, 10);
	clock_manual(&clock_, 10, 1000);
	assert_int_equal(clock_wall(&clock_), 1000);
	assert_int_equal(clock_next(&clock_), 10);
	clock_advance(&clock_, 10);
	for (int i = 0; i < 3; i++)
		assert_int_equal(wall[i].fired, 1);
	assert_int_equal(other.fired, 0);
	clock_advance(&clock_, 50);
	assert_int_equal(other.fired, 1);
}

static void no_memory_is_said(void **state)
{
	static struct probe probes[MANY];
	int rc = 0, n = 0;

	(void)state;
	memset(probes, 0, sizeof probes);
	clock_manual(&clock_, 0, 0);
	oom_at = 2;
	while (rc == 0 && n < MANY) {
		rc = clock_set(&clock_, &probes[n].timer, 1, on_fire);
		n++;
	}
	oom_at = 0;
	assert_int_equal(rc, HAP_ENOMEM);
	clock_advance(&clock_, 1);
	for (int i = 0; i < n - 1; i++)
		assert_int_equal(probes[i].fired, 1);
	assert_int_equal(probes[n - 1].fired, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_clock, close_clock)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fires_in_order_of_time),
		TEST(a_jump_fires_each_at_its_own_instant),
		TEST(a_timer_may_set_and_unset_others),
		TEST(one_that_is_unset_never_fires),
		TEST(wall_time_moves_with_the_manual_clock),
		TEST(after_takes_any_number),
		TEST(real_timers_wake_the_loop_and_never_early),
		TEST(one_set_to_now_does_not_starve_the_loop),
		TEST(setting_wall_time_fires_what_waits_for_it),
		TEST(no_memory_is_said),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
