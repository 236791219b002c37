/* SPDX-License-Identifier: MIT
 *
 * request.c - a small state machine over one non-blocking socket.
 * Its way: gate -> (look-up) -> connect -> write -> (half-close) -> read -> done. */
#include "request.h"
#include "err.h"
#include "whole.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_MIN 4096
/* How soon to try again when a local socket's backlog is full, or nobody listens. */
#define RETRY_SECONDS 0.002
/* How long a local socket may be without a listener: for a moment while a new worker
 * takes it over, and for as long as the master reads its configuration at a reload. */
#define REFUSED_SECONDS 1.0
/* How long its file may be away: a new worker renames the old one, then its own. */
#define MISSING_SECONDS 0.05

static void begin(struct request *r);
static void try_address(struct request *r);
static bool send_again(struct request *r, int rc);

static void unref(struct request *r)
{
	if (--r->refs > 0)
		return;
	buf_free(&r->out);
	buf_free(&r->in);
	if (r->found)
		uv_freeaddrinfo(r->found);
	target_unref(r->target);
	free(r);
}

/* The gate: at most busy_max connections to one target. */

static void gate_enter(struct request *r)
{
	struct target *t = r->target;

	if (t->busy < t->busy_max) {
		begin(r);
		return;
	}
	r->state = REQUEST_QUEUED;
	r->refs++;
	if (t->last)
		t->last->next = r;
	else
		t->first = r;
	t->last = r;
}

static void gate_remove(struct request *r)
{
	struct target *t = r->target;
	struct request *before = NULL;

	for (struct request *q = t->first; q != r; q = q->next)
		before = q;
	if (before)
		before->next = r->next;
	else
		t->first = r->next;
	if (t->last == r)
		t->last = before;
	r->next = NULL;
	unref(r);
}

/* A connection has ended: let the oldest waiting request through. */
static void gate_pass(struct target *t)
{
	struct request *r = t->first;

	t->busy--;
	if (!r)
		return;
	r->refs++;
	gate_remove(r);
	begin(r);
	unref(r);
}

/* The end, from whatever state. */

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static void disconnect(struct request *r)
{
	if (r->poll)
		uv_close((uv_handle_t *)r->poll, on_poll_closed);
	if (r->fd >= 0)
		close(r->fd);
	r->poll = NULL;
	r->fd = -1;
}

static void finish(struct request *r, int rc)
{
	enum request_state was = r->state;
	struct target *t = r->target;

	if (was == REQUEST_DONE)
		return;
	r->refs++; /* whoever is told may drop the last other reference */
	r->state = REQUEST_DONE;
	r->rc = rc;
	clock_unset(t->clock, &r->deadline);
	clock_unset(t->clock, &r->retry);
	disconnect(r);
	if (was == REQUEST_RESOLVING)
		uv_cancel((uv_req_t *)&r->lookup);
	if (t->trace && r->in.n > 0)
		t->trace(t, TARGET_RECEIVED, buf_span(&r->in));
	if (was == REQUEST_QUEUED)
		gate_remove(r);
	else if (was != REQUEST_NEW)
		gate_pass(t);
	if (r->wake)
		r->wake(r->owner);
	unref(r);
}

static void on_deadline(struct timer *t)
{
	struct request *r = CONTAINER_OF(t, struct request, deadline);

	finish(r, r->lacks < 0 ? r->lacks : HAP_ETIMEOUT);
}

/* Reading and writing. */

static void read_some(struct request *r)
{
	for (;;) {
		size_t more = r->in.n > READ_MIN ? r->in.n : READ_MIN;

		if (r->in.n > r->target->answer_max) {
			finish(r, HAP_ELIMIT);
			return;
		}
		if (r->in.cap - r->in.n < READ_MIN && buf_reserve(&r->in, more) < 0) {
			finish(r, HAP_ENOMEM);
			return;
		}
		/* One byte over the limit is enough to know. */
		size_t left = r->target->answer_max - r->in.n + 1;
		size_t room = r->in.cap - r->in.n < left ? r->in.cap - r->in.n : left;
		ssize_t n = read(r->fd, r->in.p + r->in.n, room);

		if (n == 0) {
			finish(r, 0);
			return;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			int rc = -errno;

			if (!send_again(r, rc))
				finish(r, rc);
			return;
		}
		if (n > 0)
			r->in.n += (size_t)n;
		if (n < (ssize_t)room)
			break;
	}
	if (r->wake)
		r->wake(r->owner);
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void wait_for(struct request *r, enum request_state state, int events)
{
	r->state = state;
	int rc = uv_poll_start(r->poll, events, on_ready);

	if (rc < 0)
		finish(r, rc);
}

static void write_some(struct request *r)
{
	while (r->written < r->out.n) {
		ssize_t n = send(r->fd, r->out.p + r->written, r->out.n - r->written,
				 MSG_NOSIGNAL);

		if (n >= 0) {
			r->written += (size_t)n;
		} else if (errno == EAGAIN) {
			wait_for(r, REQUEST_WRITING, UV_WRITABLE);
			return;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			break; /* the answer, if there is one, says why */
		} else if (errno != EINTR) {
			finish(r, -errno);
			return;
		}
	}
	/* The master CLI does not close after its answer unless it is told that this was
	 * all. A worker closes by itself, and a half-close would break off its `wait`. */
	if (r->target->route[0])
		shutdown(r->fd, SHUT_WR);
	if (r->target->trace)
		r->target->trace(r->target, TARGET_SENT, buf_span(&r->out));
	wait_for(r, REQUEST_READING, UV_READABLE);
}

/* Begin to write over a new connection. */
static void write_whole(struct request *r)
{
	bool local = r->target->address.kind == ADDRESS_UNIX;
	int rc = whole_prepare(r->fd, local, buf_span(&r->out));

	if (rc < 0)
		finish(r, rc);
	else
		write_some(r);
}

static void on_connected(struct request *r)
{
	int error = 0;
	socklen_t n = sizeof error;

	getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &error, &n);
	if (error == 0) {
		write_whole(r);
	} else if (r->trying && r->trying->ai_next) {
		disconnect(r);
		r->trying = r->trying->ai_next;
		try_address(r);
	} else {
		finish(r, -error);
	}
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct request *r = poll->data;

	(void)events;
	/* libuv says EBADF for whatever is wrong with a socket: the socket says it
	 * better. */
	r->refs++;
	if (r->state == REQUEST_CONNECTING)
		on_connected(r);
	else if (r->state == REQUEST_WRITING)
		write_some(r);
	else if (r->state == REQUEST_READING)
		read_some(r);
	if (status < 0 && r->poll == poll)
		finish(r, status);
	unref(r);
}

/* Connecting. */

/* Are there no descriptors left? Other requests' may come free. */
static bool is_full(int rc)
{
	return rc == -EMFILE || rc == -ENFILE;
}

static void try_unix(struct request *r);

static void on_retry(struct timer *t)
{
	struct request *r = CONTAINER_OF(t, struct request, retry);

	if (r->target->stand_in) {
		r->target->stand_in(r);
		return;
	}
	disconnect(r);
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

/* May this failure of a local socket be over in a moment? */
static bool may_pass(struct request *r, int rc)
{
	struct clock *c = r->target->clock;

	if (rc != -ECONNREFUSED && rc != -ECONNRESET && rc != -ENOENT)
		return rc == -EAGAIN || is_full(rc);
	if (r->refused_until == 0)
		r->refused_until =
			clock_after(c, rc == -ENOENT ? MISSING_SECONDS : REFUSED_SECONDS);
	return clock_now(c) < r->refused_until;
}

/* A local socket that is reset before it gave an answer was closed with our request in it
 * unread: at a reload, the old worker's queue goes that way. But what stands between us
 * and HAProxy may have passed a part of it on, and the first commands of a line run
 * before the rest is there. So only what does no harm twice is sent again. */
static bool send_again(struct request *r, int rc)
{
	if (!r->repeatable || r->target->address.kind != ADDRESS_UNIX ||
	    rc != -ECONNRESET || r->in.n > 0 || !may_pass(r, rc))
		return false;
	disconnect(r);
	r->written = 0;
	try_unix(r);
	return true;
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

	if (may_pass(r, rc)) {
		rc = try_later(r, rc);
		if (rc == 0)
			return;
	}
	if (rc == 0)
		rc = open_poll(r);
	if (rc < 0)
		finish(r, rc);
	else
		write_whole(r);
}

static void try_address(struct request *r)
{
	int rc;

	for (;; r->trying = r->trying->ai_next) {
		rc = open_socket(r, r->trying->ai_addr, r->trying->ai_addrlen);
		if (rc == 0 || is_full(rc) || !r->trying->ai_next)
			break;
		disconnect(r);
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
		finish(r, rc);
	else
		wait_for(r, REQUEST_CONNECTING, UV_WRITABLE);
}

static void on_found(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
	struct request *r = CONTAINER_OF(lookup, struct request, lookup);

	r->found = found;
	r->trying = found;
	if (r->state != REQUEST_DONE) {
		if (status < 0)
			finish(r, status);
		else
			try_address(r);
	}
	unref(r);
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
		finish(r, rc);
		return;
	}
	r->refs++;
}

static void begin(struct request *r)
{
	r->target->busy++;
	r->state = REQUEST_CONNECTING;
	if (r->target->stand_in)
		r->target->stand_in(r);
	else if (r->target->address.kind == ADDRESS_UNIX)
		try_unix(r);
	else
		look_up(r);
}

/* Stand-ins. */

/* As RETRY_SECONDS, but a stand-in's time costs nothing and its retries do. */
#define STAND_IN_RETRY_SECONDS 0.02

struct request *request_ref(struct request *r)
{
	r->refs++;
	return r;
}

static void ask_again(struct request *r, uint64_t at)
{
	int rc = 0;

	if (r->state != REQUEST_DONE && at != CLOCK_NEVER)
		rc = clock_set(r->target->clock, &r->retry, at, on_retry);
	if (rc < 0)
		finish(r, rc);
	unref(r);
}

void request_ask_later(struct request *r, uint64_t at)
{
	r->put_off = true;
	r->written = r->out.n;
	ask_again(r, at);
}

void request_answer(struct request *r, struct span answer, int rc)
{
	struct target *t = r->target;

	if (r->state == REQUEST_DONE) {
		unref(r);
		return;
	}
	if (rc < 0 && t->address.kind == ADDRESS_UNIX && may_pass(r, rc)) {
		ask_again(r, clock_after(t->clock, STAND_IN_RETRY_SECONDS));
		return;
	}
	if (rc == 0)
		r->written = r->out.n;
	if (rc == 0 && t->trace)
		t->trace(t, TARGET_SENT, buf_span(&r->out));
	if (rc == 0 && answer.n > t->answer_max)
		rc = HAP_ELIMIT;
	if (rc == 0)
		rc = buf_add_span(&r->in, answer);
	finish(r, rc);
	unref(r);
}

/* The public face. */

int request_new(struct request **out, struct target *target, struct buf *line)
{
	struct request *r = calloc(1, sizeof *r);

	if (!r)
		return HAP_ENOMEM;
	r->refs = 1;
	r->fd = -1;
	r->target = target_ref(target);
	r->out = *line;
	*line = (struct buf){0};
	*out = r;
	return 0;
}

void request_start(struct request *r, uint64_t deadline, void (*wake)(void *),
		   void *owner)
{
	int rc = 0;

	if (deadline != CLOCK_NEVER)
		rc = clock_set(r->target->clock, &r->deadline, deadline, on_deadline);
	if (rc < 0)
		finish(r, rc);
	else
		gate_enter(r);
	r->wake = wake;
	r->owner = owner;
}

void request_drop(struct request *r)
{
	r->wake = NULL;
	finish(r, HAP_EINTERRUPTED);
	unref(r);
}
