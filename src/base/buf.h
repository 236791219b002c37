/* SPDX-License-Identifier: MIT
 *
 * buf.h - bytes: a borrowed span, and a growing buffer that owns its memory.
 * Pure: no sockets, no Lua, no clock. Running out of memory is a code, never an abort. */
#ifndef HAP_BUF_H
#define HAP_BUF_H

#include <stddef.h>
#include <string.h>

/* Bytes that somebody else owns. Not NUL-terminated. */
struct span {
	const char *p;
	size_t n;
};

/* Bytes owned here; {0} is a valid empty buffer. */
struct buf {
	char *p;    /* owned; NULL while cap is 0 */
	size_t n;   /* bytes used */
	size_t cap; /* bytes held */
};

/* The struct of this type whose `field` is at p. */
#define CONTAINER_OF(p, type, field) ((type *)(void *)((char *)(p)-offsetof(type, field)))

#define SPAN_LIT(s) ((struct span){(s), sizeof(s) - 1})

static inline struct span span_of(const char *s)
{
	return (struct span){s, strlen(s)};
}

static inline struct span buf_span(const struct buf *b)
{
	return (struct span){b->p, b->n};
}

/* Does s begin with the n bytes of the C string prefix? */
int span_begins(struct span s, const char *prefix);
int span_equal(struct span a, struct span b);

/* Cut the next line, without its LF, off the front of *rest. 1: *line is set. 0: *rest
 * holds no LF (it is left as it was). */
int span_line(struct span *rest, struct span *line);

/* Cut the next word (bytes up to `sep`) off the front of *rest, and the separator with
 * it. The last word ends where *rest ends, and leaves NULL in rest->p. 0: rest->p is
 * NULL. So there is always one word more than there are separators. */
int span_word(struct span *rest, char sep, struct span *word);

/* How many bytes at the front of `s` are one character that may be shown on a terminal as
 * it is, in UTF-8. 0: a control byte, C1 controls (which are two bytes) and what turns
 * the direction of the text included; a byte that is no UTF-8; or there is none. */
size_t span_printable(struct span s);

/* Make room for `more` further bytes. 0 or HAP_ENOMEM; the content is kept either way. */
int buf_reserve(struct buf *b, size_t more);

/* Append. 0, or HAP_ENOMEM with the buffer as it was. */
int buf_add(struct buf *b, const void *p, size_t n);
int buf_add_span(struct buf *b, struct span s);
int buf_add_str(struct buf *b, const char *s);
int buf_add_byte(struct buf *b, char c);

/* Free the memory; the buffer is {0} afterwards and may be used again. */
void buf_free(struct buf *b);

#endif
