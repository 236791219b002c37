/* SPDX-License-Identifier: MIT
 *
 * buf.c - spans, UTF-8, and buffers that double their memory when they grow. */
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define CAP_MIN 64

int span_begins(struct span s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && (n == 0 || memcmp(s.p, prefix, n) == 0);
}

int span_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Cut `n` bytes and then `skip` more off the front of *rest. */
static struct span cut(struct span *rest, size_t n, size_t skip)
{
	struct span s = {rest->p, n};

	rest->p += n + skip;
	rest->n -= n + skip;
	return s;
}

int span_line(struct span *rest, struct span *line)
{
	const char *lf = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;

	if (!lf)
		return 0;
	*line = cut(rest, (size_t)(lf - rest->p), 1);
	return 1;
}

int span_word(struct span *rest, char sep, struct span *word)
{
	if (!rest->p)
		return 0;
	const char *at = memchr(rest->p, sep, rest->n);

	if (at) {
		*word = cut(rest, (size_t)(at - rest->p), 1);
	} else {
		*word = *rest;
		*rest = (struct span){0};
	}
	return 1;
}

/* The length of the UTF-8 sequence whose first byte is `first`; *least becomes the
 * smallest code point that needs this length. 0: no sequence begins with this byte. */
static size_t sequence(unsigned char first, uint32_t *least)
{
	if (first < 0xc2 || first > 0xf4)
		return 0;
	*least = first < 0xe0 ? 0x80 : first < 0xf0 ? 0x800 : 0x10000;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Is it a C1 control, or a character that changes the direction of the text around it? */
static bool steers(uint32_t point)
{
	return point < 0xa0 || point == 0x061c || point == 0x200e || point == 0x200f ||
	       (point >= 0x2028 && point <= 0x202e) ||
	       (point >= 0x2066 && point <= 0x2069);
}

size_t span_printable(struct span s)
{
	unsigned char first = s.n > 0 ? (unsigned char)*s.p : 0;
	uint32_t least = 0;

	if (first < 0x80)
		return first >= 0x20 && first != 0x7f;
	size_t n = sequence(first, &least);

	if (n == 0 || n > s.n)
		return 0;
	uint32_t point = first & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)s.p[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | ((unsigned char)s.p[i] & 0x3f);
	}
	if (point < least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
		return 0;
	return steers(point) ? 0 : n;
}

int buf_reserve(struct buf *b, size_t more)
{
	if (more <= b->cap - b->n)
		return 0;
	if (more > SIZE_MAX / 2 - b->n)
		return HAP_ENOMEM;
	size_t cap = b->cap > CAP_MIN / 2 ? 2 * b->cap : CAP_MIN;

	if (cap < b->n + more)
		cap = b->n + more;
	char *p = realloc(b->p, cap);

	if (!p)
		return HAP_ENOMEM;
	b->p = p;
	b->cap = cap;
	return 0;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
	int rc = buf_reserve(b, n);

	if (rc < 0 || n == 0)
		return rc;
	memcpy(b->p + b->n, p, n);
	b->n += n;
	return 0;
}

int buf_add_span(struct buf *b, struct span s)
{
	return buf_add(b, s.p, s.n);
}

int buf_add_str(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_add_byte(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

void buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){0};
}
