/* SPDX-License-Identifier: MIT
 *
 * permit.c - the commands that stay within one reference, and which word names it. */
#include "protocol/permit.h"
#include "protocol/command.h"
#include "base/err.h"
#include "protocol/reply.h"

enum {
	LIST = 1,      /* the reference is an ACL or a map */
	SERVER = 2,    /* it is BACKEND/SERVER */
	VERSION = 4,   /* "@7" may stand before it */
	PAYLOAD = 8,   /* lines may follow */
	PROPERTY = 16, /* the word behind it says what is set */
};

/* Each has two words, and then the reference. Whatever else changes HAProxy is outside of
 * every reference. */
static const struct {
	const char *verb, *noun;
	unsigned flags;
} confined[] = {
	{"add", "acl", LIST | VERSION},
	{"add", "map", LIST | VERSION | PAYLOAD},
	{"clear", "acl", LIST | VERSION},
	{"clear", "map", LIST | VERSION},
	{"commit", "acl", LIST | VERSION},
	{"commit", "map", LIST | VERSION},
	{"del", "acl", LIST},
	{"del", "map", LIST},
	{"prepare", "acl", LIST},
	{"prepare", "map", LIST},
	{"set", "map", LIST},
	{"disable", "agent", SERVER},
	{"disable", "health", SERVER},
	{"disable", "server", SERVER},
	{"enable", "agent", SERVER},
	{"enable", "health", SERVER},
	{"enable", "server", SERVER},
	{"set", "server", SERVER | PROPERTY},
	{"set", "weight", SERVER},
};

/* What `set server` may set. Not its name: it would be another reference's then. */
static const char *const properties[] = {
	"addr",       "agent", "agent-addr", "agent-port", "agent-send", "check-addr",
	"check-port", "fqdn",  "health",     "ssl",        "state",      "weight",
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static bool is(struct span word, const char *text)
{
	return span_equal(word, span_of(text));
}

static bool is_digits(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

static unsigned flags_of(const struct span *words, size_t n)
{
	for (size_t i = 0; n >= 2 && i < COUNT(confined); i++)
		if (is(words[0], confined[i].verb) && is(words[1], confined[i].noun))
			return confined[i].flags;
	return 0;
}

static bool is_property(struct span word)
{
	for (size_t i = 0; i < COUNT(properties); i++)
		if (is(word, properties[i]))
			return true;
	return false;
}

/* References are compared as they are written: a second name of the same list, or the
 * same number written otherwise, is not the reference. */
static bool has_list(const struct permit *p, struct span ref)
{
	for (int i = 0; i < p->n_only; i++)
		if (is(ref, p->only[i]))
			return true;
	return false;
}

/* HAProxy ends a backend's name at the first '/'. */
static bool has_server(const struct permit *p, struct span ref)
{
	struct span rest = ref, backend;

	if (!memchr(ref.p, '/', ref.n) || !span_word(&rest, '/', &backend) || rest.n == 0)
		return false;
	for (int i = 0; i < p->n_only; i++)
		if (is(ref, p->only[i]) || is(backend, p->only[i]))
			return true;
	return false;
}

static bool within(const struct permit *p, const struct span *words, size_t n,
		   bool payload)
{
	unsigned flags = flags_of(words, n);
	size_t at = 2;

	if (flags == 0 || (payload && !(flags & PAYLOAD)))
		return false;
	if (n > at && words[at].n > 0 && *words[at].p == '@') {
		struct span version = {words[at].p + 1, words[at].n - 1};

		if (!(flags & VERSION) || !is_digits(version))
			return false;
		at++;
	}
	if (n <= at)
		return false;
	if (flags & PROPERTY && (n <= at + 1 || !is_property(words[at + 1])))
		return false;
	return flags & LIST ? has_list(p, words[at]) : has_server(p, words[at]);
}

/* A `show` of a name that is not known may be somebody's own, written in Lua. */
static bool only_reads(const struct span *words, size_t n)
{
	const struct grammar *g = grammar_find(words, n);

	return !(g->flags & GRAMMAR_CHANGES) && strcmp(g->command, "show") != 0;
}

int permit_check(const struct permit *p, struct span command, bool payload)
{
	struct span words[HAP_WORDS_MAX];
	struct buf store = {0};
	int rc = 0;

	if (!p->read_only && p->n_only == 0)
		return 0;
	int n = command_split(&store, command, words, HAP_WORDS_MAX);

	if (n < 0) {
		rc = n;
	} else if (payload || !only_reads(words, (size_t)n)) {
		if (p->read_only)
			rc = HAP_EREADONLY;
		else if (!within(p, words, (size_t)n, payload))
			rc = HAP_EONLY;
	}
	buf_free(&store);
	return rc;
}

bool permit_ref(const char *ref)
{
	if (*ref == '#')
		return is_digits(span_of(ref + 1));
	return *ref && *ref != '@';
}
