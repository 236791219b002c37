/* SPDX-License-Identifier: MIT
 *
 * command.c - escaping, splitting, and the refusals that keep one command one command. */
#include "protocol/command.h"
#include "base/err.h"

#include <stdint.h>

/* The bytes that some version does not take literally in a word. '<' is among them only
 * so that no word ever looks like a payload mark. */
static const bool special[UINT8_MAX + 1] = {
	[' '] = true, ['\t'] = true, ['\\'] = true, [';'] = true,
	['<'] = true, ['"'] = true,  ['\''] = true,
};

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

/* Words to bytes. */

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

/* Append words; *at is the one that is being added. */
static int add_words(struct command *c, const struct span *words, size_t n, size_t *at)
{
	for (*at = 0; *at < n; ++*at) {
		if (c->n == HAP_WORDS_MAX)
			return HAP_EWORDS;
		int rc = c->n > 0 ? buf_add_byte(&c->bytes, ' ') : 0;

		if (rc == 0)
			rc = command_word(&c->bytes, words[*at]);
		if (rc < 0)
			return rc;
		if (c->bytes.n > HAP_COMMAND_MAX)
			return HAP_ELONG;
		c->words[c->n++] = words[*at];
	}
	return c->n > 0 ? 0 : HAP_EEMPTY;
}

/* Find the row of the command. True: with more words it would be the same row. */
static bool look_up(struct command *c)
{
	bool more;

	c->grammar = grammar_find(c->words, c->n, &more);
	return !more;
}

static int append(struct command *c, const struct span *words, size_t n, size_t *bad)
{
	size_t at;
	int rc = add_words(c, words, n, &at);

	c->end = c->bytes.n;
	if (rc == 0 && c->bytes.p[c->end - 1] == '\r')
		rc = buf_add_byte(&c->bytes, ' ');
	if (rc < 0 && bad)
		*bad = at;
	c->text = buf_span(&c->bytes);
	c->payload = (struct span){0};
	return rc;
}

int command_from_words(struct command *c, const struct span *words, size_t n, size_t *bad)
{
	c->n = 0;
	c->bytes.n = 0;
	int rc = append(c, words, n, bad);

	c->head_decides = look_up(c);
	c->head_n = c->n;
	c->head_bytes = c->end;
	return rc;
}

int command_more(struct command *c, const struct span *words, size_t n, size_t *bad)
{
	c->n = c->head_n;
	c->bytes.n = c->head_bytes;
	int rc = append(c, words, n, bad);

	if (!c->head_decides)
		look_up(c);
	return rc;
}

/* Bytes to words. */

/* Find the next word as HAProxy does. *raw is the word as it is written. */
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

static bool ends_in_lone_backslash(struct span text)
{
	size_t escapes = 0;

	while (escapes < text.n && text.p[text.n - 1 - escapes] == '\\')
		escapes++;
	return escapes % 2;
}

int command_from_text(struct command *c, struct span text)
{
	int rc = check_bytes(text);
	size_t at = 0;
	struct span raw;

	c->n = 0;
	c->bytes.n = 0;
	if (rc == 0 && text.n > HAP_COMMAND_MAX)
		rc = HAP_ELONG;
	if (rc == 0)
		rc = buf_reserve(&c->bytes, text.n);
	if (rc < 0)
		return rc;
	while (next_word(text, &at, &raw)) {
		if (c->n == HAP_WORDS_MAX)
			return HAP_EWORDS;
		c->words[c->n++] = unescape(&c->bytes, raw);
		c->end = at;
	}
	if (at < text.n)
		return HAP_ESECOND;
	if (c->n == 0)
		return HAP_EEMPTY;
	if (has_mark(text))
		return HAP_EMARK;
	if (ends_in_lone_backslash(text))
		return HAP_EESCAPE;
	c->text = text;
	c->payload = (struct span){0};
	look_up(c);
	return 0;
}

/* Payloads. */

static int check_lines(struct span payload)
{
	if (payload.n == 0)
		return HAP_EPAYLOAD;
	if (memchr(payload.p, '\0', payload.n))
		return HAP_ENUL;
	if (payload.p[0] == '\n' || payload.p[payload.n - 1] == '\r' ||
	    memmem(payload.p, payload.n, "\n\n", 2) ||
	    memmem(payload.p, payload.n, "\r\n", 2))
		return HAP_EPAYLOAD;
	return 0;
}

/* HAProxy joins a line without a value to the next one, and answers with success. */
static int check_pairs(struct span payload)
{
	struct span rest = payload, line;

	while (rest.n > 0) {
		span_word(&rest, '\n', &line);
		size_t key = 0;

		while (key < line.n && !is_blank(line.p[key]))
			key++;
		if (key == 0 || key == line.n)
			return HAP_EPAIRS;
	}
	return 0;
}

int command_payload(struct command *c, struct span payload)
{
	int rc = c->grammar->flags & GRAMMAR_NO_LINES ? HAP_ENOLINES
						      : check_lines(payload);

	if (rc == 0 && c->grammar->flags & GRAMMAR_PAIRS)
		rc = check_pairs(payload);
	if (rc == 0 && memmem(c->text.p, c->text.n, "<<", 2))
		rc = HAP_EMARK;
	if (rc == 0 && c->n == HAP_WORDS_MAX)
		rc = HAP_EWORDS;
	if (rc == 0) {
		c->payload = payload;
		c->text.n = c->end;
	}
	return rc;
}

void command_free(struct command *c)
{
	buf_free(&c->bytes);
	*c = (struct command){0};
}
