/* SPDX-License-Identifier: MIT
 *
 * fuzz_permit.c - what --read-only and --only let through is a command that is known to
 * read, or to change just that reference, as HAProxy reads it. Input: a byte, of whose
 * bits the lowest says whether there is a payload; a command. */
#include "fuzz.h"
#include "protocol/command.h"
#include "base/err.h"
#include "protocol/permit.h"
#include "protocol/reply.h"
#include "../model.h"

static const char *references[] = {"#9999", "/m.map", "app/s1", "static"};

static bool is_only(struct span word)
{
	for (size_t i = 0; i < sizeof references / sizeof *references; i++)
		if (span_equal(word, span_of(references[i])))
			return true;
	return false;
}

/* Is the word one of the references, or a server of the backend that is one? */
static bool names_it(struct span word)
{
	struct span rest = word, backend;

	return is_only(word) ||
	       (span_word(&rest, '/', &backend) && rest.n > 0 && is_only(backend));
}

/* Does the model see a change of a reference in the third word, or in the fourth behind
 * "@version"? */
static bool stays_within(const struct model_command *c)
{
	size_t at = c->n > 2 && span_begins(c->words[2], "@") ? 3 : 2;

	return c->n > at && names_it(c->words[at]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct permit reads = {.read_only = true};
	const struct permit only = {.only = references,
				    .n_only = sizeof references / sizeof *references};
	struct span text = {(const char *)data, n};
	bool payload = fuzz_byte(&text) & 1;
	struct model_command seen;

	if (command_check(text) < 0 || text.p[text.n - 1] == '\r')
		return 0;
	int read_rc = permit_check(&reads, text, payload);
	int only_rc = permit_check(&only, text, payload);
	char *copy = malloc(text.n);

	CHECK(copy);
	memcpy(copy, text.p, text.n);
	model_split(&seen, copy, text.n);
	const struct grammar *g = grammar_find(seen.words, seen.n);

	CHECK(read_rc == 0 || read_rc == HAP_EREADONLY);
	CHECK(only_rc == 0 || only_rc == HAP_EONLY);
	CHECK(read_rc != 0 || (!payload && !(g->flags & GRAMMAR_CHANGES)));
	CHECK(read_rc != 0 || only_rc == 0);
	CHECK(only_rc != 0 || read_rc == 0 || stays_within(&seen));
	free(copy);
	return 0;
}
