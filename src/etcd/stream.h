/* SPDX-License-Identifier: MIT
 *
 * stream.h - one call of gRPC over libcurl: a request of one message, whose body has
 * ended when it is sent, and a response of any number of messages.
 * Part of the module fleet.so. No Lua, no protobuf. */
#ifndef HAP_STREAM_H
#define HAP_STREAM_H

#include "base/buf.h"
#include "curl/multi.h"
#include "etcd/grpc.h"

#include <stdbool.h>

/* What a call needs. Strings are copied; NULL: absent. */
struct stream_plan {
	const char *url, *ca, *cert, *key;
	struct span message; /* of the request */
	double within;       /* seconds that the member may take; 0: no limit */
	double connect;      /* seconds until there is a connection; 0: libcurl's 300 */
	bool leader;         /* the member shall refuse, and end, without a leader */
	bool fresh;          /* over a connection of its own */
	bool once;           /* never sent twice: libcurl repeats what had no answer */
};

struct stream {
	struct multi *of; /* counted */
	struct multi_user user;
	CURL *easy;                 /* owned */
	struct curl_slist *headers; /* owned */
	struct grpc_frames frames;  /* owned: what came and was not taken */
	int status;                 /* of gRPC, or GRPC_NONE */
	struct buf message;         /* owned: the text to the status */
	bool is_grpc;               /* the response said so */
	int sent;                   /* how often the request was sent, in whole or part */
	bool once, added, done;
	CURLcode rc;                /* done: how it ended */
	char text[CURL_ERROR_SIZE]; /* done: libcurl's words for a failure, or "" */
	/* Called from the loop when something came, or it is done. */
	void (*wake)(void *owner);
	void *owner; /* borrowed; NULL: nobody waits */
};

/* Make and begin a call. `wake` is never called from within this call. 0 and the call in
 * *out, or HAP_ENOMEM. What else is wrong, the call ends with. Not from a callback of
 * libcurl. */
int stream_start(struct stream **out, struct multi *m, const struct stream_plan *plan);

/* The number of the HTTP response; 0 where none came. */
long stream_http_status(const struct stream *s);

/* Break off what is not done, and free it. Not from a callback of libcurl. */
void stream_close(struct stream *s);

#endif
