/* SPDX-License-Identifier: MIT
 *
 * grammar.h - what haplua knows about each command of HAProxy's: one table, one row for a
 * command. How its reply looks, whether it changes HAProxy, which word of it names a list
 * or a server, whether lines may follow it.
 * Pure: no sockets, no Lua, no clock. */
#ifndef HAP_GRAMMAR_H
#define HAP_GRAMMAR_H

#include "base/buf.h"

#include <stdbool.h>

/* What a successful reply looks like. */
enum reply_shape {
	REPLY_ANY,   /* not known: every text that is no known refusal */
	REPLY_EMPTY, /* an empty body */
	REPLY_TEXT,  /* a text that begins with one of `begins`, if that is not NULL */
	REPLY_DUMP,  /* likewise, without a severity prefix */
};

/* What the command's third word refers to. A command that changes HAProxy and has NONE
 * here may change anything. */
enum grammar_names {
	NAMES_NONE,
	NAMES_LIST,    /* an ACL or a map */
	NAMES_LIST_AT, /* likewise; a version, "@7", may stand before it */
	NAMES_SERVER,  /* BACKEND/SERVER, and the command changes nothing else */
};

enum {
	/* The command changes HAProxy: a dry run does not send it. */
	GRAMMAR_CHANGES = 1,
	/* The reply may hold bytes of others, or has one LF too many or too few on some
	 * version: the command stands last on its line. */
	GRAMMAR_RAW = 2,
	/* Some version leaves out the empty line that closes the reply. Such a command is
	 * RAW, too. */
	GRAMMAR_SHORT = 4,
	/* The command ends or alters the session: haplua never sends it. */
	GRAMMAR_CLOSES = 8,
	/* The reply may be empty although it is a TEXT or a DUMP. */
	GRAMMAR_BARE = 16,
	/* HAProxy takes a last word that is no number for 0, and answers with success. */
	GRAMMAR_NUMBER = 32,
	/* The lines of a payload are "KEY VALUE". */
	GRAMMAR_PAIRS = 64,
	/* HAProxy takes a payload, and reads it in a way that nobody means: refused. */
	GRAMMAR_NO_LINES = 128,
};

struct grammar {
	const char
		*command; /* its first words, one space between them; "*" is any word */
	enum grammar_names names;
	enum reply_shape shape;
	unsigned flags;
	/* Alternatives with '|' between them, or NULL; a '*' stands for any bytes. */
	const char *begins;
	const char *unless; /* a text that begins so is a refusal after all */
};

/* Find the row of a command by its words, which are unescaped. The row that matches most
 * words wins; grammar_unknown where none does. *more: with more words it could be another
 * row. */
const struct grammar *grammar_find(const struct span *words, size_t n, bool *more);

/* The row of every command that is not known: it may change HAProxy. */
extern const struct grammar grammar_unknown;

/* The row with number i, from 0; NULL behind the last. For tests that visit all rows. */
const struct grammar *grammar_at(size_t i);

#endif
