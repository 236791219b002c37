/* SPDX-License-Identifier: MIT
 *
 * connect.h - an address to a connected socket: look-up, one address after the other, and
 * new attempts where a local socket has no listener for a moment.
 * Owns the socket and its handle. The struct is memory of its user; once connect_close()
 * has returned, nothing refers to it. */
#ifndef HAP_CONNECT_H
#define HAP_CONNECT_H

#include "net/lookup.h"
#include "os/clock.h"
#include "protocol/address.h"

#include <stdbool.h>

struct connection {
	const struct address *address; /* borrowed */
	struct clock *clock;           /* borrowed */
	uv_loop_t *loop;               /* borrowed */
	/* Called from the loop, once for each CONNECT_PENDING. `rc` is CONNECT_DONE, or
	 * why there is no connection: UV_*, HAP_ENOMEM. */
	void (*done)(struct connection *c, int rc);
	int fd;          /* owned: a non-blocking socket, or -1 */
	uv_poll_t *poll; /* for `fd`; its `data` is c. Owned while open, then by its close
			    callback. After CONNECT_DONE its events are the user's */
	int lacks; /* while it waits for a descriptor that comes free: -EMFILE, -ENFILE */
	struct lookup *lookup; /* under way, or NULL */
	bool resolves;         /* the host's name is being looked up, or was not found */
	struct addrinfo *found, *trying; /* owned list; the one being tried */
	struct timer retry;
	uint64_t passes_until; /* connect_may_pass(); 0: nothing has failed yet */
};

enum { CONNECT_DONE = 0, CONNECT_PENDING = 1 };

/* Make a connection that is closed. */
void connect_init(struct connection *c, const struct address *address,
		  struct clock *clock, uv_loop_t *loop,
		  void (*done)(struct connection *c, int rc));

/* Begin to connect. CONNECT_DONE: c->fd is connected. CONNECT_PENDING: `done` will be
 * called, never from within this call. <0: as `done`. */
int connect_start(struct connection *c);

/* The connection that was made has failed with `rc`. Connect once more if
 * connect_may_pass(). Returns as connect_start(), or `rc`. */
int connect_again(struct connection *c, int rc);

/* May this failure be over in a moment? It may where a local socket's queue is full or
 * descriptors are scarce; and, for a while after the first time, where a local socket has
 * no listener, is missing or resets the connection, as at a reload of HAProxy. */
bool connect_may_pass(struct connection *c, int rc);

/* Close the socket, or break off what is under way. May be called in any state. `done` is
 * not called. */
void connect_close(struct connection *c);

/* Make a connected stream socket ready for one send() of these bytes, before anything
 * else is sent over it. A local socket must take all of them at once; one of TCP must
 * carry the first line in one segment. 0; UV_EMSGSIZE: it cannot; or another UV_*. */
int single_write_prepare(int fd, bool local, struct span bytes);

#endif
