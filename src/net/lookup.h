/* SPDX-License-Identifier: MIT
 *
 * lookup.h - host names to addresses.
 * getaddrinfo() cannot be broken off, and takes minutes where a name server does not
 * answer. It runs in threads of this file's own that nobody waits for: a look-up that is
 * cancelled, a loop that closes and a process that ends leave it behind. libuv's threads
 * are joined at the end of the process. */
#ifndef HAP_LOOKUP_H
#define HAP_LOOKUP_H

#include "protocol/address.h"

#include <netdb.h>
#include <uv.h>

struct lookup;

/* Called from the loop, once. `rc` is 0 and `found` a list that the callee frees with
 * freeaddrinfo(); or `rc` is UV_EAI_* or -errno and `found` is NULL. */
typedef void lookup_done(void *owner, int rc, struct addrinfo *found);

/* Find the addresses of a host that is written as a number, at once. 0, and *found is to
 * be freed with freeaddrinfo(); UV_EAI_NONAME: it is a name. */
int lookup_number(const struct address *a, struct addrinfo **found);

/* Begin to look up a host's name. 0: *out is the look-up until `done` is called or
 * lookup_cancel(). HAP_ENOMEM; -EAGAIN: the system gives no thread. */
int lookup_start(struct lookup **out, uv_loop_t *loop, const struct address *a,
		 lookup_done *done, void *owner);

/* Give up a look-up: `done` is not called any more. Does not wait. */
void lookup_cancel(struct lookup *l);

#endif
