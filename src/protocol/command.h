/* SPDX-License-Identifier: MIT
 *
 * command.h - one command: its words, the bytes that HAProxy gets, its row of the grammar
 * and its payload. It is split and looked up once, here; whoever judges, joins or sends
 * it takes the struct. Pure: no sockets, no Lua, no clock. What cannot be sent safely is
 * refused here, before anything is sent. How HAProxy splits words, by version:
 * docs/protocol.md, "Words". */
#ifndef HAP_COMMAND_H
#define HAP_COMMAND_H

#include "base/buf.h"
#include "protocol/grammar.h"

/* The most bytes of a request, line and payload together. 2.2 and 2.6 stall for good on a
 * first line over 15360 bytes, and die on payload commands of exactly 16385 and 16384. */
#define HAP_COMMAND_MAX 15000
/* HAProxy reads 64 words of a command and drops or refuses the rest. */
#define HAP_WORDS_MAX 64

/* {0} before its first use; command_free() ends it. The spans are valid until the next
 * function changes the command, and as long as what they borrow from. */
struct command {
	const struct grammar *grammar;
	struct span text;                 /* as it is sent: escaped, without LF */
	struct span payload;              /* borrowed; .p is NULL where there is none */
	struct span words[HAP_WORDS_MAX]; /* without their escapes */
	size_t n;                         /* words */
	size_t end;                       /* of the last word, in `text` */
	size_t head_n, head_bytes;        /* what command_more() keeps */
	bool head_decides;                /* the row is the same with more words */
	struct buf bytes; /* owned: `text` where words were given, else the words */
};

/* Make a command of n words, which are borrowed; every byte is escaped that HAProxy would
 * not take literally. A command that ends in CR gets a closing space, since HAProxy drops
 * a CR at the end of a line.
 * 0, HAP_ENEWLINE, HAP_ENUL, HAP_EEMPTY, HAP_EWORDS, HAP_ELONG, HAP_ENOMEM. On failure
 * *bad, if not NULL, is the index of the word at fault. */
int command_from_words(struct command *c, const struct span *words, size_t n,
		       size_t *bad);

/* Put n more words behind those that command_from_words() was given, in the place of what
 * an earlier call of this function has put there. Fails as command_from_words() does;
 * *bad counts from the first of these words. */
int command_more(struct command *c, const struct span *words, size_t n, size_t *bad);

/* Make a command of a text that is sent as it stands, and borrowed.
 * 0, HAP_ENEWLINE, HAP_ENUL, HAP_EEMPTY, HAP_ELONG, HAP_EWORDS, HAP_ESECOND, HAP_EMARK,
 * HAP_EESCAPE, HAP_ENOMEM. */
int command_from_text(struct command *c, struct span text);

/* Give the command a payload: lines, each ended by LF (the last LF may be missing). It is
 * borrowed. Blanks at the end of `text` go: 2.2 takes one space alone before the mark.
 * 0, HAP_EPAYLOAD (no line, an empty line, or CR before LF, which 3.0 and later keep),
 * HAP_ENUL, HAP_EPAIRS, HAP_ENOLINES; HAP_EMARK for "<<" anywhere in the command (2.2
 * reads on from there); HAP_EWORDS where the mark finds no place among the 64 words. */
int command_payload(struct command *c, struct span payload);

/* Append one word with its escapes. 0, HAP_ENEWLINE, HAP_ENUL, HAP_EEMPTY, HAP_ENOMEM. On
 * failure `out` is as it was. */
int command_word(struct buf *out, struct span word);

/* Free the memory; the command is {0} afterwards. */
void command_free(struct command *c);

#endif
