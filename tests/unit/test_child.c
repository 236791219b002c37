/* SPDX-License-Identifier: MIT
 *
 * test_child.c - child processes: their input, and that none stays behind. */
#include "unit.h"
#include "os/child.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

static uv_loop_t loop;
static int woken;

static void on_wake(void *owner)
{
	(void)owner;
	woken++;
}

static int open_loop(void **state)
{
	(void)state;
	return uv_loop_init(&loop);
}

static int close_loop(void **state)
{
	(void)state;
	return uv_loop_close(&loop);
}

static struct child *start(const struct child_options *options)
{
	struct child *c;

	assert_int_equal(child_start(&c, &loop, options), 0);
	c->wake = on_wake;
	return c;
}

/* A zombie would still be there to be waited for. */
static void a_child_that_is_dropped_is_ended_and_waited_for(void **state)
{
	char *argv[] = {"sleep", "600", NULL};
	struct child *c = start(&(struct child_options){.argv = argv});
	int pid = c->process.pid;

	(void)state;
	child_drop(c);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void a_program_that_is_not_there_leaves_nothing(void **state)
{
	char *argv[] = {"/nowhere/program", NULL};
	struct child_options o = {.argv = argv, .has_input = true, .out = CHILD_CAPTURE};
	struct child *c;

	(void)state;
	assert_int_equal(child_start(&c, &loop, &o), UV_ENOENT);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* Its length does not fit into 32 bits. The pages are never touched, so they are all the
 * one page of zeros. */
static void a_long_input_arrives_whole(void **state)
{
	const size_t n = ((size_t)1 << 32) + 3;
	char *argv[] = {"wc", "-c", NULL}, want[32];
	const char *preloaded = getenv("LD_PRELOAD");

	(void)state;
	if (sizeof n < 8 || (preloaded && strstr(preloaded, "vgpreload")))
		skip(); /* valgrind looks at every byte that a system call is given */
	char *zeros = mmap(NULL, n, PROT_READ,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(zeros, MAP_FAILED);
	struct child *c = start(&(struct child_options){.argv = argv,
							.input = {zeros, n},
							.has_input = true,
							.out = CHILD_CAPTURE});

	while (!child_ended(c))
		uv_run(&loop, UV_RUN_ONCE);
	snprintf(want, sizeof want, "%zu\n", n);
	assert_text(buf_span(&c->got[1]), want);
	assert_int_equal(c->status, 0);
	assert_true(woken > 0);
	child_drop(c);
	uv_run(&loop, UV_RUN_DEFAULT);
	munmap(zeros, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_child_that_is_dropped_is_ended_and_waited_for, open_loop,
			close_loop),
		cmocka_unit_test_setup_teardown(
			a_program_that_is_not_there_leaves_nothing, open_loop,
			close_loop),
		cmocka_unit_test_setup_teardown(a_long_input_arrives_whole, open_loop,
						close_loop),
	};

	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
