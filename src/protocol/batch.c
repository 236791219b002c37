/* SPDX-License-Identifier: MIT
 *
 * batch.c - joining commands to one line, and a payload behind the last. */
#include "protocol/batch.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>

/* With a longer deadline than this HAProxy is asked for a longer timeout, too: its `stats
 * timeout` is 10 s by default, and some sites set it lower. */
#define STATS_TIMEOUT_SECONDS 5.0

static const char severity[] = "set severity-output number";
static const char mark[] = " <<\n";

int batch_start(struct batch *b, struct span route, size_t limit, double seconds)
{
	bool prelude = route.n == 0, longer = prelude && seconds > STATS_TIMEOUT_SECONDS;
	struct buf bytes = b->bytes;
	char timeout[48];

	bytes.n = 0;
	*b = (struct batch){
		.bytes = bytes,
		.route = route,
		.prelude_replies = (size_t)prelude + longer,
		.limit = limit < HAP_COMMAND_MAX ? limit : HAP_COMMAND_MAX,
	};
	int rc = prelude ? buf_add_str(&b->bytes, severity) : 0;

	if (rc == 0 && longer) {
		snprintf(timeout, sizeof timeout, ";set timeout cli %.0f",
			 ceil(fmin(seconds, 1e6)));
		rc = buf_add_str(&b->bytes, timeout);
	}
	b->prelude_bytes = b->bytes.n;
	return rc;
}

static bool ends_in(struct span s, char c)
{
	return s.n > 0 && s.p[s.n - 1] == c;
}

/* How many bytes stand behind a command's text, the last LF included? */
static size_t bytes_behind(struct span text, struct span payload)
{
	if (!payload.p)
		return 1 + (size_t)ends_in(text, '\r');
	return sizeof mark - 1 + payload.n + (ends_in(payload, '\n') ? 1 : 2);
}

/* Is there room for a text of n bytes and `behind` more? 1: yes. 0: not on this line.
 * HAP_ELONG: on no line. */
static int check_room(const struct batch *b, size_t n, size_t behind)
{
	size_t first = b->prelude_bytes + (b->prelude_bytes > 0);
	size_t size = n + behind + (b->route.n ? b->route.n + 1 : 0);

	if (n > HAP_COMMAND_MAX || behind > HAP_COMMAND_MAX ||
	    first + size > HAP_COMMAND_MAX)
		return HAP_ELONG;
	if (b->count == 0)
		return !b->closed;
	return !b->closed && b->bytes.n + 1 + size <= b->limit;
}

int batch_check(const struct batch *b, const struct command *c)
{
	bool routed = b->route.n > 0;
	int rc = check_room(b, c->text.n, bytes_behind(c->text, c->payload));

	if (routed && span_begins(c->words[0], "@"))
		return HAP_EROUTE;
	/* The master counts the route as a word. */
	if (routed && c->payload.p && c->n + 2 > HAP_WORDS_MAX)
		return HAP_EWORDS;
	return rc < 0 ? rc : 0;
}

int batch_add(struct batch *b, struct span text, struct span payload)
{
	size_t behind = bytes_behind(text, payload);
	int rc = check_room(b, text.n, behind);

	if (rc <= 0)
		return rc;
	/* room for the route, its blank, ';' and all of the command */
	if (buf_reserve(&b->bytes, b->route.n + 2 + text.n + behind) < 0)
		return HAP_ENOMEM;
	if (b->bytes.n > 0)
		buf_add_byte(&b->bytes, ';');
	if (b->route.n > 0) {
		buf_add_span(&b->bytes, b->route);
		buf_add_byte(&b->bytes, ' ');
	}
	buf_add_span(&b->bytes, text);
	b->count++;
	if (payload.p) {
		buf_add_str(&b->bytes, mark);
		buf_add_span(&b->bytes, payload);
		buf_add(&b->bytes, "\n\n", ends_in(payload, '\n') ? 1 : 2);
		b->closed = true;
	} else if (ends_in(text, '\r')) {
		buf_add_byte(&b->bytes, ' '); /* HAProxy drops a CR before LF */
	}
	return 1;
}

int batch_finish(struct batch *b)
{
	/* A payload ends in the LF that ends the request. */
	return ends_in(buf_span(&b->bytes), '\n') ? 0 : buf_add_byte(&b->bytes, '\n');
}

void batch_free(struct batch *b)
{
	buf_free(&b->bytes);
	*b = (struct batch){0};
}
