/* SPDX-License-Identifier: MIT
 *
 * fuzz_permit.c - what --read-only and --only let through is a command that is known to
 * read, or to change just that reference, as HAProxy reads it. Input: a byte, of whose
 * bits the lowest says whether there is a payload; a command. */
#include "fuzz.h"
#include "protocol/permit.h"
#include "base/err.h"
#include "../model.h"

static const char *const lists[] = {"#9999", "/m.map", "static", "app/s1"};
static const char *const servers[] = {"app/s1", "#4/o1"};
static const char *const backends[] = {"static"};

#define IS_ONE(word, names) is_one(word, names, sizeof(names) / sizeof *(names))

static bool is_one(struct span word, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_equal(word, span_of(names[i])))
			return true;
	return false;
}

/* Does the model see a change of an allowed list or server in the third word, or of a
 * list in the fourth behind "@version"? */
static bool stays_within(const struct model_command *c)
{
	struct span rest, backend;

	if (c->n > 3 && span_begins(c->words[2], "@"))
		return IS_ONE(c->words[3], lists);
	if (c->n < 3)
		return false;
	bool list = c->n > 1 && (span_equal(c->words[1], SPAN_LIT("acl")) ||
				 span_equal(c->words[1], SPAN_LIT("map")));

	if (list)
		return IS_ONE(c->words[2], lists);
	rest = c->words[2];
	span_word(&rest, '/', &backend);
	return IS_ONE(c->words[2], servers) || (rest.n > 0 && IS_ONE(backend, backends));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const references[] = {"#9999", "/m.map", "static", "app/s1",
						 "#4/o1"};
	struct permit_ref refs[sizeof references / sizeof *references];
	const struct permit reads = {.read_only = true};
	const struct permit only = {.only = refs, .n_only = sizeof refs / sizeof *refs};
	struct span text = {(const char *)data, n};
	bool payload = fuzz_byte(&text) & 1;
	struct model_command seen;
	struct command c = {0};

	for (size_t i = 0; i < sizeof refs / sizeof *refs; i++)
		CHECK(permit_ref(&refs[i], references[i]));
	if (command_from_text(&c, text) == 0 && text.p[text.n - 1] != '\r') {
		if (payload)
			c.payload = SPAN_LIT("k v\n");
		int read_rc = permit_check(&reads, &c);
		int only_rc = permit_check(&only, &c);
		char *copy = malloc(text.n);

		CHECK(copy);
		memcpy(copy, text.p, text.n);
		model_split(&seen, copy, text.n);
		CHECK(read_rc == 0 || read_rc == HAP_EREADONLY);
		CHECK(only_rc == 0 || only_rc == HAP_EONLY);
		CHECK(read_rc != 0 ||
		      (!payload && !(c.grammar->flags & GRAMMAR_CHANGES)));
		CHECK(read_rc != 0 || only_rc == 0);
		CHECK(only_rc != 0 || read_rc == 0 || stays_within(&seen));
		free(copy);
	}
	command_free(&c);
	return 0;
}
