/* SPDX-License-Identifier: MIT
 *
 * test_file.c - folders that cannot be read to their end. The rest of os/file.h is tested
 * by tests/lua/file_test.lua. */
/* link: --wrap=readdir */
#include "unit.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <uv.h>

static int entries_left; /* until readdir() fails; -1: it does not */

struct dirent *__real_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder);

struct dirent *__wrap_readdir(DIR *folder)
{
	if (entries_left == 0) {
		errno = EIO;
		return NULL;
	}
	entries_left -= entries_left > 0;
	return __real_readdir(folder);
}

static size_t count(const struct buf *names)
{
	size_t n = 0;

	for (size_t i = 0; i < names->n; i++)
		n += names->p[i] == '\0';
	return n;
}

static void a_folder_is_listed_whole(void **state)
{
	struct buf names = {0};

	(void)state;
	entries_left = -1;
	errno = EIO; /* what was there before does not count */
	assert_int_equal(file_list("tests/unit", &names), 0);
	assert_true(count(&names) > 10);
	for (const char *p = names.p; p < names.p + names.n; p += strlen(p) + 1)
		assert_true(*p && *p != '.');
	buf_free(&names);
}

static void a_failure_is_not_taken_for_the_end(void **state)
{
	(void)state;
	for (int n = 0; n < 5; n++) {
		struct buf names = {0};

		entries_left = n;
		assert_int_equal(file_list("tests/unit", &names), UV_EIO);
		buf_free(&names);
	}
}

static void what_is_no_folder_is_not_listed(void **state)
{
	struct buf names = {0};

	(void)state;
	assert_int_equal(file_list("/nowhere", &names), UV_ENOENT);
	assert_int_equal(file_list("Makefile", &names), UV_ENOTDIR);
	buf_free(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_is_listed_whole),
		cmocka_unit_test(a_failure_is_not_taken_for_the_end),
		cmocka_unit_test(what_is_no_folder_is_not_listed),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
