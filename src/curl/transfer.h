/* SPDX-License-Identifier: MIT
 *
 * transfer.h - one HTTP request by libcurl on a loop of libuv.
 * Part of the module curl.so (exports). Many transfers may be under way at once. Each has
 * a connection of its own, and nothing of one is kept for another: no connection, name,
 * TLS session or cookie. The environment's proxies and ~/.netrc are not used. No Lua. */
#ifndef HAP_TRANSFER_H
#define HAP_TRANSFER_H

#include "base/buf.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

/* A body is read this far and thrown away; a transfer ends well where it is longer. */
#define TRANSFER_BODY_MAX ((size_t)64 << 10)
/* More bytes of headers end a transfer with CURLE_FILESIZE_EXCEEDED. */
#define TRANSFER_HEAD_MAX ((size_t)256 << 10)

/* The transfers of a loop. Counted: the caller of transfers_new() and each transfer hold
 * a reference. */
struct transfers;

struct transfer {
	struct transfers *of;       /* counted */
	CURL *easy;                 /* owned */
	struct curl_slist *headers; /* owned: lines for CURLOPT_HTTPHEADER */
	struct curl_slist *connect; /* owned: for CURLOPT_CONNECT_TO */
	struct buf head;            /* owned: the head of the last response, with CRLF */
	size_t body;                /* bytes of it that came */
	char text[CURL_ERROR_SIZE]; /* done: libcurl's words for a failure, or "" */
	bool started, done;
	CURLcode rc; /* done: how it ended */
	/* Called from the loop when the transfer is done. */
	void (*wake)(void *owner);
	void *owner; /* borrowed */
};

/* 0 and a reference in *out, UV_* or HAP_ENOMEM. */
int transfers_new(struct transfers **out, uv_loop_t *loop);
void transfers_unref(struct transfers *ts);

/* Make a transfer, to which the caller may give options with curl_easy_setopt(). 0 or
 * HAP_ENOMEM. */
int transfer_new(struct transfer **out, struct transfers *ts);

/* Add a line to one of the lists of `t`. 0 or HAP_ENOMEM. */
int transfer_add(struct curl_slist **list, const char *line);

/* Begin. It ends by itself, with no time limit; `wake` is never called from within this
 * call. */
CURLcode transfer_start(struct transfer *t);

/* Where a transfer is, or was when it ended: "resolve", "connect" (TLS, too), "write" or
 * "read". */
const char *transfer_phase(const struct transfer *t);

/* Break off what is not done, and free it. Not from a callback of libcurl. */
void transfer_close(struct transfer *t);

#endif
