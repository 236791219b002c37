/* SPDX-License-Identifier: MIT
 *
 * request.c - a small state machine over one non-blocking socket.
 * Its way: queue -> connect -> write -> (half-close) -> read -> done. */
#include "net/request.h"
#include "base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MIN 4096
/* How soon a fake transport is asked again: its time costs nothing, and asking does. */
#define FAKE_RETRY_SECONDS 0.02
#define SMALL_PIECE        1024
#define REST_SECONDS       0.002

struct request *request_ref(struct request *r)
{
	r->refs++;
	return r;
}

static void request_unref(struct request *r)
{
	if (--r->refs > 0)
		return;
	buf_free(&r->out);
	buf_free(&r->in);
	target_unref(r->target);
	free(r);
}

/* The connection limit. */

static void begin(struct request *r);

static void queue_remove(struct request *r)
{
	TAILQ_REMOVE(&r->target->queue, r, in_queue);
	request_unref(r);
}

/* A connection has ended: begin the oldest requests of the queue. One that fails at once
 * ends a connection, too; the loop that is under way then takes the next. */
static void connection_ended(struct target *t)
{
	t->connections--;
	if (t->drains)
		return;
	t->drains = true;
	target_ref(t);
	while (!TAILQ_EMPTY(&t->queue) && t->connections < t->connections_max) {
		struct request *r = request_ref(TAILQ_FIRST(&t->queue));

		queue_remove(r);
		begin(r);
		request_unref(r);
	}
	t->drains = false;
	target_unref(t);
}

/* The end, from whatever state. */

static const char *phase_of(const struct request *r)
{
	static const char *const phases[] = {
		[REQUEST_QUEUED] = "queue",  [REQUEST_CONNECTING] = "connect",
		[REQUEST_WRITING] = "write", [REQUEST_READING] = "read",
		[REQUEST_DONE] = NULL,
	};

	if (r->state == REQUEST_CONNECTING && r->connection.resolves)
		return "resolve";
	return phases[r->state];
}

static void finish(struct request *r, int rc)
{
	enum request_state was = r->state;
	struct target *t = r->target;

	if (was == REQUEST_DONE)
		return;
	request_ref(r); /* `wake` may drop the last other reference */
	r->phase = rc < 0 ? phase_of(r) : NULL;
	r->state = REQUEST_DONE;
	r->rc = rc;
	clock_unset(t->clock, &r->deadline);
	clock_unset(t->clock, &r->fake_retry);
	clock_unset(t->clock, &r->rest);
	connect_close(&r->connection);
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
	int lacks = r->connection.lacks;

	finish(r, lacks < 0 ? lacks : HAP_ETIMEOUT);
}

/* Reading and writing. */

static void on_connected(struct connection *c, int rc);

/* A local socket that is reset before it gave an answer was closed with our request in it
 * unread: at a reload, the old worker's queue goes that way. But what stands between us
 * and HAProxy may have passed a part of it on, and the first commands of a line run
 * before the rest is there. So only what does no harm twice is sent again. */
static void read_failed(struct request *r, int rc)
{
	if (!r->repeatable || rc != -ECONNRESET || r->in.n > 0) {
		finish(r, rc);
		return;
	}
	r->written = 0;
	int again = connect_again(&r->connection, rc);

	if (again >= 0)
		r->state = REQUEST_CONNECTING;
	on_connected(&r->connection, again);
}

/* Make room for more of the answer, but for no more than one byte over the limit, which
 * is enough to know. 0: no room. */
static size_t make_room(struct request *r)
{
	size_t more = r->in.n > READ_MIN ? r->in.n : READ_MIN;
	size_t left = r->target->answer_max - r->in.n + 1;

	if (r->in.cap - r->in.n < READ_MIN && buf_reserve(&r->in, more) < 0)
		return 0;
	return r->in.cap - r->in.n < left ? r->in.cap - r->in.n : left;
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void read_some(struct request *r, bool ended);

static void on_rested(struct timer *t)
{
	struct request *r = CONTAINER_OF(t, struct request, rest);

	request_ref(r);
	read_some(r, false);
	request_unref(r);
}

/* HAProxy sends the answers to many changes a few bytes at a time, and each wakes a
 * process that waits for them, which holds up both. So after a small piece wait for the
 * end of the answer, and look only now and then whether there is more. A request that
 * only reads may have a long answer behind a small piece. */
static void rest(struct request *r)
{
	struct target *t = r->target;
	int rc =
		r->rests ? 0 : uv_poll_start(r->connection.poll, UV_DISCONNECT, on_ready);

	r->rests = true;
	if (rc == 0)
		rc = clock_set(t->clock, &r->rest, clock_after(t->clock, REST_SECONDS),
			       on_rested);
	if (rc < 0)
		finish(r, rc);
}

static void stop_resting(struct request *r)
{
	int rc = uv_poll_start(r->connection.poll, UV_READABLE | UV_DISCONNECT, on_ready);

	r->rests = false;
	clock_unset(r->target->clock, &r->rest);
	if (rc < 0)
		finish(r, rc);
}

/* `ended`: HAProxy has closed its end, so all of the answer is there. */
static void read_some(struct request *r, bool ended)
{
	size_t before = r->in.n;
	ssize_t n, room;

	do {
		if (r->in.n > r->target->answer_max) {
			finish(r, HAP_ELIMIT);
			return;
		}
		room = (ssize_t)make_room(r);
		if (room == 0) {
			finish(r, HAP_ENOMEM);
			return;
		}
		do
			n = read(r->connection.fd, r->in.p + r->in.n, (size_t)room);
		while (n < 0 && errno == EINTR);
		if (n == 0) {
			finish(r, 0);
			return;
		}
		if (n < 0 && errno != EAGAIN) {
			read_failed(r, -errno);
			return;
		}
		if (n > 0)
			r->in.n += (size_t)n;
	} while (n == room || (n > 0 && ended));
	if (!r->repeatable && r->in.n > before && r->in.n - before < SMALL_PIECE)
		rest(r);
	else if (r->rests)
		stop_resting(r);
	if (r->wake)
		r->wake(r->owner);
}

/* Wait in this state for the socket to be readable or writable. */
static void wait_for(struct request *r, enum request_state state, int events)
{
	r->state = state;
	int rc = uv_poll_start(r->connection.poll, events, on_ready);

	if (rc < 0)
		finish(r, rc);
}

static void write_some(struct request *r)
{
	while (r->written < r->out.n) {
		ssize_t n = send(r->connection.fd, r->out.p + r->written,
				 r->out.n - r->written, MSG_NOSIGNAL);

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
		shutdown(r->connection.fd, SHUT_WR);
	if (r->target->trace)
		r->target->trace(r->target, TARGET_SENT, buf_span(&r->out));
	wait_for(r, REQUEST_READING, UV_READABLE | UV_DISCONNECT);
}

static void on_connected(struct connection *c, int rc)
{
	struct request *r = CONTAINER_OF(c, struct request, connection);
	bool local = r->target->address.kind == ADDRESS_UNIX;

	if (rc == CONNECT_PENDING)
		return;
	if (rc == CONNECT_DONE) {
		r->state = REQUEST_WRITING;
		rc = single_write_prepare(c->fd, local, buf_span(&r->out));
	}
	if (rc < 0)
		finish(r, rc);
	else
		write_some(r);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct connection *c = poll->data;
	struct request *r = CONTAINER_OF(c, struct request, connection);

	/* libuv says EBADF for whatever is wrong with a socket: the socket says it
	 * better. */
	request_ref(r);
	if (r->state == REQUEST_WRITING)
		write_some(r);
	else if (r->state == REQUEST_READING)
		read_some(r, events & UV_DISCONNECT);
	if (status < 0 && c->poll == poll)
		finish(r, status);
	request_unref(r);
}

static void begin(struct request *r)
{
	r->target->connections++;
	r->state = REQUEST_CONNECTING;
	if (r->target->fake_transport)
		r->target->fake_transport(r);
	else
		on_connected(&r->connection, connect_start(&r->connection));
}

/* What a fake transport calls. */

static void on_fake_retry(struct timer *t)
{
	struct request *r = CONTAINER_OF(t, struct request, fake_retry);

	r->target->fake_transport(r);
}

static void ask_again(struct request *r, uint64_t at)
{
	int rc = 0;

	if (r->state != REQUEST_DONE && at != CLOCK_NEVER)
		rc = clock_set(r->target->clock, &r->fake_retry, at, on_fake_retry);
	if (rc < 0)
		finish(r, rc);
	request_unref(r);
}

void request_ask_later(struct request *r, uint64_t at)
{
	r->put_off = true;
	r->written = r->out.n;
	if (r->state != REQUEST_DONE)
		r->state = REQUEST_READING;
	ask_again(r, at);
}

void request_answer(struct request *r, struct span answer, int rc)
{
	struct target *t = r->target;

	if (r->state == REQUEST_DONE) {
		request_unref(r);
		return;
	}
	if (rc < 0 && connect_may_pass(&r->connection, rc)) {
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
	finish(r, rc);
	request_unref(r);
}

/* What everybody else calls. */

int request_new(struct request **out, struct target *target, struct buf *line)
{
	struct request *r = calloc(1, sizeof *r);

	if (!r)
		return HAP_ENOMEM;
	r->refs = 1;
	r->target = target_ref(target);
	connect_init(&r->connection, &target->address, target->clock, target->loop,
		     on_connected);
	r->out = *line;
	*line = (struct buf){0};
	*out = r;
	return 0;
}

void request_start(struct request *r, uint64_t deadline, void (*wake)(void *),
		   void *owner)
{
	struct target *t = r->target;
	int rc = 0;

	if (deadline != CLOCK_NEVER)
		rc = clock_set(t->clock, &r->deadline, deadline, on_deadline);
	if (rc < 0) {
		finish(r, rc);
	} else if (t->connections >= t->connections_max) {
		r->state = REQUEST_QUEUED;
		request_ref(r); /* the macro reads its argument several times */
		TAILQ_INSERT_TAIL(&t->queue, r, in_queue);
	} else {
		begin(r);
	}
	r->wake = wake;
	r->owner = owner;
}

void request_drop(struct request *r)
{
	r->wake = NULL;
	finish(r, HAP_EINTERRUPTED);
	request_unref(r);
}
