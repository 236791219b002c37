/* SPDX-License-Identifier: MIT
 *
 * permit.c - the kinds of references, and whether a command stays within one. */
#include "protocol/permit.h"
#include "base/err.h"

static bool is_digits(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

/* "#4" */
static bool is_number(struct span s)
{
	return s.n > 0 && *s.p == '#' && is_digits((struct span){s.p + 1, s.n - 1});
}

/* HAProxy takes these bytes in the name of a proxy or a server, and no others. */
static bool is_name(const char *s, size_t n)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_.:";

	return n > 0 && strspn(s, bytes) >= n;
}

bool permit_ref(struct permit_ref *out, const char *text)
{
	const char *slash = strchr(text, '/');
	struct span backend = {text, slash ? (size_t)(slash - text) : strlen(text)};
	struct span server = span_of(slash ? slash + 1 : "");
	bool named = is_name(backend.p, backend.n);

	*out = (struct permit_ref){.text = text};
	if (!slash && is_number(backend))
		out->kinds = PERMIT_LIST;
	else if (*text && *text != '#' && *text != '@')
		out->kinds = PERMIT_LIST | (named && !slash ? PERMIT_BACKEND : 0);
	/* HAProxy ends a backend's name at the first '/'; "#4" is its number. */
	if (slash && (named || is_number(backend)) &&
	    (is_name(server.p, server.n) || is_number(server)))
		out->kinds |= PERMIT_SERVER;
	return out->kinds != 0;
}

/* References are compared as they are written: another name of the same list, or the same
 * number written otherwise, is not the reference. */
static bool has(const struct permit *p, struct span word, unsigned kind)
{
	for (const struct permit_ref *ref = p->only; ref < p->only + p->n_only; ref++)
		if ((ref->kinds & kind) && span_equal(word, span_of(ref->text)))
			return true;
	return false;
}

static bool has_server(const struct permit *p, struct span word)
{
	struct span rest = word, backend;

	span_word(&rest, '/', &backend);
	return has(p, word, PERMIT_SERVER) ||
	       (rest.n > 0 && has(p, backend, PERMIT_BACKEND));
}

static bool stays_within(const struct permit *p, const struct command *c)
{
	enum grammar_names names = c->grammar->names;
	struct span word = c->n > 2 ? c->words[2] : (struct span){0};

	if (c->payload.p && !(c->grammar->flags & GRAMMAR_PAIRS))
		return false;
	if (names == NAMES_LIST_AT && word.n > 0 && *word.p == '@') {
		if (!is_digits((struct span){word.p + 1, word.n - 1}) || c->n == 3)
			return false;
		word = c->words[3];
	}
	if (names == NAMES_SERVER)
		return has_server(p, word);
	return names != NAMES_NONE && has(p, word, PERMIT_LIST);
}

/* A `show` of a name that haplua does not know may be a command written in Lua. */
static bool only_reads(const struct command *c)
{
	return !c->payload.p && !(c->grammar->flags & GRAMMAR_CHANGES) &&
	       strcmp(c->grammar->command, "show") != 0;
}

int permit_check(const struct permit *p, const struct command *c)
{
	if (only_reads(c))
		return 0;
	if (p->read_only)
		return HAP_EREADONLY;
	return p->n_only == 0 || stays_within(p, c) ? 0 : HAP_EONLY;
}
