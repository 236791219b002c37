/* SPDX-License-Identifier: MIT
 *
 * requests.h - what the unit tests of requests share: a target whose socket the test
 * listens to, and requests to it. */
#ifndef HAP_UNIT_REQUESTS_H
#define HAP_UNIT_REQUESTS_H

#include "loop.h"
#include "base/err.h"
#include "net/request.h"

static const struct permit all_is_permitted;
static struct target *target;
static int listener;
static int wakes;

static inline void wake(void *owner)
{
	(void)owner;
	wakes++;
}

static inline void open_target(const char *to, const char *route)
{
	assert_int_equal(target_new(&target, span_of(to), span_of(route),
				    &all_is_permitted, &now, &loop),
			 0);
}

static inline int open_all(void **state)
{
	loop_open(state);
	listener = listen_at(path, 10);
	open_target(path, "");
	wakes = 0;
	return 0;
}

static inline int close_all(void **state)
{
	target_unref(target);
	close(listener);
	return loop_close(state);
}

static inline struct request *make(const char *text)
{
	struct buf line = {0};
	struct request *r;

	assert_int_equal(buf_add_str(&line, text), 0);
	assert_int_equal(request_new(&r, target, &line), 0);
	assert_null(line.p);
	return r;
}

static inline struct request *begin(const char *text, double seconds)
{
	struct request *r = make(text);

	request_start(r, clock_after(&now, seconds), wake, r);
	return r;
}

static inline void check_done(const struct request *r, int rc, const char *phase)
{
	assert_int_equal(r->state, REQUEST_DONE);
	assert_int_equal(r->rc, rc);
	if (phase)
		assert_string_equal(r->phase, phase);
	else
		assert_null(r->phase);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

#endif
