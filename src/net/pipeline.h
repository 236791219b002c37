/* SPDX-License-Identifier: MIT
 *
 * pipeline.h - a series of commands to one target, and their judged replies in order.
 * Commands are packed into as few requests as their kind and size allow; each request has
 * its own connection and deadline. Nothing is sent before the first pipeline_next().
 * Free of Lua. */
#ifndef HAP_PIPELINE_H
#define HAP_PIPELINE_H

#include "protocol/batch.h"
#include "protocol/frame.h"
#include "protocol/reply.h"
#include "net/request.h"

/* Requests under way at once, where the series only reads. */
#define PIPELINE_WINDOW 4

/* One request of the series. */
struct pipeline_line {
	struct request *request; /* one reference */
	struct frame frame;
	size_t prelude_replies; /* to the prelude (batch.h), that are still to come */
	bool raw_inside; /* a RAW reply stands before others: the answer is not cut before
			    it is whole */
};

struct pipeline {
	struct target *target; /* counted; NULL: not begun */
	double timeout;        /* seconds for each request */
	struct buf bytes;      /* owned: the encoded commands, one after the other */
	struct buf entries;    /* owned: a struct pipeline_entry for each */
	struct buf payload;    /* owned: for the only command; no byte: none */
	size_t n;              /* commands */
	size_t next;           /* the first command that is not on a line yet */
	size_t answered;       /* how many commands had their replies returned */
	bool changes;       /* a command changes HAProxy: one request after the other */
	bool raw_alone;     /* a RAW reply is the last of its line, as it was ambiguous */
	struct batch batch; /* the line being packed */
	struct pipeline_line lines[PIPELINE_WINDOW]; /* a ring, oldest at `oldest` */
	size_t oldest, under_way;
	void (*wake)(void *owner); /* set by the caller; see request.h */
	void *owner;               /* borrowed */
};

struct pipeline_entry {
	size_t end; /* of the command in `bytes` */
	const struct grammar *grammar;
};

struct pipeline_reply {
	size_t index;      /* of its command, from 0 */
	struct span text;  /* the body, or HAProxy's words when rc < 0 */
	int rc;            /* from reply_check(); `text` is valid until the next call */
	size_t in_doubt;   /* rc < 0: changes that HAProxy may have carried out or not */
	const char *phase; /* of a request that failed (request.h), "read" for an answer
			      that was cut; else NULL */
};

enum { PIPELINE_WAIT = 0, PIPELINE_REPLY, PIPELINE_END };

/* Begin a series in a struct that is {0} but for wake and owner. `timeout` is in seconds,
 * for each request. 0 or HAP_ENOMEM; either way pipeline_free() must follow. */
int pipeline_start(struct pipeline *p, struct target *target, double timeout);

/* Append a command; one that has a payload must be the only one. Its bytes are copied.
 * 0, HAP_ENOMEM, or why it can never be sent: a failure of batch_check(), or
 * HAP_EREADONLY, HAP_EONLY. */
int pipeline_add(struct pipeline *p, const struct command *c);

/* The text of a command, by its number from 0; borrowed. */
struct span pipeline_command(const struct pipeline *p, size_t index);

/* Send what may be sent, and return the next reply. PIPELINE_REPLY: *out is that reply.
 * PIPELINE_WAIT: `wake` will be called. PIPELINE_END: every reply was returned. <0: the
 * request failed; out->index is the first command without a reply, out->text what came
 * instead of one, out->in_doubt how many changes may have been carried out. After a
 * failure no more commands are sent. */
int pipeline_next(struct pipeline *p, struct pipeline_reply *out);

/* How many commands that change HAProxy were sent, or begun to be, and have no reply. */
size_t pipeline_in_doubt(const struct pipeline *p);

/* Send no further line; the replies to the lines under way can still be read. */
void pipeline_stop(struct pipeline *p);

/* Let go of everything; a request under way is broken off. May be called twice. */
void pipeline_free(struct pipeline *p);

#endif
