/* SPDX-License-Identifier: MIT
 *
 * request_connect.h - what request.c and request_connect.c need of each other; everybody
 * else includes request.h. */
#ifndef HAP_REQUEST_CONNECT_H
#define HAP_REQUEST_CONNECT_H

#include "net/request.h"

/* Connect; then comes request_write(), or request_finish() with why not. */
void request_connect(struct request *r);

/* The socket that was REQUEST_CONNECTING is ready: write, try the next address, or
 * finish. */
void request_connected(struct request *r);

/* A local socket that is reset before it gave an answer was closed with our request in it
 * unread: at a reload, the old worker's queue goes that way. But what stands between us
 * and HAProxy may have passed a part of it on, and the first commands of a line run
 * before the rest is there. So only what does no harm twice is sent again. Returns
 * whether it is. */
bool request_connect_again(struct request *r, int rc);

/* May this failure of a local socket be over in a moment? */
bool request_may_pass(struct request *r, int rc);

/* The connection is there: write, then read. */
void request_write(struct request *r);

/* Wait in this state for the socket to be readable or writable. */
void request_wait_for(struct request *r, enum request_state state, int events);

/* Close the socket, if there is one. */
void request_disconnect(struct request *r);

/* The end, from whatever state, with the outcome `rc`. */
void request_finish(struct request *r, int rc);

void request_unref(struct request *r);

#endif
