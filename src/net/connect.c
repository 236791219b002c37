/* SPDX-License-Identifier: MIT
 *
 * connect.c - attempts to connect, each with a socket of its own. */
#include "net/connect.h"
#include "base/err.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* When to try again after a failure that may pass. */
#define RETRY_SECONDS 0.002
/* How long a local socket may be without a listener: for a moment while a new worker
 * takes it over, and for as long as the master reads its configuration at a reload. */
#define REFUSED_SECONDS 1.0
/* How long its file may be away: a new worker renames the old one, then its own. */
#define MISSING_SECONDS 0.05

/* Are there no descriptors left? Others may close theirs. */
static bool is_full(int rc)
{
	return rc == -EMFILE || rc == -ENFILE;
}

bool connect_may_pass(struct connection *c, int rc)
{
	bool local = c->address->kind == ADDRESS_UNIX;

	if (is_full(rc))
		return true;
	if (!local || (rc != -ECONNREFUSED && rc != -ECONNRESET && rc != -ENOENT))
		return local && rc == -EAGAIN;
	if (c->passes_until == 0)
		c->passes_until = clock_after(c->clock, rc == -ENOENT ? MISSING_SECONDS
								      : REFUSED_SECONDS);
	return clock_now(c->clock) < c->passes_until;
}

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static void close_socket(struct connection *c)
{
	if (c->poll)
		uv_close((uv_handle_t *)c->poll, on_poll_closed);
	if (c->fd >= 0)
		close(c->fd);
	c->poll = NULL;
	c->fd = -1;
}

/* Make the handle of the socket. 0, UV_*, HAP_ENOMEM. */
static int open_poll(struct connection *c)
{
	uv_poll_t *poll = malloc(sizeof *poll);
	int rc = poll ? uv_poll_init(c->loop, poll, c->fd) : HAP_ENOMEM;

	if (rc < 0) {
		free(poll);
		return rc;
	}
	poll->data = c;
	c->poll = poll;
	return 0;
}

/* Open a socket and begin to connect it. CONNECT_DONE, CONNECT_PENDING, UV_*,
 * HAP_ENOMEM. */
static int open_socket(struct connection *c, const struct sockaddr *sa, socklen_t n)
{
	c->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	int rc = connect(c->fd, sa, n) == 0 ? CONNECT_DONE
		 : errno == EINPROGRESS     ? CONNECT_PENDING
					    : -errno;
	int opened = rc < 0 ? rc : open_poll(c);

	return opened < 0 ? opened : rc;
}

static int try_unix(struct connection *c)
{
	const struct address *a = c->address;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	/* An abstract name begins with a NUL; HAProxy's abns@ fills it up with NULs,
	 * which count. */
	memcpy(sa.sun_path + a->abstract, a->path, strlen(a->path));
	return open_socket(c, (struct sockaddr *)&sa, sizeof sa);
}

static void on_writable(uv_poll_t *poll, int status, int events);

/* Try c->trying and the addresses behind it, until one can be waited for. */
static int try_addresses(struct connection *c)
{
	int rc, on = 1;

	for (;; c->trying = c->trying->ai_next) {
		rc = open_socket(c, c->trying->ai_addr, c->trying->ai_addrlen);
		if (rc >= 0 || is_full(rc) || !c->trying->ai_next)
			break;
		close_socket(c);
	}
	if (rc < 0)
		return rc;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	int started = rc == CONNECT_PENDING
			      ? uv_poll_start(c->poll, UV_WRITABLE, on_writable)
			      : 0;

	return started < 0 ? started : rc;
}

static void attempt_ended(struct connection *c, int rc);

static void on_retry(struct timer *t)
{
	struct connection *c = CONTAINER_OF(t, struct connection, retry);

	c->lacks = 0;
	attempt_ended(c, connect_start(c));
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
	struct connection *c = poll->data;
	int error = 0;
	socklen_t n = sizeof error;

	(void)events;
	/* libuv says EBADF for whatever is wrong with a socket: the socket says it
	 * better. */
	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n);
	if (error == 0 && status < 0)
		error = -status;
	if (error == 0) {
		c->done(c, CONNECT_DONE);
		return;
	}
	close_socket(c);
	if (c->trying->ai_next) {
		c->trying = c->trying->ai_next;
		attempt_ended(c, connect_start(c));
	} else {
		c->done(c, -error);
	}
}

static void on_found(void *owner, int rc, struct addrinfo *found)
{
	struct connection *c = owner;

	c->lookup = NULL;
	c->resolves = rc < 0;
	c->found = c->trying = found;
	attempt_ended(c, rc < 0 ? rc : connect_start(c));
}

static int look_up(struct connection *c)
{
	/* A number needs no thread that waits for an answer. */
	if (lookup_number(c->address, &c->found) == 0) {
		c->trying = c->found;
		return try_addresses(c);
	}
	c->resolves = true;
	int rc = lookup_start(&c->lookup, c->loop, c->address, on_found, c);

	return rc < 0 ? rc : CONNECT_PENDING;
}

/* Tries to connect; later again, if the failure may pass. */
int connect_start(struct connection *c)
{
	int rc = c->address->kind == ADDRESS_UNIX ? try_unix(c)
		 : c->trying                      ? try_addresses(c)
						  : look_up(c);

	if (rc >= 0)
		return rc;
	close_socket(c);
	if (!connect_may_pass(c, rc))
		return rc;
	c->lacks = is_full(rc) ? rc : 0;
	rc = clock_set(c->clock, &c->retry, clock_after(c->clock, RETRY_SECONDS),
		       on_retry);
	return rc < 0 ? rc : CONNECT_PENDING;
}

/* Say what an attempt from the loop has come to, unless it goes on. */
static void attempt_ended(struct connection *c, int rc)
{
	if (rc != CONNECT_PENDING)
		c->done(c, rc);
}

void connect_init(struct connection *c, const struct address *address,
		  struct clock *clock, uv_loop_t *loop,
		  void (*done)(struct connection *c, int rc))
{
	*c = (struct connection){
		.address = address, .clock = clock, .loop = loop, .done = done, .fd = -1};
}

int connect_again(struct connection *c, int rc)
{
	if (!connect_may_pass(c, rc))
		return rc;
	close_socket(c);
	return connect_start(c);
}

void connect_close(struct connection *c)
{
	clock_unset(c->clock, &c->retry);
	if (c->lookup)
		lookup_cancel(c->lookup);
	c->lookup = NULL;
	close_socket(c);
	if (c->found)
		freeaddrinfo(c->found);
	c->found = c->trying = NULL;
}

/* A request leaves in one piece or not at all: HAProxy 2.2 and 2.6 can stall for good
 * when the first line reaches them in pieces (docs/protocol.md). */

/* The smallest buffer of a local socket takes so much in one piece: Linux makes none of
 * less than twice 2048 bytes and an overhead. */
#define SMALL_WRITE 2048
/* The largest piece that Linux passes on is half of the buffer, less this. */
#define OVERHEAD 64

static int get(int fd, int level, int name, size_t *value)
{
	int n = 0;
	socklen_t size = sizeof n;

	if (getsockopt(fd, level, name, &n, &size) < 0)
		return -errno;
	*value = n > 0 ? (size_t)n : 0;
	return 0;
}

static int prepare_local(int fd, size_t n)
{
	size_t half = n + OVERHEAD, room = 0;
	int rc = get(fd, SOL_SOCKET, SO_SNDBUF, &room);

	if (rc == 0 && room / 2 < half) {
		/* Linux doubles it, after it has cut it to net.core.wmem_max. */
		int wanted = (int)half;

		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
		rc = get(fd, SOL_SOCKET, SO_SNDBUF, &room);
	}
	if (rc < 0)
		return rc;
	return room / 2 < half ? UV_EMSGSIZE : 0;
}

int single_write_prepare(int fd, bool local, struct span bytes)
{
	size_t segment = 0;

	if (local)
		return bytes.n > SMALL_WRITE ? prepare_local(fd, bytes.n) : 0;
	const char *end = memchr(bytes.p, '\n', bytes.n);
	size_t line = end ? (size_t)(end - bytes.p) + 1 : bytes.n;
	int rc = get(fd, IPPROTO_TCP, TCP_MAXSEG, &segment);

	if (rc < 0)
		return rc;
	return line > segment ? UV_EMSGSIZE : 0;
}
