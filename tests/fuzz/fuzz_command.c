/* SPDX-License-Identifier: MIT
 *
 * fuzz_command.c - whatever the words, HAProxy reads one command with these words; and no
 * raw text that is let through is more than one command. Input: a byte whose lowest bits
 * choose, then words that end in LF (encode), or a text (check), or a command, LF, and a
 * payload. */
#include "fuzz.h"
#include "protocol/command.h"
#include "base/err.h"
#include "../model.h"

static void check_line(struct batch *b, struct span command, int rc)
{
	CHECK(rc == 1 || rc == HAP_ELONG || rc == HAP_EROUTE);
	if (rc < 1)
		return;
	CHECK(batch_finish(b) == 0);
	CHECK(b->bytes.n <= HAP_COMMAND_MAX && b->bytes.p[b->bytes.n - 1] == '\n');
	CHECK(memchr(b->bytes.p, '\n', b->bytes.n) == b->bytes.p + b->bytes.n - 1);
	/* Past the lead there is one command: ours, and blanks. */
	size_t lead = b->route.n > 0 ? 3 : model_end(b->bytes.p, b->bytes.n) + 1;
	const char *p = b->bytes.p + lead;
	size_t n = b->bytes.n - 1 - lead;

	CHECK(model_end(p, n) == n && n >= command.n);
	CHECK(memcmp(p, command.p, command.n) == 0);
	CHECK(!model_marked_old(p, n) && !model_marked_new(p, n));
	CHECK(p[n - 1] != '\r');
}

static void check_batch(struct span command)
{
	struct span routes[] = {SPAN_LIT(""), SPAN_LIT("@1")};

	for (size_t i = 0; i < 2; i++) {
		struct batch b = {0};

		CHECK(batch_start(&b, routes[i], HAP_COMMAND_MAX) == 0);
		int rc = batch_check(&b, command);
		int added = batch_add(&b, command);

		CHECK(rc == (added < 0 ? added : 0));
		check_line(&b, command, added);
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

/* Half by half it is the same words. (A head that ends in CR has a blank more.) */
static void check_more(const struct span *words, size_t n, struct span text)
{
	struct buf out = {0};
	size_t half = n / 2;

	if (half > 0) {
		CHECK(command_words(&out, words, half, NULL) == 0);
		int rc = command_more(&out, words + half, n - half, NULL);

		CHECK(rc == 0 || (rc == HAP_ELONG && text.n + 1 > HAP_COMMAND_MAX));
		if (rc == 0)
			check_words(words, n, buf_span(&out));
	}
	buf_free(&out);
}

static void encode(struct span input)
{
	struct span words[HAP_WORDS_MAX + 2];
	struct buf out = {0};
	size_t n = 0, bad = 0;

	while (n < HAP_WORDS_MAX + 2 && span_line(&input, &words[n]))
		n++;
	int rc = command_words(&out, words, n, &bad);

	if (rc < 0) {
		CHECK(out.n == 0 && bad <= n);
	} else {
		check_words(words, n, buf_span(&out));
		check_more(words, n, buf_span(&out));
		CHECK(command_check(buf_span(&out)) == 0);
		check_batch(buf_span(&out));
	}
	buf_free(&out);
}

static void check_raw(struct span text)
{
	struct span words[HAP_WORDS_MAX];
	struct buf store = {0};
	int n = command_split(&store, text, words, HAP_WORDS_MAX);

	CHECK(n >= 0 && store.n <= text.n);
	for (int i = 0; i < n; i++)
		CHECK(inside(words[i], buf_span(&store)));
	if (command_check(text) == 0) {
		CHECK(n > 0 && text.n <= HAP_COMMAND_MAX);
		CHECK(!memchr(text.p, '\n', text.n) && !memchr(text.p, '\0', text.n));
		/* HAProxy would drop a CR at the very end; batch_add() guards it. */
		if (text.p[text.n - 1] != '\r')
			check_words(words, (size_t)n, text);
		check_batch(text);
	}
	buf_free(&store);
}

static void check_payload(struct span input)
{
	struct batch b = {0};
	struct span command;

	if (!span_line(&input, &command) || command_check(command) < 0)
		return;
	CHECK(batch_start(&b, SPAN_LIT(""), HAP_COMMAND_MAX) == 0);
	size_t lead = b.bytes.n + 1;

	if (batch_add_payload(&b, command, input) == 1) {
		CHECK(command_payload_check(input) == 0);
		CHECK(batch_finish(&b) == 0 && b.bytes.n <= HAP_COMMAND_MAX);
		struct span rest = {b.bytes.p + lead, b.bytes.n - lead}, line;

		CHECK(span_line(&rest, &line));
		CHECK(model_marked_old(line.p, line.n) &&
		      model_marked_new(line.p, line.n));
		CHECK(model_end(line.p, line.n) == line.n);
		/* The lines are ours, and the first empty one is the last. */
		CHECK(rest.n > input.n && memcmp(rest.p, input.p, input.n) == 0);
		while (span_line(&rest, &line) && line.n > 0)
			CHECK(line.p[line.n - 1] != '\r');
		CHECK(line.n == 0 && rest.n == 0);
	}
	batch_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static void (*const drivers[])(struct span) = {encode, check_raw, check_payload};
	struct span input = {(const char *)data, n};

	drivers[fuzz_byte(&input) % 3](input);
	return 0;
}
