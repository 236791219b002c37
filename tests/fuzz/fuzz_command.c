/* SPDX-License-Identifier: MIT
 *
 * fuzz_command.c - whatever the words, HAProxy reads one command with these words; and no
 * raw text that is let through is more than one command. Input: a byte whose lowest bits
 * choose, then words that end in LF (encode), or a text (check), or a command, LF, and a
 * payload. */
#include "fuzz.h"
#include "protocol/batch.h"
#include "base/err.h"
#include "../model.h"

static void check_line(struct batch *b, struct span command, int rc)
{
	CHECK(rc == 1 || rc == HAP_ELONG);
	if (rc < 1)
		return;
	CHECK(batch_finish(b) == 0);
	CHECK(b->bytes.n <= HAP_COMMAND_MAX && b->bytes.p[b->bytes.n - 1] == '\n');
	CHECK(memchr(b->bytes.p, '\n', b->bytes.n) == b->bytes.p + b->bytes.n - 1);
	/* Behind the prelude there is one command: ours, and blanks. */
	size_t skip = b->route.n > 0 ? 3 : model_end(b->bytes.p, b->bytes.n) + 1;
	const char *p = b->bytes.p + skip;
	size_t n = b->bytes.n - 1 - skip;

	CHECK(model_end(p, n) == n && n >= command.n);
	CHECK(memcmp(p, command.p, command.n) == 0);
	CHECK(!model_marked_old(p, n) && !model_marked_new(p, n));
	CHECK(p[n - 1] != '\r');
}

static void check_batch(const struct command *c)
{
	struct span routes[] = {SPAN_LIT(""), SPAN_LIT("@1")};

	for (size_t i = 0; i < 2; i++) {
		struct batch b = {0};

		CHECK(batch_start(&b, routes[i], HAP_COMMAND_MAX, 1) == 0);
		int rc = batch_check(&b, c);

		CHECK(rc == 0 || rc == HAP_ELONG ||
		      (rc == HAP_EROUTE && i == 1 && *c->words[0].p == '@'));
		if (rc != HAP_EROUTE)
			check_line(&b, c->text, batch_add(&b, c->text, c->payload));
		batch_free(&b);
	}
}

static void check_words(const struct span *words, size_t n, struct span text)
{
	struct model_command seen;
	char *copy = malloc(text.n + 1);

	CHECK(copy);
	memcpy(copy, text.p, text.n);
	model_split(&seen, copy, text.n);
	CHECK(seen.n == n);
	for (size_t i = 0; i < n; i++)
		CHECK(span_equal(seen.words[i], words[i]));
	free(copy);
}

/* The text of a command is read as that command. */
static void check_again(const struct command *c)
{
	struct command again = {0};

	CHECK(command_from_text(&again, c->text) == 0);
	CHECK(again.n == c->n && again.grammar == c->grammar && again.end == c->end);
	for (size_t i = 0; i < c->n; i++)
		CHECK(span_equal(again.words[i], c->words[i]));
	command_free(&again);
}

/* Words that come in two parts make the same command. */
static void check_more(const struct span *words, size_t n, struct span text)
{
	struct command c = {0};
	size_t half = n / 2;

	if (half > 0) {
		CHECK(command_from_words(&c, words, half, NULL) == 0);
		CHECK(command_more(&c, words + half, n - half, NULL) == 0);
		CHECK(span_equal(c.text, text));
		check_words(c.words, n, text);
	}
	command_free(&c);
}

static void encode(struct span input)
{
	struct span words[HAP_WORDS_MAX + 2];
	struct command c = {0};
	size_t n = 0, bad = 0;

	while (n < HAP_WORDS_MAX + 2 && span_line(&input, &words[n]))
		n++;
	int rc = command_from_words(&c, words, n, &bad);

	if (rc < 0) {
		CHECK(bad <= n);
	} else {
		check_words(words, n, c.text);
		check_more(words, n, c.text);
		check_again(&c);
		check_batch(&c);
	}
	command_free(&c);
}

static void check_raw(struct span text)
{
	struct command c = {0};

	if (command_from_text(&c, text) == 0) {
		CHECK(c.n > 0 && text.n <= HAP_COMMAND_MAX);
		CHECK(c.end <= text.n && c.bytes.n <= text.n);
		CHECK(!memchr(text.p, '\n', text.n) && !memchr(text.p, '\0', text.n));
		for (size_t i = 0; i < c.n; i++)
			CHECK(inside(c.words[i], buf_span(&c.bytes)));
		/* HAProxy would drop a CR at the very end; batch_add() guards it. */
		if (text.p[text.n - 1] != '\r')
			check_words(c.words, c.n, text);
		check_batch(&c);
	}
	command_free(&c);
}

/* The lines of the request behind the command are the payload and one empty line. */
static void check_payload_line(const struct batch *b, size_t skip, struct span payload)
{
	struct span rest = {b->bytes.p + skip, b->bytes.n - skip}, line;

	CHECK(span_line(&rest, &line));
	CHECK(model_marked_old(line.p, line.n) && model_marked_new(line.p, line.n));
	CHECK(model_end(line.p, line.n) == line.n);
	CHECK(rest.n > payload.n && memcmp(rest.p, payload.p, payload.n) == 0);
	while (span_line(&rest, &line) && line.n > 0)
		CHECK(line.p[line.n - 1] != '\r');
	CHECK(line.n == 0 && rest.n == 0);
}

static void check_payload(struct span input)
{
	struct command c = {0};
	struct batch b = {0};
	struct span text;

	CHECK(batch_start(&b, SPAN_LIT(""), HAP_COMMAND_MAX, 1) == 0);
	size_t skip = b.bytes.n + 1;

	if (span_line(&input, &text) && command_from_text(&c, text) == 0 &&
	    command_payload(&c, input) == 0 && batch_check(&b, &c) == 0) {
		CHECK(batch_add(&b, c.text, c.payload) == 1);
		CHECK(batch_finish(&b) == 0 && b.bytes.n <= HAP_COMMAND_MAX);
		check_payload_line(&b, skip, input);
	}
	batch_free(&b);
	command_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static void (*const drivers[])(struct span) = {encode, check_raw, check_payload};
	struct span input = {(const char *)data, n};

	drivers[fuzz_byte(&input) % 3](input);
	return 0;
}
