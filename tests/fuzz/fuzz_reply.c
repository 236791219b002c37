/* SPDX-License-Identifier: MIT
 *
 * fuzz_reply.c - judging and reading end, stay inside the answer, and take no refusal for
 * a success. Input: a byte, of whose bits the lowest says whether severity is in force;
 * the next one, what follows: a command and LF, or the number of a grammar; the third,
 * whether one of this grammar's own beginnings stands before the reply; then the reply.
 * Before the first input each grammar is tried once in each of these ways. */
#include "fuzz.h"
#include "protocol/command.h"
#include "base/err.h"
#include "protocol/reply.h"

/* Every reader returns 1 only after it has moved on, and 0 or HAP_EPROTOCOL otherwise. */
#define READ_ALL(call)                                                                   \
	do {                                                                             \
		struct span rest = text;                                                 \
		size_t left = rest.n + 1;                                                \
		int rc;                                                                  \
                                                                                         \
		while ((rc = (call)) == 1) {                                             \
			CHECK(rest.n < left && inside(rest, text));                      \
			left = rest.n;                                                   \
		}                                                                        \
		CHECK(rc == 0 || rc == HAP_EPROTOCOL);                                   \
	} while (0)

static int entry(struct span *rest, struct span text)
{
	struct reply_entry e;
	struct span key, value;
	int rc = reply_entry_next(rest, &e);

	if (rc == 1) {
		CHECK(inside(e.ref, text) && inside(e.pattern, text));
		CHECK(span_begins(e.ref, "0x") && e.ref.n <= 18);
		reply_entry_pair(e.pattern, &key, &value);
		CHECK(inside(key, e.pattern) && inside(value, e.pattern));
		CHECK(key.n + value.n + 1 >= e.pattern.n);
	}
	return rc;
}

static int session(struct span *rest, struct span text)
{
	struct span ref, fields, name, value;
	int rc = reply_session_next(rest, &ref, &fields);

	CHECK(rc != 1 || (inside(ref, text) && inside(fields, text)));
	while (rc == 1 && reply_field_next(&fields, &name, &value)) {
		CHECK(inside(name, text) && inside(value, text));
		CHECK(inside(fields, text) && name.n > 0);
	}
	return rc;
}

static int list(struct span *rest, struct span text)
{
	struct reply_list l;
	int rc = reply_list_next(rest, &l);

	CHECK(rc != 1 || (inside(l.file, text) && inside(l.text, text)));
	return rc;
}

static int match(struct span *rest, struct span text)
{
	struct reply_match m;
	int rc = reply_match_next(rest, &m);

	if (rc == 1) {
		CHECK(inside(m.type, text) || span_equal(m.type, SPAN_LIT("method")));
		CHECK(inside(m.sensitivity, text));
		CHECK(!m.found || (inside(m.index, text) && inside(m.pattern, text)));
		CHECK(!m.found || !m.is_map || inside(m.value, text));
	}
	return rc;
}

static void rows(struct span text)
{
	static struct reply_columns columns;
	static struct span fields[REPLY_COLUMNS_MAX];
	struct span rest = text;
	size_t n;
	int rc = reply_columns(&rest, &columns);

	if (rc != 1)
		return;
	CHECK(columns.n <= REPLY_COLUMNS_MAX);
	for (size_t i = 0; i < columns.n; i++)
		CHECK(inside(columns.name[i], text));
	for (;;) {
		size_t left = rest.n;
		struct span row = rest, field;

		rc = reply_row_next(&rest, &columns, fields, &n);
		CHECK(inside(rest, text));
		if (rc != 1)
			break;
		CHECK(rest.n < left && n <= REPLY_COLUMNS_MAX);
		for (size_t i = 0; i < n; i++) {
			CHECK(inside(fields[i], text));
			CHECK(reply_field_at(row, columns.sep, i, &field));
			CHECK(field.p == fields[i].p && field.n == fields[i].n);
			char *out = malloc(fields[i].n);

			CHECK(reply_unquote(out, fields[i]) <= fields[i].n);
			free(out);
		}
		CHECK(!reply_field_at(row, columns.sep, n, &field));
	}
	CHECK(rc == 0 || rc == HAP_EPROTOCOL);
}

static void read_everything(struct span text)
{
	int64_t value;

	READ_ALL(entry(&rest, text));
	READ_ALL(session(&rest, text));
	READ_ALL(list(&rest, text));
	READ_ALL(match(&rest, text));
	rows(text);
	CHECK(!reply_integer(text, &value) || text.n > 0);
}

static void check_verdict(const struct grammar *g, struct span reply, bool whole,
			  bool severity)
{
	struct span text = {NULL, 0};
	int rc = reply_check(g, reply, whole, severity, &text);

	CHECK(inside(text, reply));
	CHECK(rc == 0 || rc == HAP_EREFUSED || rc == HAP_EDENIED || rc == HAP_EPROTOCOL ||
	      rc == HAP_EWORKER);
	CHECK(rc == 0 || rc == HAP_EPROTOCOL || text.n > 0);
	if (rc == 0) {
		CHECK(g->shape != REPLY_EMPTY || reply.n == 0);
		CHECK(!severity || reply.n < 5 || memcmp(reply.p, "[3]: ", 5) != 0);
		CHECK(whole || g->flags & GRAMMAR_SHORT || reply.n == 0);
	}
}

enum { SEVERITY = 1, BY_NUMBER = 2, BEGUN = 4 };

/* The grammar that the input asks for; its command is cut off. NULL: none. */
static const struct grammar *choose(struct span *input, bool by_number)
{
	struct command c = {0};
	struct span line;
	size_t total = 0;

	if (by_number) {
		while (grammar_at(total))
			total++;
		CHECK(total <= 256);
		return grammar_at(fuzz_byte(input) % total);
	}
	if (!span_line(input, &line))
		return NULL;
	int rc = command_from_text(&c, line);
	const struct grammar *g = rc == 0 ? c.grammar : &grammar_unknown;

	CHECK(g);
	command_free(&c);
	return g;
}

/* One of the grammar's beginnings, and the reply behind it. */
static void begin(struct buf *out, const struct grammar *g, struct span *input)
{
	struct span rest = span_of(g->begins ? g->begins : ""), one = rest;

	for (int n = fuzz_byte(input) % 8; n >= 0 && span_word(&rest, '|', &one); n--)
		;
	CHECK(buf_add_span(out, one) == 0 && buf_add_span(out, *input) == 0);
}

static void try_one(struct span input)
{
	uint8_t how = fuzz_byte(&input);
	const struct grammar *g = choose(&input, how & BY_NUMBER);
	struct buf reply = {0};

	if (!g)
		return;
	CHECK(!(g->flags & GRAMMAR_SHORT) || g->flags & GRAMMAR_RAW);
	if (how & BEGUN)
		begin(&reply, g, &input);
	else
		CHECK(buf_add_span(&reply, input) == 0);
	check_verdict(g, buf_span(&reply), true, how & SEVERITY);
	if (reply.n > 0)
		check_verdict(g, buf_span(&reply), false, how & SEVERITY);
	read_everything(buf_span(&reply));
	buf_free(&reply);
}

static void try_each_grammar(void)
{
	static const char *const ends[] = {"\n", "", " x\n", "\n[3]: no\n"};

	for (size_t i = 0; grammar_at(i); i++)
		for (int how = BY_NUMBER; how < 8; how = (how + 1) | BY_NUMBER)
			for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
				char input[32];
				int n = snprintf(input, sizeof input, "%c%c%s%s", how,
						 (int)i, how & BEGUN ? "\t" : "",
						 ends[k]);

				try_one((struct span){input, (size_t)n});
			}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static bool begun;

	if (!begun) {
		begun = true;
		try_each_grammar();
	}
	try_one((struct span){(const char *)data, n});
	return 0;
}
