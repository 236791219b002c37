/* SPDX-License-Identifier: MIT
 *
 * failure.h - what a failed transfer of libcurl means for an error object. */
#ifndef HAP_CURL_FAILURE_H
#define HAP_CURL_FAILURE_H

#include <curl/curl.h>
#include <lua.h>

/* Set fields of the table on the top: kind=, phase=, message=; code= of the system where
 * no connection came; tls= where TLS failed: "certificate" (the server's), "handshake",
 * "files", or "refused": the server does not take the client's certificate. `text` is
 * what libcurl wrote into CURLOPT_ERRORBUFFER. May raise. [-0, +0] */
void failure_set(lua_State *L, CURL *easy, CURLcode rc, const char *text);

#endif
