/* SPDX-License-Identifier: MIT
 *
 * single_write.h - a request leaves in one piece or not at all.
 * HAProxy 2.2 and 2.6 can stall for good when the first line reaches them in pieces
 * (docs/protocol.md), so haplua asks the system before it sends. */
#ifndef HAP_SINGLE_WRITE_H
#define HAP_SINGLE_WRITE_H

#include "base/buf.h"

#include <stdbool.h>

/* Make a connected stream socket ready for one send() of these bytes, before anything
 * else is sent over it. A local socket must take all of them at once; one of TCP must
 * carry the first line in one segment. 0; UV_EMSGSIZE: it cannot; or another UV_*. */
int single_write_prepare(int fd, bool local, struct span bytes);

#endif
