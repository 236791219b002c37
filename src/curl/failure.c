/* SPDX-License-Identifier: MIT
 *
 * failure.c - kinds and phases of libcurl's failures. */
#include "curl/failure.h"
#include "base/err.h"
#include "luakit/types.h"

#include <string.h>

/* What libcurl's codes are for haplua.error; those that are not here are "protocol". */
static const struct {
	CURLcode rc;
	const char *kind, *phase;
	const char *tls; /* what of TLS: "certificate", "handshake", "files"; or NULL */
} meanings[] = {
	{CURLE_COULDNT_RESOLVE_HOST, "unreachable", "resolve", NULL},
	{CURLE_COULDNT_CONNECT, "unreachable", "connect", NULL},
	{CURLE_INTERFACE_FAILED, "unreachable", "connect", NULL},
	{CURLE_OPERATION_TIMEDOUT, "timeout", NULL, NULL},
	{CURLE_SEND_ERROR, "unreachable", "write", NULL},
	{CURLE_RECV_ERROR, "unreachable", "read", NULL},
	{CURLE_GOT_NOTHING, "unreachable", "read", NULL},
	{CURLE_PARTIAL_FILE, "unreachable", "read", NULL},
	{CURLE_PEER_FAILED_VERIFICATION, "unreachable", "connect", "certificate"},
	{CURLE_SSL_CONNECT_ERROR, "unreachable", "connect", "handshake"},
	{CURLE_SSL_CACERT_BADFILE, "unreachable", "connect", "files"},
	{CURLE_SSL_CERTPROBLEM, "unreachable", "connect", "files"},
	{CURLE_SSL_ISSUER_ERROR, "unreachable", "connect", "certificate"},
	{CURLE_SSL_CIPHER, "unreachable", "connect", "handshake"},
	{CURLE_OUT_OF_MEMORY, "memory", NULL, NULL},
	{CURLE_URL_MALFORMAT, "url", NULL, NULL},
	{CURLE_TOO_MANY_REDIRECTS, "protocol", "read", NULL},
};

/* Where a transfer was: "resolve", "connect" (TLS, too), "write" or "read". */
static const char *phase_of(CURL *easy, CURLcode rc)
{
	static const struct {
		CURLINFO until;
		const char *name;
	} phases[] = {
		{CURLINFO_NAMELOOKUP_TIME_T, "resolve"},
		{CURLINFO_CONNECT_TIME_T, "connect"},
		{CURLINFO_PRETRANSFER_TIME_T, "connect"},
	};

	for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
		curl_off_t when = 0;

		curl_easy_getinfo(easy, phases[i].until, &when);
		if (when == 0)
			return phases[i].name;
	}
	return rc == CURLE_SEND_ERROR ? "write" : "read";
}

void failure_set(lua_State *L, CURL *easy, CURLcode rc, const char *text)
{
	const char *kind = "protocol", *phase = phase_of(easy, rc), *tls = NULL;
	long os_error = 0;

	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (meanings[i].rc == rc) {
			kind = meanings[i].kind;
			phase = meanings[i].phase ? meanings[i].phase : phase;
			tls = meanings[i].tls;
		}
	/* With TLS 1.3 the other side judges a client's certificate after the handshake.
	 */
	if ((rc == CURLE_RECV_ERROR || rc == CURLE_SEND_ERROR) && strstr(text, " alert "))
		tls = "refused";
	types_set_text(L, "kind", kind);
	types_set_text(L, "phase", phase);
	types_set_text(L, "message", *text ? text : curl_easy_strerror(rc));
	types_set_text(L, "tls", tls);
	curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error);
	if (rc != CURLE_COULDNT_CONNECT || os_error == 0)
		return;
	types_set_text(L, "code", err_name(-(int)os_error));
	types_set_text(L, "message", err_text(-(int)os_error));
}
