/* SPDX-License-Identifier: MIT
 *
 * exchange.h - a series of commands to one target, and their judged replies in order.
 * Commands are packed into as few requests as their kind and size allow; each request has
 * its own connection and deadline. Nothing is sent before the whole series was encoded.
 * Knows no Lua. */
#ifndef HAP_EXCHANGE_H
#define HAP_EXCHANGE_H

#include "protocol/command.h"
#include "protocol/frame.h"
#include "protocol/reply.h"
#include "net/request.h"

/* Requests under way at once, where the series only reads. */
#define EXCHANGE_WINDOW 4

/* One request of the series. */
struct exchange_line {
	struct request *request; /* one reference */
	struct frame frame;
	size_t lead; /* replies to the host's own commands that are still to come */
	bool joined; /* a RAW reply stands before others: not cut before it is whole */
};

struct exchange {
	struct target *target; /* counted; NULL: not begun */
	double timeout;        /* seconds for each request */
	struct buf bytes;      /* owned: the encoded commands, one after the other */
	struct buf marks;      /* owned: a struct exchange_mark for each */
	struct buf payload;    /* owned: for the only command; no byte: none */
	size_t n;              /* commands */
	size_t next;           /* the first command that is not on a line yet */
	size_t answered;       /* replies given out */
	bool changes;       /* a command changes HAProxy: one request after the other */
	bool apart;         /* a RAW reply is the last of its line, as it was ambiguous */
	struct batch batch; /* the line being packed */
	struct exchange_line lines[EXCHANGE_WINDOW]; /* a ring, oldest at `oldest` */
	size_t oldest, under_way;
	void (*wake)(void *owner);
	void *owner;
};

struct exchange_mark {
	size_t end; /* of the command in `bytes` */
	const struct reply_grammar *grammar;
};

struct exchange_reply {
	size_t index;        /* of its command, from 0 */
	struct span command; /* as encoded */
	struct span text;    /* the body, or HAProxy's words when rc < 0 */
	int rc;          /* reply_check()'s judgement; text borrows until the next call */
	size_t in_doubt; /* rc < 0: changes that HAProxy may have carried out or not */
};

enum { EXCHANGE_WAIT = 0, EXCHANGE_REPLY, EXCHANGE_END };

/* Begin a series; {0} before. 0 or HAP_ENOMEM; either way exchange_free() must follow. */
int exchange_start(struct exchange *x, struct target *target, double timeout);

/* Append an encoded command. 0, HAP_ENOMEM, or why it can never be sent: HAP_ELONG,
 * HAP_EROUTE, HAP_EREADONLY, HAP_EONLY. */
int exchange_add(struct exchange *x, struct span command,
		 const struct reply_grammar *grammar);

/* Give the last command added a payload; it must be the only one. 0, HAP_ENOMEM,
 * HAP_EREADONLY, HAP_EONLY. */
int exchange_payload(struct exchange *x, struct span payload);

struct span exchange_command(const struct exchange *x, size_t index);

/* Go on. EXCHANGE_REPLY: *out is the next reply. EXCHANGE_WAIT: `wake` will be called.
 * EXCHANGE_END: all were given out. <0: the request failed; out->index is the first
 * command without a reply, out->text what came instead of one, out->in_doubt how many
 * changes may have been carried out. After a failure no more commands are sent. */
int exchange_next(struct exchange *x, struct exchange_reply *out);

/* How many commands that change HAProxy were sent, or begun to be, and have no reply. */
size_t exchange_in_doubt(const struct exchange *x);

/* Send no further line; replies to the present one are still given out. */
void exchange_stop(struct exchange *x);

/* Let go of everything; a request under way is broken off. May be called twice. */
void exchange_free(struct exchange *x);

#endif
