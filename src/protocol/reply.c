/* SPDX-License-Identifier: MIT
 *
 * reply.c - judging answers by the command's grammar and by the texts of refusals.
 * The rows inside an answer are read by reply_rows.c. Texts are HAProxy's, 2.2 to 3.2;
 * where versions differ both are listed. */
#include "protocol/reply.h"
#include "base/err.h"

/* Texts that mean a refusal although no severity says so. */
static const char always_refused[] = "Unknown command"
				     "|Session not found."
				     "|Can't find the target PID matching the prefix"
				     "|The command is too big "
				     "|The command line is too big ";

/* What refusals look like where severity cannot be asked for. */
static const char plainly_refused[] =
	"Can't |Missing |No such |No ongoing |Require |Required |Unknown |Unsupported "
	"|Invalid |Expects |Key not found.|entry not found.|Version number |Variable not "
	"|Only |Optional argument |Usage: |usage: |Too many arguments|regex '"
	"|unknown option|didn't find |Certificate ID does not|Nothing to report for "
	"|This command |Thread ID |'* expects |'* only supports|'* is not a valid "
	"|'* is not a number|an hex digit |an even number |Value out of range"
	"|String value |A frontend name |Permission denied|one of '";

/* What the master answers where its worker is not there yet, or not any more. */
static const char unreachable[] = "Can't connect to the target CLI!";

static const char denied[] = "Permission denied"
			     "|This command is restricted to "
			     "|*\n# contents not dumped due to insufficient privileges";

/* Does `text` begin with `pattern`, in which '*' stands for any bytes? */
static bool matches(struct span text, struct span pattern)
{
	struct span piece;
	bool anywhere = false;

	while (span_word(&pattern, '*', &piece)) {
		const char *at = text.p;

		if (anywhere)
			at = memmem(text.p, text.n, piece.p, piece.n);
		else if (text.n < piece.n || memcmp(text.p, piece.p, piece.n) != 0)
			at = NULL;
		if (!at)
			return false;
		size_t skip = (size_t)(at - text.p) + piece.n;

		text = (struct span){text.p + skip, text.n - skip};
		anywhere = true;
	}
	return true;
}

static bool matches_any(struct span text, const char *patterns)
{
	struct span rest = span_of(patterns), pattern;

	while (span_word(&rest, '|', &pattern))
		if (matches(text, pattern))
			return true;
	return false;
}

/* Cut "[N]: " off the front of *text. -1: there is none. */
static int cut_severity(struct span *text)
{
	const char *p = text->p;

	if (text->n < 5 || p[0] != '[' || p[1] < '0' || p[1] > '7' || p[2] != ']' ||
	    p[3] != ':' || p[4] != ' ')
		return -1;
	*text = (struct span){p + 5, text->n - 5};
	return p[1] - '0';
}

static int refuse(struct span *text, int rc)
{
	while (text->n > 0 && text->p[text->n - 1] == '\n')
		text->n--;
	if (text->n == 0)
		return HAP_EPROTOCOL;
	return matches_any(*text, denied) ? HAP_EDENIED : rc;
}

/* Judge by its shape a reply that neither severity nor text shows to be a refusal. */
static int check_shape(const struct grammar *g, bool whole, bool message, bool yes,
		       struct span *text)
{
	if (g->shape == REPLY_EMPTY || (g->shape == REPLY_TEXT && !yes))
		return refuse(text, HAP_EREFUSED);
	if (!whole && !(g->flags & GRAMMAR_SHORT))
		return HAP_EPROTOCOL;
	if (g->shape == REPLY_DUMP && (message || !yes))
		return HAP_EPROTOCOL;
	if (g->unless && matches_any(*text, g->unless))
		return refuse(text, HAP_EREFUSED);
	return 0;
}

int reply_check(const struct grammar *g, struct span reply, bool whole, bool severity,
		struct span *text)
{
	int level = severity ? cut_severity(&reply) : -1;

	*text = reply;
	if (text->n > 0 && text->p[text->n - 1] == '\n')
		text->n--;
	if (reply.n == 0 && level < 0) {
		bool may = g->shape == REPLY_EMPTY || g->shape == REPLY_ANY;

		return may || g->flags & GRAMMAR_BARE ? 0 : HAP_EPROTOCOL;
	}
	if (level >= 0 && level <= 3)
		return refuse(text, HAP_EREFUSED);
	bool named = g->begins && matches_any(reply, g->begins);

	if (!named && matches_any(reply, unreachable))
		return refuse(text, HAP_EWORKER);
	if (!named && (matches_any(reply, always_refused) ||
		       (!severity && matches_any(reply, plainly_refused))))
		return refuse(text, HAP_EREFUSED);
	return check_shape(g, whole, level >= 0, named || !g->begins, text);
}
