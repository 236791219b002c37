/* SPDX-License-Identifier: MIT
 *
 * test_only.c - random options of --only against random commands. A model of a HAProxy
 * with a few lists and servers, written without regard to permit.c, says what a command
 * changes; what permit.c lets through must change nothing that no option names. */
#include "unit.h"
#include "model.h"
#include "protocol/permit.h"

#include <stdio.h>

enum { ROUNDS = 200000 };

/* The HAProxy. Numbers and names are chosen so that they meet: #4 is a list and a
 * backend, `app` is a backend and a file, `app/o1` is a server and a file, `4` is a
 * backend's name. */

static const struct {
	int id;
	const char *file;
} lists[] = {{4, ""},       {9999, ""},     {0, "/f/x.lst"}, {1, "app"},
	     {2, "app/o1"}, {3, "m/n.map"}, {7, "virt@x"}};

static const struct {
	int backend_id;
	const char *backend;
	int id;
	const char *name;
} servers[] = {{4, "app", 1, "o1"},      {4, "app", 2, "o2"}, {5, "static", 1, "a"},
	       {9999, "nines", 1, "o1"}, {6, "4", 1, "o1"},   {8, "o1", 1, "app"}};

enum { LISTS = sizeof lists / sizeof *lists, SERVERS = sizeof servers / sizeof *servers };

/* What a command changes: a list (its place), a server (SERVER + its place), or: */
enum { SERVER = 100, NOTHING = 1000, OTHER };

static bool is(struct span word, const char *text)
{
	return span_equal(word, span_of(text));
}

static bool is_any(struct span word, const char *words)
{
	struct span rest = span_of(words), one;

	while (span_word(&rest, ' ', &one))
		if (span_equal(word, one))
			return true;
	return false;
}

/* "#7" as strtol() reads it; -1: it is no such word. */
static long number_of(struct span word, bool whole)
{
	char text[64];
	char *end;

	if (word.n < 2 || *word.p != '#' || word.n >= sizeof text)
		return -1;
	snprintf(text, sizeof text, "%.*s", (int)word.n - 1, word.p + 1);
	long n = strtol(text, &end, 10);

	return whole && *end ? -1 : n;
}

/* runtime-api: a list is named by #<id> or by its file. */
static int find_list(struct span word)
{
	for (int i = 0; i < LISTS; i++)
		if (number_of(word, true) == lists[i].id ||
		    (*lists[i].file && is(word, lists[i].file)))
			return i;
	return NOTHING;
}

/* The first '/' ends the backend; either part may be #<id>, of which HAProxy reads the
 * digits only. */
static int find_server(struct span word)
{
	struct span rest = word, backend;

	span_word(&rest, '/', &backend);
	for (int i = 0; i < SERVERS; i++) {
		bool in = is(backend, servers[i].backend) ||
			  number_of(backend, false) == servers[i].backend_id;

		if (in && rest.p &&
		    (is(rest, servers[i].name) ||
		     number_of(rest, false) == servers[i].id))
			return SERVER + i;
	}
	return NOTHING;
}

static int changed_list(const struct model_command *c)
{
	size_t at = 2;

	if (c->n > 2 && is_any(c->words[0], "add clear commit") &&
	    span_begins(c->words[2], "@"))
		at++;
	return c->n > at ? find_list(c->words[at]) : NOTHING;
}

static int changed_server(const struct model_command *c)
{
	if (is(c->words[0], "set") && is(c->words[1], "server") && c->n > 3 &&
	    is(c->words[3], "name"))
		return OTHER;
	return c->n > 2 ? find_server(c->words[2]) : NOTHING;
}

static int changed_by(const struct model_command *c)
{
	struct span verb = c->words[0], noun = c->n > 1 ? c->words[1] : (struct span){0};

	if (is_any(verb, "get help wait echo") ||
	    (is(verb, "show") && is_any(noun, "acl map servers backend ssl table")))
		return NOTHING;
	if (is_any(noun, "acl map") && is_any(verb, "add clear commit del prepare set"))
		return changed_list(c);
	if ((is(verb, "set") && is_any(noun, "server weight")) ||
	    (is_any(verb, "enable disable") && is_any(noun, "server health agent")))
		return changed_server(c);
	return OTHER;
}

/* docs/security.md: an option names a list, a server, or a backend by its name. */
static bool names(const char *option, int object)
{
	struct span word = span_of(option);

	if (object < SERVER)
		return find_list(word) == object;
	return find_server(word) == object || is(word, servers[object - SERVER].backend);
}

/* Random options and commands. */

static const char *const refs[] = {
	"#4",     "#9999",  "#0",          "/f/x.lst",  "app",    "app/o1",   "app/o2",
	"app/#1", "#4/o1",  "#4/#2",       "m/n.map",   "virt@x", "static",   "static/a",
	"4",      "4/o1",   "o1",          "o1/app",    "nines",  "#9999/o1", "#9999/#1",
	"#04",    "#04/o1", "app/o1/o2",   "app/",      "/o1",    "#4/",      "#4x/o1",
	"#4 /o1", "#4/#01", "/f/x.lst/o1", "virt@x/o1", "#",      "@1",       "@",
	"@1x",    "x",      "#5",          "5",         "#5/a",
};
static const char *const verbs[] = {"add",    "clear",  "commit",   "del",  "prepare",
				    "set",    "enable", "disable",  "show", "get",
				    "update", "ADD",    "shutdown", "new"};
static const char *const nouns[] = {"acl",     "map",      "server",  "weight", "health",
				    "agent",   "frontend", "table",   "ssl",    "maxconn",
				    "servers", "session",  "backend", "acls"};
static const char *const begins[] = {"add acl",       "add map @1", "clear map",
				     "commit acl @1", "del acl",    "set map",
				     "set server",    "set weight", "disable agent",
				     "enable server", "show acl",   "disable server"};
static const char *const tails[] = {"x",          "state", "maint", "addr",   "name",
				    "weight",     "#0x1",  "k",     "server", "10",
				    "agent-addr", "ssl",   "foo"};

static uint64_t random_state = 20261130;

static uint32_t below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

#define ANY(table) ((table)[below(sizeof(table) / sizeof *(table))])

/* Append a word, some bytes with a backslash that changes nothing. */
static char *put(char *p, const char *word)
{
	*p++ = ' ';
	for (; *word; word++) {
		if (*word == ' ' || below(12) == 0)
			*p++ = '\\';
		*p++ = *word;
	}
	return p;
}

/* Half of them begin with words that go together. */
static size_t random_command(char *text)
{
	char *p = text;

	if (below(2)) {
		p = put(p, ANY(verbs));
		p = put(p, ANY(nouns));
	} else {
		p += sprintf(p, "%s", ANY(begins));
	}
	for (uint32_t i = below(4); i > 0; i--)
		p = put(p, below(3) ? ANY(refs) : ANY(tails));
	for (uint32_t i = below(3); i > 0; i--)
		p = put(p, ANY(tails));
	return (size_t)(p - text);
}

static void let_through_is_named(void **state)
{
	size_t through = 0, changes = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		const char *options[2] = {ANY(refs), ANY(refs)};
		struct permit_ref parsed[2];
		struct permit permit = {.only = parsed};
		struct model_command seen;
		struct command c = {0};
		char text[400];
		size_t n = random_command(text);

		for (int i = 0; i < 2; i++)
			permit.n_only += permit_ref(&parsed[permit.n_only], options[i]);
		if (permit.n_only > 0 &&
		    command_from_text(&c, (struct span){text, n}) == 0 &&
		    permit_check(&permit, &c) == 0) {
			char copy[sizeof text];

			memcpy(copy, text, n);
			model_split(&seen, copy, n);
			int object = changed_by(&seen);

			through++;
			changes += object < NOTHING;
			if (object == OTHER ||
			    (object < NOTHING && !names(options[0], object) &&
			     !names(options[1], object)))
				fail_msg("--only '%s' --only '%s' let through '%.*s'",
					 options[0], options[1], (int)n, text);
		}
		command_free(&c);
	}
	/* It is of no use unless both happen often. */
	assert_true(through > 1000 && changes > 500);
}

/* And the other way round: what an option names may be changed by that name. */
static void named_is_let_through(void **state)
{
	static const char *const on_list[] = {"add acl %s x",     "add map @2 %s k v",
					      "clear acl %s",     "clear map @2 %s",
					      "commit map @2 %s", "del acl %s x",
					      "prepare map %s",   "set map %s k v"};
	static const char *const on_server[] = {
		"set server %s state maint", "set server %s agent-port 7",
		"set weight %s 7",           "enable health %s",
		"disable agent %s",          "disable server %s"};

	(void)state;
	for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
		struct permit_ref ref;
		struct permit permit = {.only = &ref, .n_only = 1};
		bool list = find_list(span_of(refs[i])) != NOTHING;
		int server = find_server(span_of(refs[i]));

		if (!permit_ref(&ref, refs[i]))
			continue;
		for (size_t k = 0; k < 8; k++) {
			struct command c = {0};
			char text[100];
			bool is_list =
				list && names(refs[i], find_list(span_of(refs[i])));
			bool is_server = server != NOTHING && names(refs[i], server);

			snprintf(text, sizeof text, on_list[k], refs[i]);
			assert_int_equal(command_from_text(&c, span_of(text)), 0);
			if (is_list && permit_check(&permit, &c) != 0)
				fail_msg("--only '%s' refused '%s'", refs[i], text);
			snprintf(text, sizeof text, on_server[k % 6], refs[i]);
			assert_int_equal(command_from_text(&c, span_of(text)), 0);
			if (is_server && permit_check(&permit, &c) != 0)
				fail_msg("--only '%s' refused '%s'", refs[i], text);
			command_free(&c);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(let_through_is_named),
		cmocka_unit_test(named_is_let_through),
	};

	return cmocka_run_group_tests_name("only", tests, NULL, NULL);
}
