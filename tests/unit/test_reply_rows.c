/* SPDX-License-Identifier: MIT
 *
 * test_reply_rows.c - rows and values inside answers; for tables with a header see
 * test_reply_columns.c. Each input lies in memory of its exact size. */
#include "unit.h"
#include "base/err.h"
#include "protocol/reply.h"
#include "reply_input.h"

/* show acl REF, show map REF */

static void entries_keep_every_byte_of_their_pattern(void **state)
{
	static const char *const patterns[] = {
		"^/a$", "a b  ",   "",         " x",  "a\nb",  "a\n\n> forged\n",
		"0x",   "a\n0x55", "a\n0xz b", "a\r", "a\n\n",
	};
	size_t n = sizeof patterns / sizeof *patterns;
	struct buf dump = {0};
	struct reply_entry entry;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(buf_add_str(&dump, i ? "\n0x55c02a410940 " : "0x1f "),
				 0);
		assert_int_equal(buf_add_str(&dump, patterns[i]), 0);
	}
	assert_int_equal(buf_add_byte(&dump, '\0'), 0);
	struct span rest = text(dump.p);

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(reply_entry_next(&rest, &entry), 1);
		assert_text(entry.ref, i ? "0x55c02a410940" : "0x1f");
		assert_text(entry.pattern, patterns[i]);
	}
	assert_int_equal(reply_entry_next(&rest, &entry), 0);
	buf_free(&dump);
}

static void what_begins_no_entry(void **state)
{
	static const char *const cases[] = {
		"x",
		"0x",
		"0x ",
		"0x55",
		" 0x55 a",
		"0x5g a",
		"0X55 a",
		"0x5\n",
		"\n0x5 a",
		"(nil) a",
		"0x00000000000000001 a",
	};
	struct reply_entry entry;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct span rest = text(cases[i]);

		assert_int_equal(reply_entry_next(&rest, &entry), HAP_EPROTOCOL);
	}
	assert_int_equal(reply_entry_next(&(struct span){NULL, 0}, &entry), 0);
}

static void pairs_are_parted_at_the_first_space(void **state)
{
	static const struct {
		const char *pattern, *key, *value;
	} cases[] = {
		{"k v", "k", "v"}, {"k v w ", "k", "v w "}, {"k ", "k", ""},
		{"k", "k", ""},    {" v", "", "v"},         {"", "", ""},
	};
	struct span key, value;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		reply_entry_pair(text(cases[i].pattern), &key, &value);
		assert_text(key, cases[i].key);
		assert_text(value, cases[i].value);
	}
}

/* show sess */

static void sessions_and_their_fields(void **state)
{
	struct span rest = text(
			    "0x55c02a4d4d80: proto=unix_stream src=unix:1 fe=GLOBAL "
			    "be=<NONE> age=0s "
			    "rq[f=c48202h,i=0,an=00h] s0=[8,0h] exp= odd =x  rc=0\n"
			    "  flags=0x8, conn_retries=0\n"
			    "0x1 no colon\n"
			    "\n"
			    "0x7f80: [22/Nov/2026:17:19:02] id=38 source=10.0.0.1:80"),
		    ref, all, name, value;
	static const char *const want[][2] = {
		{"proto", "unix_stream"},
		{"src", "unix:1"},
		{"fe", "GLOBAL"},
		{"be", "<NONE>"},
		{"age", "0s"},
		{"rq", "[f=c48202h,i=0,an=00h]"},
		{"s0", "[8,0h]"},
		{"exp", ""},
		{"rc", "0"},
	};

	(void)state;
	assert_int_equal(reply_session_next(&rest, &ref, &all), 1);
	SAME(ref, "0x55c02a4d4d80");
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		assert_int_equal(reply_field_next(&all, &name, &value), 1);
		assert_text(name, want[i][0]);
		assert_text(value, want[i][1]);
	}
	assert_int_equal(reply_field_next(&all, &name, &value), 0);
	assert_int_equal(reply_session_next(&rest, &ref, &all), 1);
	SAME(ref, "0x7f80");
	assert_int_equal(reply_field_next(&all, &name, &value), 1);
	SAME(name, "id");
	assert_int_equal(reply_field_next(&all, &name, &value), 1);
	SAME(value, "10.0.0.1:80");
	assert_int_equal(reply_session_next(&rest, &ref, &all), 0);
}

static void integers_are_strict(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
	} good[] = {
		{"0", 0},
		{"-1", -1},
		{"007", 7},
		{"9223372036854775807", INT64_MAX},
		{"-9223372036854775808", INT64_MIN},
		{"-0", 0},
	};
	static const char *const bad[] = {
		"",
		"-",
		"+1",
		" 1",
		"1 ",
		"1.0",
		"0x1",
		"a",
		"--1",
		"1-",
		"9223372036854775808",
		"-9223372036854775809",
		"18446744073709551616",
		"99999999999999999999999",
	};
	int64_t value;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(reply_integer(text(good[i].text), &value));
		assert_true(value == good[i].value);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(reply_integer(text(bad[i]), &value));
	assert_false(reply_integer(SPAN_LIT("1\0"), &value));
}

/* show acl, show map */

static void lists_and_their_versions(void **state)
{
	static const char *const lines =
		"# id (file) description\n"
		"9999 () acl 'path' file 'h.cfg' line 1. curr_ver=3 next_ver=4 "
		"entry_cnt=18446744073709551615\n"
		"# a remark\n"
		"-1 (a) b) pattern loaded from file 'a) b' used\n"
		"2 () x. curr_ver=1 next_ver=1 entry_cnt=1. curr_ver=5 next_ver=6 "
		"entry_cnt=7\n"
		"3 (f) x. curr_ver=1 next_ver=1 entry_cnt=18446744073709551616";
	struct span rest = text(lines);
	struct reply_list list;

	(void)state;
	assert_int_equal(reply_list_next(&rest, &list), 1);
	assert_true(list.id == 9999 && list.file.n == 0 && list.versioned);
	assert_true(list.current == 3 && list.upcoming == 4 && list.entries == -1);
	SAME(list.text, "acl 'path' file 'h.cfg' line 1");
	assert_int_equal(reply_list_next(&rest, &list), 1);
	assert_true(list.id == -1 && !list.versioned);
	SAME(list.file, "a) b");
	SAME(list.text, "pattern loaded from file 'a) b' used");
	assert_int_equal(reply_list_next(&rest, &list), 1);
	assert_true(list.current == 5 && list.upcoming == 6 && list.entries == 7);
	SAME(list.text, "x. curr_ver=1 next_ver=1 entry_cnt=1");
	assert_int_equal(reply_list_next(&rest, &list), 1);
	assert_false(list.versioned);
	SAME(list.text, "x. curr_ver=1 next_ver=1 entry_cnt=18446744073709551616");
	assert_int_equal(reply_list_next(&rest, &list), 0);
}

static void what_is_no_list(void **state)
{
	static const char *const cases[] = {"",     "\n",       "1",     "1 (a",  "() x",
					    "- ()", "1.0 () x", "1 ( )", "a () x"};
	struct reply_list list;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct span rest = text(cases[i]);

		assert_int_equal(reply_list_next(&rest, &list), i ? HAP_EPROTOCOL : 0);
		assert_int_equal(rest.n, strlen(cases[i]));
	}
}

/* get acl, get map */

static void records_end_before_the_next_one(void **state)
{
	static const char *const records =
		"type=str, case=sensitive, match=yes, idx=tree, pattern=\"a\ntype=b\"\n"
		"type=unknown(0x5), case=insensitive, match=no\n"
		"type=str, case=sensitive, found=yes, idx=list, key=\"k\", value=\"x\", "
		"type=\"y\", type=\"str\"\n"
		"type=str, case=sensitive, found=yes, idx=tree, key=unknown, value=none";
	struct span rest = text(records);
	struct reply_match match;

	(void)state;
	assert_int_equal(reply_match_next(&rest, &match), 1);
	assert_true(match.found && !match.is_map);
	SAME(match.type, "str");
	SAME(match.index, "tree");
	SAME(match.pattern, "a\ntype=b");
	assert_int_equal(reply_match_next(&rest, &match), 1);
	assert_false(match.found);
	SAME(match.type, "method");
	SAME(match.sensitivity, "insensitive");
	assert_int_equal(reply_match_next(&rest, &match), 1);
	assert_true(match.found && match.is_map);
	SAME(match.pattern, "k");
	SAME(match.value, "x\", type=\"y");
	assert_int_equal(reply_match_next(&rest, &match), 1);
	assert_true(match.pattern.n == 0 && match.value.n == 0);
	assert_int_equal(reply_match_next(&rest, &match), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_keep_every_byte_of_their_pattern),
		cmocka_unit_test(what_begins_no_entry),
		cmocka_unit_test(pairs_are_parted_at_the_first_space),
		cmocka_unit_test(lists_and_their_versions),
		cmocka_unit_test(what_is_no_list),
		cmocka_unit_test(records_end_before_the_next_one),
		cmocka_unit_test(sessions_and_their_fields),
		cmocka_unit_test(integers_are_strict),
	};

	return cmocka_run_group_tests_name("reply_rows", tests, NULL, forget_input);
}
