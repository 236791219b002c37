/* SPDX-License-Identifier: MIT
 *
 * request_connect.c - a request's way to an open connection: look-up, one address after
 * the other, and patience with a local socket that is not listened to for a moment. */
#include "net/connect.h"
#include "base/err.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

/* How soon to try again when a local socket's backlog is full, or nobody listens. */
#define RETRY_SECONDS 0.002
/* How long a local socket may be without a listener: for a moment while a new worker
 * takes it over, and for as long as the master reads its configuration at a reload. */
#define REFUSED_SECONDS 1.0
/* How long its file may be away: a new worker renames the old one, then its own. */
#define MISSING_SECONDS 0.05

/* Are there no descriptors left? Other requests' may come free. */
static bool is_full(int rc)
{
	return rc == -EMFILE || rc == -ENFILE;
}

static void try_unix(struct request *r);
static void try_address(struct request *r);

static void on_retry(struct timer *t)
{
	struct request *r = CONTAINER_OF(t, struct request, retry);

	request_disconnect(r);
	r->lacks = 0;
	if (r->target->address.kind == ADDRESS_UNIX)
		try_unix(r);
	else
		try_address(r);
}

/* Wait a moment, because of `rc`, and try again. 0: it will be. */
static int try_later(struct request *r, int rc)
{
	struct clock *c = r->target->clock;

	r->lacks = is_full(rc) ? rc : 0;
	return clock_set(c, &r->retry, clock_after(c, RETRY_SECONDS), on_retry);
}

/* Open a socket and begin to connect it. 0: connected or under way; else -errno. */
static int open_socket(struct request *r, const struct sockaddr *sa, socklen_t n)
{
	r->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (r->fd < 0)
		return -errno;
	if (connect(r->fd, sa, n) == 0 || errno == EINPROGRESS)
		return 0;
	return -errno;
}

/* Hand the socket to the loop. 0 or UV_*. */
static int open_poll(struct request *r)
{
	uv_poll_t *poll = malloc(sizeof *poll);

	if (!poll)
		return HAP_ENOMEM;
	int rc = uv_poll_init(r->target->loop, poll, r->fd);

	if (rc < 0) {
		free(poll);
		return rc;
	}
	poll->data = r;
	r->poll = poll;
	return 0;
}

bool request_may_pass(struct request *r, int rc)
{
	struct clock *c = r->target->clock;

	if (rc != -ECONNREFUSED && rc != -ECONNRESET && rc != -ENOENT)
		return rc == -EAGAIN || is_full(rc);
	if (r->refused_until == 0)
		r->refused_until =
			clock_after(c, rc == -ENOENT ? MISSING_SECONDS : REFUSED_SECONDS);
	return clock_now(c) < r->refused_until;
}

static void try_unix(struct request *r)
{
	const struct address *a = &r->target->address;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	size_t n = strlen(a->path);

	/* An abstract name begins with a NUL; HAProxy's abns@ fills it up with NULs,
	 * which count. */
	memcpy(sa.sun_path + a->abstract, a->path, n);
	int rc = open_socket(r, (struct sockaddr *)&sa, sizeof sa);

	if (request_may_pass(r, rc)) {
		rc = try_later(r, rc);
		if (rc == 0)
			return;
	}
	if (rc == 0)
		rc = open_poll(r);
	if (rc < 0)
		request_finish(r, rc);
	else
		request_write(r);
}

static void try_address(struct request *r)
{
	int rc;

	for (;; r->trying = r->trying->ai_next) {
		rc = open_socket(r, r->trying->ai_addr, r->trying->ai_addrlen);
		if (rc == 0 || is_full(rc) || !r->trying->ai_next)
			break;
		request_disconnect(r);
	}
	if (is_full(rc)) {
		rc = try_later(r, rc);
		if (rc == 0)
			return;
	}
	if (rc == 0) {
		int on = 1;

		setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		rc = open_poll(r);
	}
	if (rc < 0)
		request_finish(r, rc);
	else
		request_wait_for(r, REQUEST_CONNECTING, UV_WRITABLE);
}

static void on_found(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
	struct request *r = CONTAINER_OF(lookup, struct request, lookup);

	r->found = found;
	r->trying = found;
	if (r->state != REQUEST_DONE) {
		if (status < 0)
			request_finish(r, status);
		else
			try_address(r);
	}
	request_unref(r);
}

static void look_up(struct request *r)
{
	static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
	const struct address *a = &r->target->address;
	struct addrinfo hints = {
		.ai_family = families[a->family],
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};

	/* A number needs no thread that waits for an answer. */
	hints.ai_flags |= AI_NUMERICHOST;
	if (getaddrinfo(a->host, a->port, &hints, &r->found) == 0) {
		r->trying = r->found;
		try_address(r);
		return;
	}
	hints.ai_flags = AI_NUMERICSERV;
	r->state = REQUEST_RESOLVING;
	int rc = uv_getaddrinfo(r->target->loop, &r->lookup, on_found, a->host, a->port,
				&hints);

	if (rc < 0) {
		r->state = REQUEST_CONNECTING; /* there is no look-up to cancel */
		request_finish(r, rc);
		return;
	}
	r->refs++;
}

void request_connected(struct request *r)
{
	int error = 0;
	socklen_t n = sizeof error;

	getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &error, &n);
	if (error == 0) {
		request_write(r);
	} else if (r->trying && r->trying->ai_next) {
		request_disconnect(r);
		r->trying = r->trying->ai_next;
		try_address(r);
	} else {
		request_finish(r, -error);
	}
}

void request_connect(struct request *r)
{
	if (r->target->address.kind == ADDRESS_UNIX)
		try_unix(r);
	else
		look_up(r);
}

bool request_connect_again(struct request *r, int rc)
{
	if (!r->repeatable || r->target->address.kind != ADDRESS_UNIX ||
	    rc != -ECONNRESET || r->in.n > 0 || !request_may_pass(r, rc))
		return false;
	request_disconnect(r);
	r->written = 0;
	try_unix(r);
	return true;
}
