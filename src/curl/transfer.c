/* SPDX-License-Identifier: MIT
 *
 * transfer.c - one HTTP request by libcurl. The callbacks only note things: no function
 * of libcurl is called within one. */
#include "curl/transfer.h"
#include "base/err.h"

#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

/* The callbacks of a transfer. */

/* Programs that haplua starts must not get the socket. */
static curl_socket_t on_open(void *data, curlsocktype purpose, struct curl_sockaddr *a)
{
	(void)data, (void)purpose;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* A line of a head. A status line begins another head: an interim response (1xx) or a
 * redirect came before. Lines behind a body are no part of it. */
static size_t on_header(char *line, size_t size, size_t n, void *data)
{
	struct transfer *t = data;

	n *= size;
	if (n > 5 && strncasecmp(line, "HTTP/", 5) == 0)
		t->head.n = t->body = 0;
	if (t->body > 0)
		return n;
	return t->head.n + n > TRANSFER_HEAD_MAX || buf_add(&t->head, line, n) < 0 ? 0
										   : n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
	struct transfer *t = data;

	(void)bytes;
	t->body += size * n;
	return t->body > TRANSFER_BODY_MAX ? 0 : size * n;
}

/* What holds for every transfer. */
static void set_options(struct transfer *t)
{
	CURL *easy = t->easy;

	multi_set_common(easy);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->text);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 10L);
}

static void on_done(struct multi_user *user, CURLcode rc)
{
	struct transfer *t = CONTAINER_OF(user, struct transfer, user);

	t->done = true;
	/* The end that on_body() asked for. */
	t->rc = rc == CURLE_WRITE_ERROR && t->body > TRANSFER_BODY_MAX ? CURLE_OK : rc;
	if (t->wake)
		t->wake(t->owner);
}

int transfer_new(struct transfer **out, struct multi *m)
{
	struct transfer *t = calloc(1, sizeof *t);

	if (t)
		t->easy = curl_easy_init();
	if (!t || !t->easy) {
		free(t);
		return HAP_ENOMEM;
	}
	t->of = multi_ref(m);
	t->user.done = on_done;
	set_options(t);
	*out = t;
	return 0;
}

int transfer_add(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (!longer)
		return HAP_ENOMEM;
	*list = longer;
	return 0;
}

CURLcode transfer_start(struct transfer *t)
{
	CURLcode rc = curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);

	if (rc == CURLE_OK)
		rc = curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect);
	if (rc == CURLE_OK)
		rc = multi_add(t->of, t->easy, &t->user);
	t->started = rc == CURLE_OK;
	return rc;
}

void transfer_close(struct transfer *t)
{
	t->wake = NULL;
	if (t->started)
		multi_remove(t->of, t->easy);
	curl_easy_cleanup(t->easy);
	multi_unref(t->of);
	curl_slist_free_all(t->headers);
	curl_slist_free_all(t->connect);
	buf_free(&t->head);
	free(t);
}
