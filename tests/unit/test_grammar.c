/* SPDX-License-Identifier: MIT
 *
 * test_grammar.c - the table of grammars in reply.c: which entry a command has, and what
 * it says about the command. How answers are judged by it: test_reply.c. */
#include "unit.h"
#include "protocol/command.h"
#include "protocol/reply.h"

#include <stdio.h>

static const struct grammar *grammar_of(const char *text)
{
	struct command c = {0};
	int rc = command_from_text(&c, span_of(text));
	const struct grammar *g = rc == 0 ? c.grammar : &grammar_unknown;

	command_free(&c);
	return g;
}

static void the_longest_grammar_wins(void **state)
{
	static const struct {
		const char *command, *grammar;
	} cases[] = {
		{"show stat", "show stat"},
		{"show stat json", "show stat json"},
		{"show stat json up", "show stat json"},
		{"show info typed", "show info"},
		{"set server b/s", "set server"},
		{"set server b/s addr", "set server * addr"},
		{"set server b/s addrx", "set server"},
		{"set server addr", "set server"},
		{"show acl", "show acl"},
		{"show acl #9999", "show acl *"},
		{"show acl @1 #9999", "show acl *"},
		{"show frob", "show"},
		{"showacl", ""},
		{"show\\ acl", ""},
		{"add", ""},
		{"add acls", ""},
		{"@1 show info", "@*"},
		{"@!123 show info", "@*"},
		{"@", "@*"},
		{"", ""},
		{"frob", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(grammar_of(cases[i].command)->command,
				    cases[i].grammar);
}

static const struct grammar *find(const struct span *words, size_t n, bool more)
{
	bool got;
	const struct grammar *g = grammar_find(words, n, &got);

	assert_int_equal(got, more);
	return g;
}

static void odd_words_have_a_row(void **state)
{
	const struct span words[] = {SPAN_LIT("show"), SPAN_LIT("acl"), {NULL, 0}};

	(void)state;
	assert_ptr_equal(find(NULL, 0, false), &grammar_unknown);
	assert_ptr_equal(find(words + 2, 1, false), &grammar_unknown);
	assert_string_equal(find(words, 3, false)->command, "show acl *");
	assert_string_equal(
		find((struct span[]){SPAN_LIT("show"), {NULL, 0}}, 2, false)->command,
		"show");
}

/* Whether further words could lead to another row. */
static void a_head_decides_or_not(void **state)
{
	const struct span add[] = {SPAN_LIT("add"), SPAN_LIT("acl"), SPAN_LIT("#1")};
	const struct span set[] = {SPAN_LIT("set"), SPAN_LIT("server"), SPAN_LIT("a/b"),
				   SPAN_LIT("state")};

	(void)state;
	find(add, 1, true);
	find(add, 2, false);
	find(add, 3, false);
	find(set, 2, true);
	find(set, 3, true);
	find(set, 4, false);
}

static void what_reads_is_known_to_read(void **state)
{
	static const char *const reads[] = {
		"show info",
		"show stat",
		"show servers state",
		"show acl #1",
		"show map m",
		"get acl #1 x",
		"get map m x",
		"get weight b/s",
		"get var proc.x",
		"show sess",
		"show table t",
		"show env",
		"show errors",
		"show ssl cert x",
		"show peers",
		"show cli sockets",
		"show proc",
		"show startup-logs",
		"show events buf0",
		"show tls-keys",
		"show something new",
		"help",
		"echo x",
		"wait 1s",
		"dump stats-file",
		"dump ssl cert x",
	};
	static const char *const changes[] = {
		"add acl #1 x",
		"add map m k v",
		"del acl #1 x",
		"clear acl #1",
		"prepare acl #1",
		"commit acl @1 #1",
		"set map m k v",
		"set server b/s state maint",
		"set server b/s new-thing 1",
		"set weight b/s 1",
		"disable server b/s",
		"enable frontend fe",
		"shutdown session 0x1",
		"shutdown frontend f",
		"clear counters",
		"clear table t",
		"set table t key k",
		"set maxconn global 1",
		"set rate-limit x",
		"set ssl cert x",
		"commit ssl cert x",
		"add server b/s x",
		"del server b/s",
		"set profiling tasks on",
		"trace h1 start now",
		"set var proc.x 1",
		"reload",
		"hard-reload",
		"debug dev exit",
		"httpclient GET x",
		"acme renew x",
		"set anon global-key 1",
		"frobnicate",
		"update ssl ocsp-response x",
		"set",
		"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof reads / sizeof *reads; i++)
		if (grammar_of(reads[i])->flags & GRAMMAR_CHANGES)
			fail_msg("%s counts as a change", reads[i]);
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
		if (!(grammar_of(changes[i])->flags & GRAMMAR_CHANGES))
			fail_msg("%s does not count as a change", changes[i]);
}

static void what_alters_the_session_is_known(void **state)
{
	static const char *const closes[] = {
		"quit",
		"prompt",
		"prompt i",
		"@1",
		"@master show proc",
		"@@1",
		"user",
		"operator",
		"set severity-output none",
		"_getsocks",
		"set timeout cli 3",
		"expert-mode on",
		"experimental-mode on",
		"set anon on",
	};

	(void)state;
	for (size_t i = 0; i < sizeof closes / sizeof *closes; i++)
		if (!(grammar_of(closes[i])->flags & GRAMMAR_CLOSES))
			fail_msg("%s may be sent", closes[i]);
	assert_false(grammar_of("quitx")->flags & GRAMMAR_CLOSES);
	assert_false(grammar_of("set anon global-key 1")->flags & GRAMMAR_CLOSES);
}

/* What answers with an LF too few on some version spoils the framing of what follows. */
static void what_may_end_short_is_last_on_its_line(void **state)
{
	static const char *const lasts[] = {
		"show info json",
		"show stat json",
		"show schema json",
		"set weight b/s x",
		"set server b/s weight x",
		"set maxconn server b/s x",
		"set server b/s check-port 1",
		"add server b/s x",
		"del server b/s",
		"get var x",
		"show events buf0",
		"show resolvers",
		"show threads",
		"show startup-logs",
		"dump stats-file",
		"echo",
		"show env",
		"show acl #1",
		"show map m",
		"get map m k",
		"get acl #1 k",
		"httpclient GET x",
		"trace 0",
		"show trace h1",
		"frobnicate",
		"del ssl cert x",
		"reload",
	};
	static const char *const joined[] = {
		"add acl #1 x",
		"del acl #1 x",
		"add map m k v",
		"del map m k",
		"set map m k v",
		"clear acl #1",
		"set server b/s state maint",
		"show info",
		"show stat",
		"show servers state",
		"enable server b/s",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lasts / sizeof *lasts; i++)
		if (!(grammar_of(lasts[i])->flags & GRAMMAR_RAW))
			fail_msg("%s may be followed", lasts[i]);
	for (size_t i = 0; i < sizeof joined / sizeof *joined; i++)
		if (grammar_of(joined[i])->flags & (GRAMMAR_RAW | GRAMMAR_SHORT))
			fail_msg("%s may not be followed", joined[i]);
}

/* HAProxy takes `set maxconn frontend fe x` for 0, and answers with success. */
static void numbers_taken_for_0_are_known(void **state)
{
	static const char *const numbers[] = {
		"set maxconn frontend fe 10",
		"set maxconn global 10",
		"set rate-limit connections global 10",
	};

	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (!(grammar_of(numbers[i])->flags & GRAMMAR_NUMBER))
			fail_msg("%s needs a number", numbers[i]);
	assert_false(grammar_of("set server b/s weight 50%")->flags & GRAMMAR_NUMBER);
}

/* Each is found by its own words, and takes its own beginnings for a success. */
static void every_grammar_is_reached(void **state)
{
	const struct grammar *g;
	size_t n = 0;

	(void)state;
	for (; (g = grammar_at(n)); n++) {
		struct span rest = span_of(g->begins ? g->begins : ""), begin, text;

		if (grammar_of(g->command) != g)
			fail_msg("%s is found as %s", g->command,
				 grammar_of(g->command)->command);
		while (g->begins && span_word(&rest, '|', &begin)) {
			char reply[200];
			int size = snprintf(reply, sizeof reply, "%.*s\n", (int)begin.n,
					    begin.p);

			assert_int_equal(reply_check(g,
						     (struct span){reply, (size_t)size},
						     true, false, &text),
					 0);
		}
	}
	assert_true(n > 100);
	assert_null(grammar_at(n + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_grammar_wins),
		cmocka_unit_test(odd_words_have_a_row),
		cmocka_unit_test(a_head_decides_or_not),
		cmocka_unit_test(every_grammar_is_reached),
		cmocka_unit_test(what_reads_is_known_to_read),
		cmocka_unit_test(what_alters_the_session_is_known),
		cmocka_unit_test(what_may_end_short_is_last_on_its_line),
		cmocka_unit_test(numbers_taken_for_0_are_known),
	};

	return cmocka_run_group_tests_name("grammar", tests, NULL, NULL);
}
