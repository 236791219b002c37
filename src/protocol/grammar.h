/* SPDX-License-Identifier: MIT
 *
 * grammar.h - what haplua knows of each command of HAProxy's, one row for each.
 * Pure: no sockets, no Lua, no clock. */
#ifndef HAP_GRAMMAR_H
#define HAP_GRAMMAR_H

#include "base/buf.h"

#include <stdbool.h>

enum reply_shape {
	REPLY_ANY,   /* no grammar known: whatever is not a known refusal */
	REPLY_EMPTY, /* success is an empty body, nothing else */
	REPLY_TEXT,  /* success is a text that begins with one of `begins`; any text, if
			that is NULL */
	REPLY_DUMP,  /* success is data: no severity prefix, and the same of `begins` */
};

enum {
	GRAMMAR_CHANGES = 1, /* the command changes HAProxy: held back by a dry run */
	GRAMMAR_RAW = 2, /* the body may hold raw bytes of others, or an LF too many or
			  too few: last of a line */
	GRAMMAR_SHORT =
		4, /* some version leaves out the closing empty line; RAW as well */
	GRAMMAR_CLOSES =
		8, /* ends or alters the session (quit, prompt, @1, ...): never sent */
	GRAMMAR_BARE = 16, /* may be an empty body although it is a text or a dump */
	GRAMMAR_NUMBER =
		32, /* HAProxy takes a last word that is no number for 0, in silence */
};

struct grammar {
	const char *command; /* its first words, one space between them; "*" is any */
	enum reply_shape shape;
	unsigned flags;
	/* Alternatives separated by '|', or NULL. In `begins` a '*' is any bytes. */
	const char *begins;
	const char *unless; /* a text that holds one of these is a refusal after all */
};

/* The grammar for a command, by its words (unescaped; an @version word after add, show,
 * clear, commit or prepare acl|map does not count). The longest entry that matches wins.
 * Never NULL: a command that is not known is REPLY_ANY and counts as one that changes
 * HAProxy. */
const struct grammar *grammar_find(const struct span *words, size_t n);

/* Each grammar by its number, from 0; NULL behind the last. For who goes through all. */
const struct grammar *grammar_at(size_t i);

#endif
