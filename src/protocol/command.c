/* SPDX-License-Identifier: MIT
 *
 * command.c - escaping, the refusals that keep one command one command, and joining. */
#include "protocol/command.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>

#include <stdint.h>

/* The bytes that some version does not take literally in a word. '<' is among them only
 * so that no word ever looks like a payload mark. */
static const bool special[UINT8_MAX + 1] = {
	[' '] = true, ['\t'] = true, ['\\'] = true, [';'] = true,
	['<'] = true, ['"'] = true,  ['\''] = true,
};

static const char severity[] = "set severity-output number";

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The failures that words and whole commands share. */
static int check_bytes(struct span s)
{
	if (s.n == 0)
		return HAP_EEMPTY;
	if (memchr(s.p, '\n', s.n))
		return HAP_ENEWLINE;
	if (memchr(s.p, '\0', s.n))
		return HAP_ENUL;
	return 0;
}

int command_word(struct buf *out, struct span word)
{
	int rc = check_bytes(word);

	/* No object is over half of what size_t counts: twice its size still fits. */
	if (rc == 0)
		rc = buf_reserve(out, 2 * word.n);
	if (rc < 0)
		return rc;
	char *to = out->p + out->n;

	for (size_t i = 0; i < word.n; i++) {
		if (special[(uint8_t)word.p[i]])
			*to++ = '\\';
		*to++ = word.p[i];
	}
	out->n = (size_t)(to - out->p);
	return 0;
}

/* To the command that begins at `start`. */
static int add_words(struct buf *out, size_t start, const struct span *words, size_t n,
		     size_t *at)
{
	for (*at = 0; *at < n; ++*at) {
		if (*at == HAP_WORDS_MAX)
			return HAP_EWORDS;
		int rc = out->n > start ? buf_add_byte(out, ' ') : 0;

		if (rc == 0)
			rc = command_word(out, words[*at]);
		if (rc < 0)
			return rc;
		if (out->n - start > HAP_COMMAND_MAX)
			return HAP_ELONG;
	}
	if (n == 0)
		return HAP_EEMPTY;
	return out->p[out->n - 1] == '\r' ? buf_add_byte(out, ' ') : 0;
}

static int append(struct buf *out, size_t start, const struct span *words, size_t n,
		  size_t *bad)
{
	size_t before = out->n, at;
	int rc = add_words(out, start, words, n, &at);

	if (rc < 0) {
		out->n = before;
		if (bad)
			*bad = at;
	}
	return rc;
}

int command_words(struct buf *out, const struct span *words, size_t n, size_t *bad)
{
	return append(out, out->n, words, n, bad);
}

int command_more(struct buf *out, const struct span *words, size_t n, size_t *bad)
{
	return append(out, 0, words, n, bad);
}

/* Walking a command's words as HAProxy does. `raw` is a word as it is written. */
static bool next_word(struct span text, size_t *at, struct span *raw)
{
	size_t i = *at;

	while (i < text.n && is_blank(text.p[i]))
		i++;
	size_t begin = i;

	while (i < text.n && !is_blank(text.p[i]) && text.p[i] != ';')
		i += text.p[i] == '\\' ? 2 : 1;
	if (i > text.n)
		i = text.n;
	*at = i;
	*raw = (struct span){text.p + begin, i - begin};
	return raw->n > 0;
}

/* Up to 2.6 a line is a payload command when it ends in "<<"; later ones look at the last
 * word, which they cut at blanks even where these are escaped. A CR at the end does not
 * count up to 3.0. */
static bool has_mark(struct span text)
{
	size_t end = text.n;

	while (end > 0 && (is_blank(text.p[end - 1]) || text.p[end - 1] == '\r'))
		end--;
	if (end >= 2 && memcmp(text.p + end - 2, "<<", 2) == 0)
		return true;
	for (size_t i = 0; i + 1 < text.n; i++)
		if (text.p[i] == '<' && text.p[i + 1] == '<' &&
		    (i == 0 || is_blank(text.p[i - 1])))
			return true;
	return false;
}

int command_check(struct span text)
{
	int rc = check_bytes(text);

	if (rc < 0)
		return rc;
	if (text.n > HAP_COMMAND_MAX)
		return HAP_ELONG;
	size_t at = 0, words = 0, escapes = 0;
	struct span raw;

	while (next_word(text, &at, &raw))
		words++;
	if (at < text.n)
		return HAP_ESECOND;
	if (words == 0)
		return HAP_EEMPTY;
	if (words > HAP_WORDS_MAX)
		return HAP_EWORDS;
	if (has_mark(text))
		return HAP_EMARK;
	while (escapes < text.n && text.p[text.n - 1 - escapes] == '\\')
		escapes++;
	return escapes % 2 ? HAP_EESCAPE : 0;
}

/* Append `raw` without its escapes; the room is there. */
static struct span unescape(struct buf *store, struct span raw)
{
	struct span word = {store->p + store->n, 0};

	for (size_t i = 0; i < raw.n; i++) {
		if (raw.p[i] == '\\' && ++i == raw.n)
			break;
		store->p[store->n++] = raw.p[i];
		word.n++;
	}
	return word;
}

int command_split(struct buf *store, struct span text, struct span *words, size_t max)
{
	int n = 0;
	size_t at = 0;
	struct span raw;

	store->n = 0;
	if (buf_reserve(store, text.n) < 0)
		return HAP_ENOMEM;
	while ((size_t)n < max && next_word(text, &at, &raw))
		words[n++] = unescape(store, raw);
	return n;
}

int batch_start(struct batch *b, struct span route, size_t limit)
{
	struct buf bytes = b->bytes;

	bytes.n = 0;
	*b = (struct batch){
		.bytes = bytes,
		.route = route,
		.prelude_replies = route.n > 0 ? 0 : 1,
		.prelude_bytes = route.n > 0 ? 0 : sizeof severity - 1,
		.limit = limit < HAP_COMMAND_MAX ? limit : HAP_COMMAND_MAX,
	};
	return b->prelude_replies ? buf_add_str(&b->bytes, severity) : 0;
}

int batch_timeout(struct batch *b, double seconds)
{
	char text[48];
	int n;

	if (b->route.n > 0)
		return 0;
	n = snprintf(text, sizeof text, ";set timeout cli %.0f",
		     ceil(fmin(seconds, 1e6)));
	int rc = buf_add(&b->bytes, text, (size_t)n);

	if (rc == 0) {
		b->prelude_replies++;
		b->prelude_bytes = b->bytes.n;
	}
	return rc;
}

static bool ends_in_cr(struct span s)
{
	return s.n > 0 && s.p[s.n - 1] == '\r';
}

/* Would the master CLI take the command's first word for a process? */
static bool has_route(struct span command)
{
	size_t at = 0;
	struct span raw;

	next_word(command, &at, &raw);
	return (raw.n > 0 && raw.p[0] == '@') ||
	       (raw.n > 1 && raw.p[0] == '\\' && raw.p[1] == '@');
}

/* May `more` bytes, a LF included, be put on the line with `command` in front? Returns as
 * batch_add() does. */
static int batch_fits(const struct batch *b, struct span command, size_t more)
{
	size_t first = b->prelude_bytes + (b->prelude_bytes > 0);
	size_t size = command.n + more + (b->route.n ? b->route.n + 1 : 0);

	if (b->route.n > 0 && has_route(command))
		return HAP_EROUTE;
	if (command.n > HAP_COMMAND_MAX || more > HAP_COMMAND_MAX ||
	    first + size > HAP_COMMAND_MAX)
		return HAP_ELONG;
	if (b->count == 0)
		return !b->closed;
	return !b->closed && b->bytes.n + 1 + size <= b->limit;
}

int batch_check(const struct batch *b, struct span command)
{
	struct batch empty = {.route = b->route, .prelude_bytes = b->prelude_bytes};
	int rc = batch_fits(&empty, command, 1 + (size_t)ends_in_cr(command));

	return rc < 0 ? rc : 0;
}

/* Put the command itself on the line; the room is reserved. */
static void batch_put(struct batch *b, struct span command)
{
	if (b->bytes.n > 0)
		buf_add_byte(&b->bytes, ';');
	if (b->route.n > 0) {
		buf_add_span(&b->bytes, b->route);
		buf_add_byte(&b->bytes, ' ');
	}
	buf_add_span(&b->bytes, command);
	b->count++;
}

int batch_add(struct batch *b, struct span command)
{
	bool cr = ends_in_cr(command);
	int rc = batch_fits(b, command, 1 + (size_t)cr);

	if (rc <= 0)
		return rc;
	if (buf_reserve(&b->bytes, b->route.n + command.n + 4) < 0)
		return HAP_ENOMEM;
	batch_put(b, command);
	/* HAProxy eats a CR at the end of a line. */
	if (cr)
		buf_add_byte(&b->bytes, ' ');
	return 1;
}

int command_payload_check(struct span payload)
{
	if (payload.n == 0)
		return HAP_EPAYLOAD;
	if (memchr(payload.p, '\0', payload.n))
		return HAP_ENUL;
	if (payload.p[0] == '\n' || ends_in_cr(payload) ||
	    memmem(payload.p, payload.n, "\n\n", 2) ||
	    memmem(payload.p, payload.n, "\r\n", 2))
		return HAP_EPAYLOAD;
	return 0;
}

int command_pairs_check(struct span payload)
{
	struct span rest = payload, line;
	int rc = command_payload_check(payload);

	while (rc == 0 && rest.n > 0) {
		if (!span_line(&rest, &line)) {
			line = rest;
			rest.n = 0;
		}
		size_t key = 0;

		while (key < line.n && line.p[key] != ' ' && line.p[key] != '\t')
			key++;
		if (key == 0 || key == line.n)
			rc = HAP_EPAIRS;
	}
	return rc;
}

/* `command` without its closing blanks: 2.2 takes one space alone before "<<". */
static struct span trim(struct span command)
{
	struct span raw;
	size_t at = 0, end = 0;

	while (next_word(command, &at, &raw))
		end = at;
	return at < command.n ? command : (struct span){command.p, end};
}

/* Words are counted with the mark, and with the route, which the master counts too. */
static bool too_many_words(const struct batch *b, struct span command)
{
	struct span raw;
	size_t at = 0, words = b->route.n > 0 ? 2 : 1;

	while (next_word(command, &at, &raw))
		words++;
	return words > HAP_WORDS_MAX;
}

int batch_add_payload(struct batch *b, struct span command, struct span payload)
{
	static const char mark[] = " <<\n";
	int rc = command_payload_check(payload);

	if (rc < 0)
		return rc;
	/* 2.2 takes the first "<<" of the line for the mark. */
	if (command.n > 0 && memmem(command.p, command.n, "<<", 2))
		return HAP_EMARK;
	command = trim(command);
	if (too_many_words(b, command))
		return HAP_EWORDS;
	size_t lf = payload.p[payload.n - 1] == '\n' ? 1 : 2;

	if (payload.n > HAP_COMMAND_MAX)
		return HAP_ELONG;
	rc = batch_fits(b, command, sizeof mark - 1 + payload.n + lf);
	if (rc <= 0)
		return rc;
	if (buf_reserve(&b->bytes, b->route.n + command.n + payload.n + 9) < 0)
		return HAP_ENOMEM;
	batch_put(b, command);
	buf_add_str(&b->bytes, mark);
	buf_add_span(&b->bytes, payload);
	buf_add(&b->bytes, "\n\n", lf);
	b->closed = true;
	return 1;
}

int batch_finish(struct batch *b)
{
	/* A payload has brought its end along. */
	if (b->bytes.n > 0 && b->bytes.p[b->bytes.n - 1] == '\n')
		return 0;
	return buf_add_byte(&b->bytes, '\n');
}

void batch_free(struct batch *b)
{
	buf_free(&b->bytes);
	*b = (struct batch){0};
}
