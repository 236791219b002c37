/* SPDX-License-Identifier: MIT
 *
 * buf.h - bytes: a borrowed span, and a growing buffer that owns its memory.
 * Pure: no sockets, no Lua, no clock. Running out of memory is a code, never an abort. */
#ifndef HAP_BUF_H
#define HAP_BUF_H

#include <stddef.h>
#include <string.h>

/* Borrowed bytes. Not NUL-terminated. */
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

/* Does s begin with the bytes of the C string `prefix`? Have a and b the same bytes? */
int span_begins(struct span s, const char *prefix);
int span_equal(struct span a, struct span b);

/* Cut the next line, without its LF, off the front of *rest. 1: *line is set. 0: *rest
 * holds no LF, and stays as it was. */
int span_line(struct span *rest, struct span *line);

/* Cut the next word, the bytes up to `sep`, off the front of *rest, and the separator
 * with it. 1: *word is set. The last word ends where *rest ends; then rest->p becomes
 * NULL. 0: rest->p is NULL. There is one word more than there are separators. */
int span_word(struct span *rest, char sep, struct span *word);

/* The length in bytes of the first character of `s`, if a terminal can show it as it is.
 * 0: `s` is empty, or its first byte is no UTF-8, or the character is a control (C0, DEL,
 * C1) or changes the direction of the text. */
size_t span_printable(struct span s);

/* Make room for `more` further bytes. 0 or HAP_ENOMEM; the content stays either way. */
int buf_reserve(struct buf *b, size_t more);

/* Append. 0, or HAP_ENOMEM with the buffer as it was. */
int buf_add(struct buf *b, const void *p, size_t n);
int buf_add_span(struct buf *b, struct span s);
int buf_add_str(struct buf *b, const char *s);
int buf_add_byte(struct buf *b, char c);

/* Free the memory; the buffer is {0} afterwards and may be used again. */
void buf_free(struct buf *b);

#endif
