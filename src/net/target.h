/* SPDX-License-Identifier: MIT
 *
 * target.h - one HAProxy process: its address, its limits, and its connection limit.
 * HAProxy serves ten clients of its sockets at once (`stats maxconn`), so a target has a
 * few connections open at a time; request.c keeps further requests in a queue, oldest
 * first.
 * Free of Lua and of what requests mean. Counted: every request and every box in Lua
 * holds a reference. */
#ifndef HAP_TARGET_H
#define HAP_TARGET_H

#include "protocol/address.h"
#include "base/buf.h"
#include "os/clock.h"
#include "protocol/permit.h"

#include <stdbool.h>
#include <sys/queue.h>

/* The connection limit. */
#define TARGET_CONNECTIONS_MAX 4

struct request;

enum target_way { TARGET_SENT, TARGET_RECEIVED };

struct target {
	int refs;
	char *name;                  /* owned: the address as the user wrote it */
	char *route;                 /* owned: "@1" behind a master CLI, or "" */
	struct address address;      /* what `name` means */
	struct clock *clock;         /* borrowed: outlives every target */
	uv_loop_t *loop;             /* borrowed, likewise */
	const struct permit *permit; /* borrowed, likewise: what may be changed */
	double timeout;    /* seconds for one request, its wait at the gate included */
	size_t line_max;   /* bytes of a request line that joins commands */
	size_t answer_max; /* bytes of an answer; more is HAP_ELIMIT */
	int connections, connections_max; /* open; how many may be */
	TAILQ_HEAD(, request) queue;      /* one reference each, oldest first */
	bool drains;                      /* a loop takes requests off the queue */
	/* Answers in the place of a socket under `haplua test`; NULL: a socket does.
	 * Takes a reference with request_ref() and lets it go with request_answer() or
	 * request_ask_later(), from outside of this call. */
	void (*fake_transport)(struct request *r);
	/* Shows the bytes that are sent and received, for -v; or NULL. */
	void (*trace)(const struct target *t, enum target_way way, struct span bytes);
};

/* Make a target for an address in HAProxy's syntax; both spans are copied. `route` may be
 * empty. 0 and a reference in *out; HAP_EADDRESS, HAP_EPATH, HAP_EPROCESS, HAP_ENUL,
 * HAP_ENOMEM. Opens nothing. */
int target_new(struct target **out, struct span address, struct span route,
	       const struct permit *permit, struct clock *clock, uv_loop_t *loop);

struct target *target_ref(struct target *t);
void target_unref(struct target *t);

#endif
