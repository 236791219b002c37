/* SPDX-License-Identifier: MIT
 *
 * batch.h - the bytes of one request: a line of commands, joined by ';', and at most one
 * payload behind it. The line begins with commands of the host's own, the prelude:
 * `set severity-output number`, and `set timeout cli` where it is needed.
 * Pure: no sockets, no Lua, no clock. */
#ifndef HAP_BATCH_H
#define HAP_BATCH_H

#include "protocol/command.h"

/* {0} and batch_start() make one ready; batch_free() may always be called. */
struct batch {
	struct buf bytes;       /* owned: the line so far, no LF before batch_finish() */
	struct span route;      /* borrowed: "@1" for the master CLI, or empty */
	size_t count;           /* commands on the line, without the prelude */
	size_t prelude_replies; /* HAProxy sends these replies first */
	size_t prelude_bytes;
	size_t limit; /* the most bytes of a line with several commands */
	bool closed;  /* nothing may follow: a payload, or, set by the caller, a RAW
			 command (grammar.h) is the last */
};

/* Begin an empty line. `route` is empty, or a process of the master CLI: it then stands
 * before each command, and there is no prelude (the master does not know these commands,
 * and on a worker they last for one command). `limit` is at most HAP_COMMAND_MAX. The
 * answer may take `seconds`: HAProxy is asked to keep the connection for so long.
 * 0 or HAP_ENOMEM. */
int batch_start(struct batch *b, struct span route, size_t limit, double seconds);

/* Could batch_add() ever add this command, with its payload? 0; HAP_EROUTE where there is
 * a route and the command begins with '@'; HAP_EWORDS where route, words and payload mark
 * are over 64; HAP_ELONG for what does not fit an empty line (it may be over `limit`, but
 * not over HAP_COMMAND_MAX). */
int batch_check(const struct batch *b, const struct command *c);

/* Append the text of a command that batch_check() accepted, and its payload (.p is NULL:
 * it has none). A text that ends in CR gets a space. A payload closes the line.
 * 1: added. 0: no room, or the line is closed: send this line first. <0: HAP_ELONG, as
 * batch_check(); HAP_ENOMEM. */
int batch_add(struct batch *b, struct span text, struct span payload);

/* End the line; b->bytes is then what to write. 0 or HAP_ENOMEM. */
int batch_finish(struct batch *b);

void batch_free(struct batch *b);

#endif
