/* SPDX-License-Identifier: MIT
 *
 * test_reply_columns.c - the part of reply_rows.c that reads tables with a header: `show
 * servers state`, `show servers conn`, `show stat`. */
/* link: --wrap=malloc --wrap=realloc */
#define UNIT_OOM
#include "unit.h"
#include "base/err.h"
#include "protocol/reply.h"
#include "reply_input.h"

static struct reply_columns columns;
static struct span fields[REPLY_COLUMNS_MAX];

static void servers_state_by_name(void **state)
{
	struct span rest =
		text("1\n# be_id be_name srv_id\n3 app 1\n3 app 2 extra\n3 app");
	size_t n;

	(void)state;
	assert_int_equal(reply_columns(&rest, &columns), 1);
	assert_int_equal(columns.sep, ' ');
	assert_int_equal(columns.n, 3);
	SAME(columns.name[0], "be_id");
	SAME(columns.name[2], "srv_id");
	assert_int_equal(reply_row_next(&rest, &columns, fields, &n), 1);
	assert_int_equal(n, 3);
	SAME(fields[1], "app");
	SAME(fields[2], "1");
	assert_int_equal(reply_row_next(&rest, &columns, fields, &n), 1);
	assert_int_equal(n, 4);
	SAME(fields[3], "extra");
	assert_int_equal(reply_row_next(&rest, &columns, fields, &n), 1);
	assert_int_equal(n, 2);
	SAME(fields[1], "app");
	assert_int_equal(reply_row_next(&rest, &columns, fields, &n), 0);
}

static void servers_conn_has_more_fields_than_names(void **state)
{
	struct span rest = text("# bkname/svname bkid/svid addr port - idle_per_thr[2]\n"
				"app/s1 3/1 127.0.0.1 80 - 0 7\n\nrest");
	size_t n;

	(void)state;
	assert_int_equal(reply_columns(&rest, &columns), 1);
	assert_int_equal(columns.n, 6);
	SAME(columns.name[4], "-");
	assert_int_equal(reply_row_next(&rest, &columns, fields, &n), 1);
	assert_int_equal(n, 7);
	SAME(fields[0], "app/s1");
	SAME(fields[6], "7");
	/* An empty line ends the rows. */
	assert_int_equal(reply_row_next(&rest, &columns, fields, &n), 0);
	assert_int_equal(reply_row_next(&rest, &columns, fields, &n), 0);
}

static void one_space_is_one_separator(void **state)
{
	struct span rest = text("# a b\n x  y \n\tz\r");
	size_t n;

	(void)state;
	assert_int_equal(reply_columns(&rest, &columns), 1);
	assert_int_equal(reply_row_next(&rest, &columns, fields, &n), 1);
	assert_int_equal(n, 5);
	SAME(fields[0], "");
	SAME(fields[1], "x");
	SAME(fields[2], "");
	SAME(fields[3], "y");
	SAME(fields[4], "");
	assert_int_equal(reply_row_next(&rest, &columns, fields, &n), 1);
	assert_int_equal(n, 1);
	SAME(fields[0], "\tz\r");
}

static void stat_closes_each_line_with_a_comma(void **state)
{
	struct span rest = text("# pxname,svname,scur,last_chk,\n"
				"fe,FRONTEND,0,,\n"
				"app,s1,1,\"* OK,1 \"\"x\"\"\nstep\",\n"
				",,,,");
	char out[32];
	size_t n;

	(void)state;
	assert_int_equal(reply_columns(&rest, &columns), 1);
	assert_int_equal(columns.sep, ',');
	assert_int_equal(columns.n, 4);
	SAME(columns.name[3], "last_chk");
	assert_int_equal(reply_row_next(&rest, &columns, fields, &n), 1);
	assert_int_equal(n, 4);
	SAME(fields[0], "fe");
	SAME(fields[3], "");
	assert_int_equal(reply_row_next(&rest, &columns, fields, &n), 1);
	SAME(fields[3], "\"* OK,1 \"\"x\"\"\nstep\"");
	assert_text(((struct span){out, reply_unquote(out, fields[3])}),
		    "* OK,1 \"x\"\nstep");
	assert_int_equal(reply_row_next(&rest, &columns, fields, &n), 1);
	assert_int_equal(n, 4);
	assert_int_equal(reply_row_next(&rest, &columns, fields, &n), 0);
}

static void one_field_of_a_row(void **state)
{
	static const struct {
		const char *row;
		char sep;
		const char *fields[4]; /* NULL behind the last */
	} cases[] = {
		{"a,,\"b,\n\"\"\",\nx,y,\n", ',', {"a", "", "\"b,\n\"\"\""}},
		{"a,b", ',', {"a", "b"}},
		{"a,\"b", ',', {"a"}},
		{"", ',', {NULL}},
		{"\nb,", ',', {NULL}},
		{"a  b\nc d", ' ', {"a", "", "b"}},
		{"a", ' ', {"a"}},
		{"", ' ', {NULL}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct span row = text(cases[i].row), field;

		for (size_t n = 0; n < 4; n++) {
			bool there = reply_field_at(row, cases[i].sep, n, &field);

			assert_int_equal(there, cases[i].fields[n] != NULL);
			if (there)
				assert_text(field, cases[i].fields[n]);
		}
	}
}

static void csv_that_does_not_match_its_header(void **state)
{
	static const char *const rows[] = {
		"a,", "a,b,c,", "\"a", "\"a,b,", "\"a\"x,b,", "\"", "\"a\"\"", ",",
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char dump[64] = "# x,y,\n";
		struct span rest = text(strcat(dump, rows[i]));
		size_t n;

		assert_int_equal(reply_columns(&rest, &columns), 1);
		if (reply_row_next(&rest, &columns, fields, &n) != HAP_EPROTOCOL)
			fail_msg("%s is taken for a row", rows[i]);
	}
}

static void what_is_no_header(void **state)
{
	static const char *const cases[] = {"1",    "1\n",       "x",    "#",
					    "#a b", "1\n1\n# a", "\n# a"};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct span rest = text(cases[i]);

		if (reply_columns(&rest, &columns) != HAP_EPROTOCOL)
			fail_msg("\"%s\" is taken for a header", cases[i]);
	}
	assert_int_equal(reply_columns(&(struct span){NULL, 0}, &columns), 0);
	struct span rest = text("# name\napp");

	assert_int_equal(reply_columns(&rest, &columns), 1);
	assert_int_equal(columns.n, 1);
	SAME(columns.name[0], "name");
}

static void there_are_at_most_512_columns(void **state)
{
	static const char seps[] = {' ', ','};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		static char dump[2 + 2 * REPLY_COLUMNS_MAX + 2];
		size_t n = 2;

		memcpy(dump, "# ", 2);
		for (size_t k = 0; k < REPLY_COLUMNS_MAX; k++) {
			dump[n++] = 'x';
			dump[n++] = seps[i];
		}
		dump[seps[i] == ' ' ? n - 1 : n] = '\0';
		struct span rest = text(dump);

		assert_int_equal(reply_columns(&rest, &columns), 1);
		assert_int_equal(columns.n, REPLY_COLUMNS_MAX);
		memcpy(dump + n, "x", 2);
		dump[n - 1] = seps[i];
		rest = text(dump);
		assert_int_equal(reply_columns(&rest, &columns), HAP_EPROTOCOL);
		rest = text(dump + 2);
		assert_int_equal(reply_row_next(&rest, &columns, fields, &n),
				 HAP_EPROTOCOL);
	}
}

static void unquoting(void **state)
{
	static const struct {
		const char *field, *value;
	} cases[] = {
		{"", ""},         {"a", "a"},       {"\"a\"", "a"},
		{"\"\"", ""},     {"\"", "\""},     {"\"\"\"\"", "\""},
		{"\"a", "\"a"},   {"a\"b", "a\"b"}, {"\"a\"b\"", "a\"b"},
		{"\"\"\"", "\""},
	};
	char out[32];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct span value = {out, reply_unquote(out, text(cases[i].field))};

		assert_text(value, cases[i].value);
	}
}

static void an_empty_text_has_no_columns(void **state)
{
	(void)state;
	struct span rest = {"", 0};

	columns.n = 77;
	assert_int_equal(reply_columns(&rest, &columns), 0);
	assert_int_equal(columns.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers_state_by_name),
		cmocka_unit_test(servers_conn_has_more_fields_than_names),
		cmocka_unit_test(one_space_is_one_separator),
		cmocka_unit_test(stat_closes_each_line_with_a_comma),
		cmocka_unit_test(one_field_of_a_row),
		cmocka_unit_test(csv_that_does_not_match_its_header),
		cmocka_unit_test(what_is_no_header),
		cmocka_unit_test(there_are_at_most_512_columns),
		cmocka_unit_test(unquoting),
		cmocka_unit_test(an_empty_text_has_no_columns),
	};

	return cmocka_run_group_tests_name("reply_columns", tests, NULL, forget_input);
}
