/* SPDX-License-Identifier: MIT
 *
 * test_reply_rows.c - rows and values inside answers; for tables with a header see
 * test_reply_columns.c. Each input lies in memory of its exact size. */
#include "unit.h"
#include "base/err.h"
#include "protocol/reply.h"
#include "reply_input.h"

/* show acl, show map */

static void lists_of_2_6(void **state)
{
	struct span rest =
		text("# id (file) description\n"
		     "0 (/etc/haproxy/a.lst) pattern loaded from file "
		     "'/etc/haproxy/a.lst' used by "
		     "acl at file 'h.cfg' line 13. curr_ver=3 next_ver=4 entry_cnt=10\n"
		     "9999 () acl 'path' file 'h.cfg' line 15. curr_ver=0 next_ver=0 "
		     "entry_cnt=0");
	struct reply_list list;

	(void)state;
	assert_int_equal(reply_list_next(&rest, &list), 1);
	assert_int_equal(list.id, 0);
	SAME(list.file, "/etc/haproxy/a.lst");
	SAME(list.text,
	     "pattern loaded from file '/etc/haproxy/a.lst' used by acl at file "
	     "'h.cfg' line 13");
	assert_true(list.versioned);
	assert_int_equal(list.curr_ver, 3);
	assert_int_equal(list.next_ver, 4);
	assert_int_equal(list.entry_cnt, 10);
	assert_int_equal(reply_list_next(&rest, &list), 1);
	assert_int_equal(list.id, 9999);
	SAME(list.file, "");
	SAME(list.text, "acl 'path' file 'h.cfg' line 15");
	assert_true(list.versioned);
	assert_int_equal(reply_list_next(&rest, &list), 0);
}

static void lists_of_2_2_have_no_versions(void **state)
{
	struct span rest = text("# id (file) description\n"
				"9999 () acl 'path' file 'h.cfg' line 15");
	struct reply_list list;

	(void)state;
	assert_int_equal(reply_list_next(&rest, &list), 1);
	assert_false(list.versioned);
	SAME(list.text, "acl 'path' file 'h.cfg' line 15");
}

static void list_files_with_odd_names(void **state)
{
	struct span rest = text(
		"1 (a) b.lst) pattern loaded from file 'a) b.lst' used by acl at file "
		"'c) x' "
		"line 1. curr_ver=0 next_ver=0 entry_cnt=1\n"
		"2 (a) pattern loaded from file 'a' used by acl at file '(b) c' line 1\n"
		"3 () acl 'x' file 'a. curr_ver=1 next_ver=1 entry_cnt=1' line 2. "
		"curr_ver=7 "
		"next_ver=8 entry_cnt=18446744073709551616\n"
		"4 () acl 'x' file 'a. curr_ver=1 next_ver=1 entry_cnt=1' line 2. "
		"curr_ver=7 "
		"next_ver=8 entry_cnt=18446744073709551615");
	struct reply_list list;

	(void)state;
	assert_int_equal(reply_list_next(&rest, &list), 1);
	SAME(list.file, "a) b.lst");
	assert_int_equal(reply_list_next(&rest, &list), 1);
	SAME(list.file, "a");
	assert_int_equal(reply_list_next(&rest, &list), 1);
	assert_false(list.versioned);
	assert_int_equal(reply_list_next(&rest, &list), 1);
	assert_true(list.versioned);
	assert_int_equal(list.curr_ver, 7);
	assert_true(list.entry_cnt == UINT64_MAX);
	SAME(list.text, "acl 'x' file 'a. curr_ver=1 next_ver=1 entry_cnt=1' line 2");
}

static void lines_that_are_no_lists(void **state)
{
	static const char *const lines[] = {"x () acl", "1",    "1 acl 'x'",
					    "",         "1 (a", "()"};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		char line[64] = "1 () ok\n";
		struct reply_list list;
		struct span rest = text(strcat(strcat(line, lines[i]), "\n2 () ok"));

		assert_int_equal(reply_list_next(&rest, &list), 1);
		assert_int_equal(reply_list_next(&rest, &list), HAP_EPROTOCOL);
	}
}

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

/* get acl, get map */

static void matches_of_every_form(void **state)
{
	static const struct {
		const char *line;
		struct reply_match m;
	} cases[] = {
		{"type=reg, case=sensitive, match=no",
		 {.type = SPAN_LIT("reg"), .sensitive = true}},
		{"type=str, case=insensitive, match=yes, idx=list, pattern=\"/a\"",
		 {true,
		  false,
		  SPAN_LIT("str"),
		  SPAN_LIT("list"),
		  SPAN_LIT("/a"),
		  {0},
		  false}},
		{"type=ip, case=sensitive, match=yes, idx=tree, pattern=\"a\", x=\"b\"",
		 {true,
		  true,
		  SPAN_LIT("ip"),
		  SPAN_LIT("tree"),
		  SPAN_LIT("a\", x=\"b"),
		  {0},
		  false}},
		{"type=bool, case=sensitive, match=yes, idx=list, pattern=unknown",
		 {true, true, SPAN_LIT("bool"), SPAN_LIT("list"), {0}, {0}, false}},
		{"type=unknown(0x55d0), case=sensitive, match=no",
		 {.type = SPAN_LIT("method"), .sensitive = true}},
		{"type=str, case=sensitive, found=no",
		 {.type = SPAN_LIT("str"), .sensitive = true, .map = true}},
		{"type=reg, case=sensitive, found=yes, idx=list, key=\"/a\", "
		 "value=\"b\", "
		 "type=\"str\"",
		 {true, true, SPAN_LIT("reg"), SPAN_LIT("list"), SPAN_LIT("/a"),
		  SPAN_LIT("b"), true}},
		/* Values are not escaped: this one holds `x", type="int`. */
		{"type=str, case=sensitive, found=yes, idx=tree, key=\"k\", value=\"x\", "
		 "type=\"int\", type=\"str\"",
		 {true, true, SPAN_LIT("str"), SPAN_LIT("tree"), SPAN_LIT("k"),
		  SPAN_LIT("x\", type=\"int"), true}},
		{"type=str, case=sensitive, found=yes, idx=tree, key=\"k, value=v\", "
		 "value=\"\", type=\"str\"",
		 {true, true, SPAN_LIT("str"), SPAN_LIT("tree"), SPAN_LIT("k, value=v"),
		  SPAN_LIT(""), true}},
		{"type=str, case=sensitive, found=yes, idx=tree, key=\"k\", value=none",
		 {true,
		  true,
		  SPAN_LIT("str"),
		  SPAN_LIT("tree"),
		  SPAN_LIT("k"),
		  {0},
		  true}},
		{"type=str, case=sensitive, found=yes, idx=tree, key=unknown, value=none",
		 {true, true, SPAN_LIT("str"), SPAN_LIT("tree"), {0}, {0}, true}},
		{"type=str, case=sensitive, match=yes, idx=tree, pattern=\"a\nb\n\"",
		 {true,
		  true,
		  SPAN_LIT("str"),
		  SPAN_LIT("tree"),
		  SPAN_LIT("a\nb\n"),
		  {0},
		  false}},
	};
	size_t n = sizeof cases / sizeof *cases;
	struct buf all = {0};

	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(buf_add_str(&all, cases[i].line), 0);
		assert_int_equal(buf_add_byte(&all, i + 1 < n ? '\n' : '\0'), 0);
	}
	struct span rest = text(all.p);

	for (size_t i = 0; i < n; i++) {
		struct reply_match m;

		assert_int_equal(reply_match_next(&rest, &m), 1);
		assert_int_equal(m.found, cases[i].m.found);
		assert_int_equal(m.sensitive, cases[i].m.sensitive);
		assert_int_equal(m.map, cases[i].m.map);
		assert_span(m.type, cases[i].m.type);
		assert_span(m.index, cases[i].m.index);
		assert_span(m.pattern, cases[i].m.pattern);
		assert_span(m.value, cases[i].m.value);
	}
	assert_int_equal(reply_match_next(&rest, &(struct reply_match){0}), 0);
	buf_free(&all);
}

static void lines_that_are_no_matches(void **state)
{
	static const char *const cases[] = {
		"x",
		"type=str",
		"type=str, case=odd, match=no",
		"type=str, case=sensitive, match=maybe",
		"type=str, case=sensitive, match=no, idx=tree",
		"type=str, case=sensitive, match=yes, idx=tree",
		"type=str, case=sensitive, match=yes, idx=tree, pattern=x",
		"type=str, case=sensitive, match=yes, idx=tree, pattern=\"",
		"type=str, case=sensitive, match=yes, idx=tree, key=\"x\"",
		"type=str, case=sensitive, found=yes, idx=tree, key=\"x\"",
		"type=str, case=sensitive, found=yes, idx=tree, key=\"x\", value=\"y\"",
		"type=str, case=sensitive, found=yes, idx=tree, key=\"x\", value=some",
		"type=str, case=sensitive, found=yes, idx=tree, key=x, value=none",
		"\ntype=str, case=sensitive, match=no",
	};
	struct reply_match m;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct span rest = text(cases[i]);

		if (reply_match_next(&rest, &m) != HAP_EPROTOCOL)
			fail_msg("\"%s\" is taken for a match", cases[i]);
	}
}

/* show info, show sess */

static void info_pairs(void **state)
{
	struct span rest = text("Name: HAProxy\nUptime: 0d 0h00m01s\nnode: \nTainted:\n"
				"a: b: c\nbad"),
		    name, value;
	static const char *const want[][2] = {{"Name", "HAProxy"},
					      {"Uptime", "0d 0h00m01s"},
					      {"node", ""},
					      {"Tainted", ""},
					      {"a", "b: c"}};

	(void)state;
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		assert_int_equal(reply_pair_next(&rest, &name, &value), 1);
		assert_text(name, want[i][0]);
		assert_text(value, want[i][1]);
	}
	assert_int_equal(reply_pair_next(&rest, &name, &value), HAP_EPROTOCOL);
	assert_int_equal(reply_pair_next(&rest, &name, &value), 0);
	rest = text(": x");
	assert_int_equal(reply_pair_next(&rest, &name, &value), HAP_EPROTOCOL);
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_2_6),
		cmocka_unit_test(lists_of_2_2_have_no_versions),
		cmocka_unit_test(list_files_with_odd_names),
		cmocka_unit_test(lines_that_are_no_lists),
		cmocka_unit_test(entries_keep_every_byte_of_their_pattern),
		cmocka_unit_test(what_begins_no_entry),
		cmocka_unit_test(pairs_are_parted_at_the_first_space),
		cmocka_unit_test(matches_of_every_form),
		cmocka_unit_test(lines_that_are_no_matches),
		cmocka_unit_test(info_pairs),
		cmocka_unit_test(sessions_and_their_fields),
		cmocka_unit_test(integers_are_strict),
	};

	return cmocka_run_group_tests_name("reply_rows", tests, NULL, forget_input);
}
