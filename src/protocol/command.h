/* SPDX-License-Identifier: MIT
 *
 * command.h - words and payloads to the bytes of one request line.
 * Pure: no sockets, no Lua, no clock. What cannot be encoded is refused here, before
 * anything is sent. HAProxy's splitting rules, by version: docs/protocol.md, "Words". */
#ifndef HAP_COMMAND_H
#define HAP_COMMAND_H

#include "base/buf.h"

#include <stdbool.h>

/* The most bytes of a request, line and payload together. 2.2 and 2.6 stall for good on a
 * first line over 15360 bytes, and die on payload commands of exactly 16385 and 16384. */
#define HAP_COMMAND_MAX 15000
/* HAProxy reads 64 words of a command and drops or refuses the rest. */
#define HAP_WORDS_MAX 64

/* Append one word with every byte escaped that HAProxy would not take literally.
 * 0, HAP_ENEWLINE, HAP_ENUL, HAP_EEMPTY, HAP_ENOMEM. On failure `out` is as it was. */
int command_word(struct buf *out, struct span word);

/* Append n words as one command, separated by spaces. Also HAP_EWORDS, HAP_ELONG. A
 * command that ends in CR gets a closing space, since HAProxy eats a CR at the end of a
 * line. On failure `out` is as it was and *bad, if not NULL, is the index of the word at
 * fault. */
int command_words(struct buf *out, const struct span *words, size_t n, size_t *bad);

/* Append n more words to the command that all of `out` is. The same failures; HAP_EWORDS
 * knows only of these words. */
int command_more(struct buf *out, const struct span *words, size_t n, size_t *bad);

/* May `text` be sent as one command, as it stands? 0, HAP_ENEWLINE, HAP_ENUL, HAP_EEMPTY,
 * HAP_ELONG, HAP_EWORDS, HAP_ESECOND, HAP_EMARK, HAP_EESCAPE. */
int command_check(struct span text);

/* May these lines be the payload of a command? 0, HAP_EPAYLOAD, HAP_ENUL. */
int command_payload_check(struct span payload);

/* The same for `add map`, whose lines are "KEY VALUE": a line without a value would be
 * glued to the next one, in silence. Also HAP_EPAIRS. */
int command_pairs_check(struct span payload);

/* Split a command as HAProxy does: up to `max` words, unescaped, into `words`, whose
 * bytes stand in `store`, which is overwritten. Returns the number of words, or
 * HAP_ENOMEM. For a look at a command that command_check() accepted. */
int command_split(struct buf *store, struct span text, struct span *words, size_t max);

/* One request: `set severity-output number` and then commands, joined by ';' on one line.
 * {0} and batch_start() make one ready; batch_free() may always be called. */
struct batch {
	struct buf bytes;       /* owned: the line so far, no LF before batch_finish() */
	struct span route;      /* borrowed: "@1" for the master CLI, or empty */
	size_t count;           /* commands on the line, the host's own not counted */
	size_t prelude_replies; /* replies to the host's own commands, which come first */
	size_t prelude_bytes;   /* bytes of those commands */
	size_t limit;           /* the most bytes of the line */
	bool closed; /* nothing may follow: a payload was added, or the caller says so
			because the last command's reply is RAW (reply.h) */
};

/* Begin an empty line. `route` is empty, or the master CLI's process prefix, which is
 * then put before each command, and severity is not asked for (the master knows none, and
 * on a worker it would not last). `limit` is at most HAP_COMMAND_MAX. 0 or HAP_ENOMEM. */
int batch_start(struct batch *b, struct span route, size_t limit);

/* On a line that is still empty: have HAProxy keep the connection for `seconds`, where
 * its `stats timeout` (10 s unless configured) may be shorter. Does nothing behind a
 * route, where it would not last. 0 or HAP_ENOMEM. */
int batch_timeout(struct batch *b, double seconds);

/* Could batch_add() ever take this command? 0, or what it would fail with. */
int batch_check(const struct batch *b, struct span command);

/* Append an encoded command (from command_words(), or accepted by command_check()), and
 * a space if it ends in CR. 1: added. 0: no room, or the line is closed: send this line
 * first. <0: HAP_ENOMEM; HAP_EROUTE when there is a route and the command begins with
 * '@'; HAP_ELONG for a command that does not fit an empty line (judged against
 * HAP_COMMAND_MAX: a single command may exceed `limit`). */
int batch_add(struct batch *b, struct span command);

/* The same for a command with a payload: lines, each ended by LF (a last LF may be
 * missing). HAP_EPAYLOAD for an empty payload or an empty line inside one, HAP_ENUL,
 * HAP_EPAYLOAD for CR before LF (3.0+ would keep it), HAP_EMARK for "<<" anywhere in the
 * command (2.2 would read on from there), and HAP_EWORDS when there is no room among the
 * 64 for the mark and the route. The line is closed. */
int batch_add_payload(struct batch *b, struct span command, struct span payload);

/* End the line; b->bytes is then what to write. 0 or HAP_ENOMEM. */
int batch_finish(struct batch *b);

void batch_free(struct batch *b);

#endif
