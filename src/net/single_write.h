/* SPDX-License-Identifier: MIT
 *
 * single_write.h - a request leaves in one piece or not at all.
 * HAProxy 2.2 and 2.6 can stall for good when the first line reaches them in pieces
 * (docs/protocol.md), so it is asked beforehand whether the system will take it whole. */
#ifndef HAP_SINGLE_WRITE_H
#define HAP_SINGLE_WRITE_H

#include "base/buf.h"

#include <stdbool.h>

/* Make a connected stream socket ready for one send() of these bytes, before anything
 * else was sent over it: a local one takes all of them at once, one of TCP carries the
 * first line in one segment. 0; UV_EMSGSIZE when it cannot be, or another UV_*. */
int single_write_prepare(int fd, bool local, struct span bytes);

#endif
