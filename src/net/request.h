/* SPDX-License-Identifier: MIT
 *
 * request.h - one request over one connection: connect, one write, read to the end of
 * file. Bytes go out and bytes come in; what they mean is not its affair. Why each
 * request has a connection: a kept one goes on talking to the old worker after a reload,
 * and its replies cannot be told apart safely (docs/protocol.md). Counted: the caller and
 * the target's queue hold a reference each. */
#ifndef HAP_REQUEST_H
#define HAP_REQUEST_H

#include "net/connect.h"
#include "net/target.h"

enum request_state {
	REQUEST_NEW,
	REQUEST_QUEUED,     /* waits until the target has fewer connections */
	REQUEST_CONNECTING, /* the name is looked up, too; or the fake transport has it */
	REQUEST_WRITING,
	REQUEST_READING,
	REQUEST_DONE
};

struct request {
	int refs;
	enum request_state state;
	int rc; /* once done: 0 = read to the end of file, else UV_* or HAP_E* */
	/* Once done with a failure: where the request was then, "queue", "resolve",
	 * "connect", "write", "read". Static; else NULL. */
	const char *phase;
	struct target *target; /* counted */
	struct buf out;        /* owned: the whole request */
	struct buf in;         /* owned: what has come of the answer; kept when rc < 0 */
	size_t written;        /* bytes of `out` that the system has taken */
	struct connection connection;
	struct timer deadline;
	struct timer fake_retry; /* asks the fake transport again */
	struct timer rest;       /* looks for more of an answer in small pieces */
	bool rests;              /* waits for the end of the answer, or for `rest` */
	bool repeatable;         /* set before the start: sent twice is no harm */
	bool put_off;            /* the fake transport has put it off, once */
	TAILQ_ENTRY(request) in_queue; /* the target's, or the fake transport's */
	/* Called from the loop when bytes came or the request is done; NULL after
	 * request_drop(). */
	void (*wake)(void *owner);
	void *owner; /* borrowed */
};

/* Make a request for the bytes in `line`, which are moved out of it. 0 and a reference in
 * *out; HAP_ENOMEM with `line` as it was. */
int request_new(struct request **out, struct target *target, struct buf *line);

/* Begin. The request ends by itself, at the latest at `deadline` (a monotonic instant)
 * with HAP_ETIMEOUT. It may be done when this returns: look at `state` before waiting.
 * `wake` is never called from within this call. */
void request_start(struct request *r, uint64_t deadline, void (*wake)(void *),
		   void *owner);

/* Let go of the caller's reference. `wake` is not called any more; a request that is not
 * done is broken off by closing its connection. */
void request_drop(struct request *r);

/* For a target's fake transport. */

/* Take a reference; the request waits until it is answered. */
struct request *request_ref(struct request *r);

/* Let go of the reference: these bytes are the whole answer, or the connection failed
 * with `rc` (where connect_may_pass(), the fake transport is asked again). */
void request_answer(struct request *r, struct span answer, int rc);

/* Let go of the reference: the fake transport is asked again at `at` (CLOCK_NEVER: not at
 * all). */
void request_ask_later(struct request *r, uint64_t at);

#endif
