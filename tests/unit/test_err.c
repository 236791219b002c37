/* SPDX-License-Identifier: MIT
 *
 * test_err.c - kinds and texts of failure codes. */
#include "unit.h"
#include "base/err.h"

#include <uv.h>

static const struct {
	int code;
	const char *kind;
} kinds[] = {
	{HAP_ENOMEM, "memory"},
	{HAP_EREFUSED, "refused"},
	{HAP_EDENIED, "denied"},
	{HAP_EPROTOCOL, "protocol"},
	{HAP_ETIMEOUT, "timeout"},
	{HAP_EINTERRUPTED, "interrupted"},
	{HAP_ELIMIT, "protocol"},
	{HAP_EREADONLY, "denied"},
	{HAP_EONLY, "denied"},
	{HAP_EWORKER, "unreachable"},
	{HAP_EPROCESS, "refused"},
	{HAP_ENEWLINE, "refused"},
	{HAP_EROUTE, "refused"},
	{HAP_EADDRESS, "refused"},
	{HAP_EPATH, "refused"},
	{UV_ENOMEM, "memory"},
	{UV_ECONNREFUSED, "unreachable"},
	{UV_ENOENT, "unreachable"},
	{UV_EACCES, "unreachable"},
	{UV_ETIMEDOUT, "unreachable"},
	{UV_EAI_NONAME, "unreachable"},
	{-12345678, "unreachable"},
};

static void every_code_has_its_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		assert_string_equal(err_kind(kinds[i].code), kinds[i].kind);
}

static const int own[] = {
	HAP_ENOMEM,       HAP_EREFUSED, HAP_EDENIED,  HAP_EPROTOCOL, HAP_ETIMEOUT,
	HAP_EINTERRUPTED, HAP_ELIMIT,   HAP_ENEWLINE, HAP_ENUL,      HAP_EEMPTY,
	HAP_ELONG,        HAP_EWORDS,   HAP_ESECOND,  HAP_EMARK,     HAP_EESCAPE,
	HAP_EPAYLOAD,     HAP_EROUTE,   HAP_EADDRESS, HAP_EPATH,     HAP_EPROCESS,
	HAP_EREADONLY,    HAP_EONLY,
};

static void every_own_code_has_its_own_text(void **state)
{
	size_t n = sizeof own / sizeof *own;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_string_not_equal(err_text(own[i]), "");
		assert_string_not_equal(err_text(own[i]), "unknown error");
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(err_text(own[i]), err_text(own[k]));
	}
}

/* Such a code is never taken for a fault of the network. */
static void no_own_code_counts_as_unreachable(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		assert_string_not_equal(err_kind(own[i]), "unreachable");
}

static void libuv_codes_keep_libuv_texts(void **state)
{
	(void)state;
	assert_string_equal(err_text(UV_ECONNREFUSED), "connection refused");
	assert_string_equal(err_text(UV_ENOENT), "no such file or directory");
	assert_string_equal(err_text(UV_EAI_NONAME), "unknown node or service");
}

static void every_kind_is_found_by_its_name(void **state)
{
	(void)state;
	for (const struct error_kind *kind = error_kinds; kind->name; kind++)
		assert_ptr_equal(err_kind_find(kind->name), kind);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		assert_non_null(err_kind_find(err_kind(kinds[i].code)));
	assert_null(err_kind_find("refuse"));
	assert_null(err_kind_find(""));
}

static void any_number_has_a_static_text(void **state)
{
	(void)state;
	assert_string_equal(err_text(0), "no error");
	assert_string_equal(err_text(7), "no error");
	assert_string_equal(err_text(-12345678), "unknown error");
	assert_ptr_equal(err_text(-12345678), err_text(-12345679));
	assert_string_equal(err_text(INT32_MIN), "unknown error");
}

static void system_codes_have_the_systems_names(void **state)
{
	(void)state;
	assert_string_equal(err_name(UV_ENOENT), "ENOENT");
	assert_string_equal(err_name(HAP_ENOMEM), "ENOMEM");
	assert_string_equal(err_name(-12345678), "UNKNOWN");
	assert_int_equal(err_code("ECONNRESET"), UV_ECONNRESET);
	assert_int_equal(err_code("UNHEARD"), UV_EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_its_kind),
		cmocka_unit_test(every_own_code_has_its_own_text),
		cmocka_unit_test(no_own_code_counts_as_unreachable),
		cmocka_unit_test(libuv_codes_keep_libuv_texts),
		cmocka_unit_test(every_kind_is_found_by_its_name),
		cmocka_unit_test(any_number_has_a_static_text),
		cmocka_unit_test(system_codes_have_the_systems_names),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
