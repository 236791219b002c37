/* SPDX-License-Identifier: MIT
 *
 * request.c - a small state machine over one non-blocking socket; request_connect.c opens
 * it.
 * Its way: gate -> (look-up) -> connect -> write -> (half-close) -> read -> done. */
#include "net/connect.h"
#include "base/err.h"
#include "net/single_write.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MIN 4096

void request_unref(struct request *r)
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

/* The gate: at most connections_max connections to one target. */

static void begin(struct request *r)
{
	r->target->connections++;
	r->state = REQUEST_CONNECTING;
	if (r->target->fake_transport)
		r->target->fake_transport(r);
	else
		request_connect(r);
}

static void queue_or_begin(struct request *r)
{
	struct target *t = r->target;

	if (t->connections < t->connections_max) {
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

static void queue_remove(struct request *r)
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
	request_unref(r);
}

/* A connection has ended: let the oldest waiting request through. */
static void connection_ended(struct target *t)
{
	struct request *r = t->first;

	t->connections--;
	if (!r)
		return;
	r->refs++;
	queue_remove(r);
	begin(r);
	request_unref(r);
}

/* The end, from whatever state. */

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

void request_disconnect(struct request *r)
{
	if (r->poll)
		uv_close((uv_handle_t *)r->poll, on_poll_closed);
	if (r->fd >= 0)
		close(r->fd);
	r->poll = NULL;
	r->fd = -1;
}

void request_finish(struct request *r, int rc)
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
	request_disconnect(r);
	if (was == REQUEST_RESOLVING)
		uv_cancel((uv_req_t *)&r->lookup);
	if (t->trace && r->in.n > 0)
		t->trace(t, TARGET_RECEIVED, buf_span(&r->in));
	if (was == REQUEST_QUEUED)
		queue_remove(r);
	else if (was != REQUEST_NEW)
		connection_ended(t);
	if (r->wake)
		r->wake(r->owner);
	request_unref(r);
}

static void on_deadline(struct timer *t)
{
	struct request *r = CONTAINER_OF(t, struct request, deadline);

	request_finish(r, r->lacks < 0 ? r->lacks : HAP_ETIMEOUT);
}

/* Reading and writing. */

static void read_some(struct request *r)
{
	for (;;) {
		size_t more = r->in.n > READ_MIN ? r->in.n : READ_MIN;

		if (r->in.n > r->target->answer_max) {
			request_finish(r, HAP_ELIMIT);
			return;
		}
		if (r->in.cap - r->in.n < READ_MIN && buf_reserve(&r->in, more) < 0) {
			request_finish(r, HAP_ENOMEM);
			return;
		}
		/* One byte over the limit is enough to know. */
		size_t left = r->target->answer_max - r->in.n + 1;
		size_t room = r->in.cap - r->in.n < left ? r->in.cap - r->in.n : left;
		ssize_t n = read(r->fd, r->in.p + r->in.n, room);

		if (n == 0) {
			request_finish(r, 0);
			return;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			int rc = -errno;

			if (!request_connect_again(r, rc))
				request_finish(r, rc);
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

void request_wait_for(struct request *r, enum request_state state, int events)
{
	r->state = state;
	int rc = uv_poll_start(r->poll, events, on_ready);

	if (rc < 0)
		request_finish(r, rc);
}

static void write_some(struct request *r)
{
	while (r->written < r->out.n) {
		ssize_t n = send(r->fd, r->out.p + r->written, r->out.n - r->written,
				 MSG_NOSIGNAL);

		if (n >= 0) {
			r->written += (size_t)n;
		} else if (errno == EAGAIN) {
			request_wait_for(r, REQUEST_WRITING, UV_WRITABLE);
			return;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			break; /* the answer, if there is one, says why */
		} else if (errno != EINTR) {
			request_finish(r, -errno);
			return;
		}
	}
	/* The master CLI does not close after its answer unless it is told that this was
	 * all. A worker closes by itself, and a half-close would break off its `wait`. */
	if (r->target->route[0])
		shutdown(r->fd, SHUT_WR);
	if (r->target->trace)
		r->target->trace(r->target, TARGET_SENT, buf_span(&r->out));
	request_wait_for(r, REQUEST_READING, UV_READABLE);
}

void request_write(struct request *r)
{
	bool local = r->target->address.kind == ADDRESS_UNIX;
	int rc = single_write_prepare(r->fd, local, buf_span(&r->out));

	if (rc < 0)
		request_finish(r, rc);
	else
		write_some(r);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct request *r = poll->data;

	(void)events;
	/* libuv says EBADF for whatever is wrong with a socket: the socket says it
	 * better. */
	r->refs++;
	if (r->state == REQUEST_CONNECTING)
		request_connected(r);
	else if (r->state == REQUEST_WRITING)
		write_some(r);
	else if (r->state == REQUEST_READING)
		read_some(r);
	if (status < 0 && r->poll == poll)
		request_finish(r, status);
	request_unref(r);
}

/* Fake transports. */

/* As RETRY_SECONDS, but a fake transport's time costs nothing and its retries do. */
#define FAKE_RETRY_SECONDS 0.02

struct request *request_ref(struct request *r)
{
	r->refs++;
	return r;
}

static void on_retry(struct timer *t)
{
	struct request *r = CONTAINER_OF(t, struct request, retry);

	r->target->fake_transport(r);
}

static void ask_again(struct request *r, uint64_t at)
{
	int rc = 0;

	if (r->state != REQUEST_DONE && at != CLOCK_NEVER)
		rc = clock_set(r->target->clock, &r->retry, at, on_retry);
	if (rc < 0)
		request_finish(r, rc);
	request_unref(r);
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
		request_unref(r);
		return;
	}
	if (rc < 0 && t->address.kind == ADDRESS_UNIX && request_may_pass(r, rc)) {
		ask_again(r, clock_after(t->clock, FAKE_RETRY_SECONDS));
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
	request_finish(r, rc);
	request_unref(r);
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
		request_finish(r, rc);
	else
		queue_or_begin(r);
	r->wake = wake;
	r->owner = owner;
}

void request_drop(struct request *r)
{
	r->wake = NULL;
	request_finish(r, HAP_EINTERRUPTED);
	request_unref(r);
}
