/* SPDX-License-Identifier: MIT
 *
 * transfer.h - one HTTP request by libcurl.
 * Part of the module curl.so (exports). Many transfers may be under way at once. Each has
 * a connection of its own, and nothing of one is kept for another: no connection, name,
 * TLS session or cookie. The environment's proxies and ~/.netrc are not used. No Lua. */
#ifndef HAP_TRANSFER_H
#define HAP_TRANSFER_H

#include "base/buf.h"
#include "curl/multi.h"

#include <stdbool.h>

/* A body is read this far and thrown away; a transfer ends well where it is longer. */
#define TRANSFER_BODY_MAX ((size_t)64 << 10)
/* More bytes of headers end a transfer with CURLE_FILESIZE_EXCEEDED. */
#define TRANSFER_HEAD_MAX ((size_t)256 << 10)

struct transfer {
	struct multi *of; /* counted */
	struct multi_user user;
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

/* Make a transfer, to which the caller may give options with curl_easy_setopt(). 0 or
 * HAP_ENOMEM. */
int transfer_new(struct transfer **out, struct multi *m);

/* Add a line to one of the lists of `t`. 0 or HAP_ENOMEM. */
int transfer_add(struct curl_slist **list, const char *line);

/* Begin. It ends by itself, with no time limit; `wake` is never called from within this
 * call. */
CURLcode transfer_start(struct transfer *t);

/* Break off what is not done, and free it. Not from a callback of libcurl. */
void transfer_close(struct transfer *t);

#endif
