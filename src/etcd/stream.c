/* SPDX-License-Identifier: MIT
 *
 * stream.c - a call of gRPC as a POST of libcurl.
 * The callbacks only note things: no function of libcurl is called within one. */
#include "etcd/stream.h"
#include "base/err.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

/* A connection whose other end is silent is given up after about so many seconds: when it
 * is idle, IDLE + PROBES * INTERVAL; when bytes are not acknowledged, UNACKNOWLEDGED. */
enum { IDLE = 4, INTERVAL = 2, PROBES = 3, UNACKNOWLEDGED = 10 };

static void wake(struct stream *s)
{
	if (s->owner)
		s->wake(s->owner);
}

static void set_int(curl_socket_t fd, int level, int name, int value)
{
	setsockopt(fd, level, name, &value, sizeof value);
}

/* libcurl 7.88 has no option for the number of probes. Programs that haplua starts must
 * not get the socket. */
static curl_socket_t on_open(void *data, curlsocktype purpose, struct curl_sockaddr *a)
{
	curl_socket_t fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);

	(void)data, (void)purpose;
	if (fd == CURL_SOCKET_BAD)
		return fd;
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, INTERVAL);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKNOWLEDGED * 1000);
	return fd;
}

/* Called each time before the request is sent. libcurl sends a request again where a
 * connection that was used before ended without an answer; a change may have been made by
 * then. */
static int on_send(void *data, char *to, char *from, int to_port, int from_port)
{
	struct stream *s = data;

	(void)to, (void)from, (void)to_port, (void)from_port;
	if (s->sent > 0 && s->once)
		return CURL_PREREQFUNC_ABORT;
	s->sent++;
	return CURL_PREREQFUNC_OK;
}

/* A line of the head or of the trailer, which libcurl gives alike. */
static size_t on_header(char *bytes, size_t size, size_t n, void *data)
{
	struct stream *s = data;
	struct span line = {bytes, n * size}, value;

	if (span_begins(line, "HTTP/")) {
		s->status = GRPC_NONE;
		s->message.n = 0;
		s->is_grpc = false;
	} else if ((value = grpc_header(line, "content-type")).p) {
		s->is_grpc = span_begins(value, "application/grpc");
	} else if ((value = grpc_header(line, "grpc-status")).p) {
		s->status = grpc_status(value);
	} else if ((value = grpc_header(line, "grpc-message")).p) {
		s->message.n = 0;
		if (grpc_add_message(&s->message, value) < 0)
			return 0;
	}
	return line.n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
	struct stream *s = data;

	n *= size;
	if (!s->is_grpc) /* a page of something else: its HTTP status says enough */
		return n;
	if (grpc_feed(&s->frames, (struct span){bytes, n}) < 0)
		return 0;
	wake(s);
	return n;
}

static void on_done(struct multi_user *user, CURLcode rc)
{
	struct stream *s = CONTAINER_OF(user, struct stream, user);

	s->done = true;
	s->rc = rc;
	wake(s);
}

static int add_header(struct stream *s, const char *line)
{
	struct curl_slist *longer = curl_slist_append(s->headers, line);

	if (!longer)
		return HAP_ENOMEM;
	s->headers = longer;
	return 0;
}

static int set_headers(struct stream *s, const struct stream_plan *plan)
{
	/* A time has at most 8 digits. */
	double ms = plan->within < 86400 ? plan->within * 1000 : 86400000;
	char limit[48];
	int rc = add_header(s, "content-type: application/grpc");

	snprintf(limit, sizeof limit, "grpc-timeout: %.0fm", ms < 1 ? 1 : ms);
	if (rc == 0)
		rc = add_header(s, "te: trailers");
	if (rc == 0)
		rc = add_header(s, "expect:");
	if (rc == 0 && plan->leader)
		rc = add_header(s, "hasleader: true");
	if (rc == 0 && plan->within > 0)
		rc = add_header(s, limit);
	return rc;
}

/* The URL, the files, and the body, all of which libcurl copies. */
static CURLcode set_texts(CURL *easy, const struct stream_plan *plan,
			  const struct buf *body)
{
	CURLcode rc = curl_easy_setopt(easy, CURLOPT_URL, plan->url);

	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->n);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, body->p);
	if (rc == CURLE_OK && plan->ca) {
		rc = curl_easy_setopt(easy, CURLOPT_CAINFO, plan->ca);
		/* No other authority counts, such as those of the system. */
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (rc == CURLE_OK && plan->cert)
		rc = curl_easy_setopt(easy, CURLOPT_SSLCERT, plan->cert);
	if (rc == CURLE_OK && plan->key)
		rc = curl_easy_setopt(easy, CURLOPT_SSLKEY, plan->key);
	return rc;
}

static void set_options(struct stream *s, const struct stream_plan *plan)
{
	bool tls = strncasecmp(plan->url, "https:", 6) == 0;
	CURL *easy = s->easy;

	multi_set_common(easy);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, s->text);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, s->headers);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, s);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_send);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, s);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
			 (long)(tls ? CURL_HTTP_VERSION_2TLS
				    : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE));
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)(plan->fresh || !tls));
	/* libcurl 7.88 cannot use a connection without TLS again. */
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, (long)!tls);
	if (plan->connect > 0)
		curl_easy_setopt(
			easy, CURLOPT_CONNECTTIMEOUT_MS,
			(long)(plan->connect < 300 ? plan->connect * 1000 + 1 : 300000));
}

int stream_start(struct stream **out, struct multi *m, const struct stream_plan *plan)
{
	struct stream *s = calloc(1, sizeof *s);
	struct buf body = {0};

	if (!s || !(s->easy = curl_easy_init())) {
		free(s);
		return HAP_ENOMEM;
	}
	s->of = multi_ref(m);
	s->user.done = on_done;
	s->status = GRPC_NONE;
	s->once = plan->once;
	if (set_headers(s, plan) < 0 || grpc_add_frame(&body, plan->message) < 0) {
		stream_close(s);
		return HAP_ENOMEM;
	}
	set_options(s, plan);
	CURLcode rc = set_texts(s->easy, plan, &body);

	buf_free(&body);
	if (rc == CURLE_OK)
		rc = multi_add(s->of, s->easy, &s->user);
	s->added = rc == CURLE_OK;
	s->done = !s->added;
	s->rc = rc;
	*out = s;
	return 0;
}

long stream_http_status(const struct stream *s)
{
	long status = 0;

	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

void stream_close(struct stream *s)
{
	s->owner = NULL;
	if (s->added)
		multi_remove(s->of, s->easy);
	curl_easy_cleanup(s->easy);
	multi_unref(s->of);
	curl_slist_free_all(s->headers);
	grpc_free(&s->frames);
	buf_free(&s->message);
	free(s);
}
