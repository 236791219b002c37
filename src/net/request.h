/* SPDX-License-Identifier: MIT
 *
 * request.h - one request over one connection: connect, one write, read to the end of
 * file. Knows no meaning: bytes go out, bytes come in. Why a connection for each: a kept
 * one goes on talking to the old worker after a reload, and cannot be framed safely
 * (docs/protocol.md). Counted: the caller, the target's queue and a look-up under way
 * hold a reference each. */
#ifndef HAP_REQUEST_H
#define HAP_REQUEST_H

#include "net/target.h"

enum request_state {
	REQUEST_NEW,
	REQUEST_QUEUED,     /* waits at the target's gate */
	REQUEST_RESOLVING,  /* a host name is being looked up */
	REQUEST_CONNECTING, /* also: waiting to try again, the backlog being full */
	REQUEST_WRITING,
	REQUEST_READING,
	REQUEST_DONE
};

struct request {
	int refs;
	enum request_state state;
	int rc; /* once done: 0 = read to the end of file, else UV_* or HAP_E* */
	struct target *target; /* counted */
	struct buf out;        /* owned: the whole request */
	struct buf in;         /* owned: what has come of the answer; kept when rc < 0 */
	size_t written;        /* bytes of `out` that the system has taken */
	int fd;                /* owned: the socket, or -1 */
	uv_poll_t *poll;       /* owned while open, then by its close callback */
	uv_getaddrinfo_t lookup;         /* holds a reference until its callback */
	struct addrinfo *found, *trying; /* owned list; the one being tried */
	struct timer deadline, retry;
	bool repeatable;        /* set before the start: sent twice is no harm */
	bool put_off;           /* by a fake transport, once */
	uint64_t refused_until; /* 0 until a local socket has no listener */
	int lacks;              /* while it waits for a descriptor: -EMFILE, -ENFILE */
	struct request *next;   /* in the target's queue */
	/* Told that bytes came or that the request is done; set NULL by request_drop().
	 * Only ever called from the loop. */
	void (*wake)(void *owner);
	void *owner; /* borrowed */
};

/* Make a request for the bytes in `line`, which are moved out of it. 0 and a reference in
 * *out; HAP_ENOMEM with `line` as it was. */
int request_new(struct request **out, struct target *target, struct buf *line);

/* Begin; it ends by itself, at the latest at `deadline` (a monotonic instant) with
 * HAP_ETIMEOUT. It may be done when this returns: look at `state` before waiting. `wake`
 * is never called from within this call. */
void request_start(struct request *r, uint64_t deadline, void (*wake)(void *),
		   void *owner);

/* For a target's fake transport: hold the request until it is answered. */
struct request *request_ref(struct request *r);

/* Let go of it: these bytes are the whole answer, or the connection failed with `rc` (a
 * local socket's ECONNREFUSED or ENOENT is tried again for a while, as a real one's). */
void request_answer(struct request *r, struct span answer, int rc);

/* Let go of it: its target's fake transport is asked again at `at` (CLOCK_NEVER: not at
 * all).
 */
void request_ask_later(struct request *r, uint64_t at);

/* Let go of the caller's reference: nobody is told any more, and a request that is not
 * done is broken off by closing its connection. */
void request_drop(struct request *r);

#endif
