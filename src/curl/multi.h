/* SPDX-License-Identifier: MIT
 *
 * multi.h - libcurl on a loop of libuv.
 * Part of the modules curl.so and fleet.so (exports). Many transfers may be under way at
 * once. No Lua. */
#ifndef HAP_MULTI_H
#define HAP_MULTI_H

#include <curl/curl.h>
#include <uv.h>

/* The transfers of a loop, and the connections that they use one after the other: libcurl
 * 7.88 loses trailers where one connection carries several at once. Counted. */
struct multi;

/* More connections are kept for other transfers only as long as they are in use. */
#define MULTI_CONNECTIONS 4L

/* A transfer's owner. `done` is called from the loop, once, with how the transfer ended;
 * it may not call libcurl. */
struct multi_user {
	void (*done)(struct multi_user *user, CURLcode rc);
};

/* 0 and a reference in *out, or HAP_ENOMEM. */
int multi_new(struct multi **out, uv_loop_t *loop);
struct multi *multi_ref(struct multi *m);
void multi_unref(struct multi *m);

/* Set the options that hold for every transfer: the environment's proxies are not used,
 * the path is sent as it is, only HTTP. */
void multi_set_common(CURL *easy);

/* Begin a transfer. `done` is never called from within this call. Not from a callback of
 * libcurl. The options of `easy` belong to the caller, but for CURLOPT_PRIVATE. */
CURLcode multi_add(struct multi *m, CURL *easy, struct multi_user *user);

/* Break off a transfer, or take one out that has ended. Not from a callback of libcurl.
 */
void multi_remove(struct multi *m, CURL *easy);

#endif
