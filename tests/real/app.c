/* SPDX-License-Identifier: MIT
 *
 * app.c - the application behind HAProxy in the tests: an HTTP/1.1 server that counts its
 * requests.
 *
 *	app PORT [TEXT]      listen on 127.0.0.1; with PORT 0 on a free port
 *
 * Prints `listening PORT`. Answers every request with 200, TEXT as a line and TEXT in the
 * header X-App (default: application), and counts it under its path up to a '?'. It does
 * not count these: `/_count/paths` returns a line `PATH COUNT` for each path in the order
 * of the first requests, `* COUNT` for all paths after the first 1024, and `total N`;
 * `/_count/reset` sets the counts to 0. SIGTERM and SIGINT end it with status 0. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX  16384 /* bytes of a request's head; a longer one gets 431 */
#define OUT_MAX   65536 /* bytes of unsent answers, from which on it reads no requests */
#define TEXT_MAX  200
#define PATHS_MAX 1024
#define SLOTS     4096 /* of the hash table, which stays sparse: 4 for each path */

struct span {
	const char *p;
	size_t n;
};

struct conn {
	struct conn *next, **link; /* list of all connections */
	int fd;
	bool waiting; /* epoll waits until we can write, not until we can read */
	bool last;    /* the last answer is written; drop what the client still sends */
	bool shut;    /* our direction is closed; wait until the client closes */
	bool held;    /* a request waits for the end of its body; the next four fields
			 belong to it */
	bool no_body; /* HEAD */
	bool close;
	enum { COUNTED, PATHS, RESET, UNKNOWN } kind;
	uint64_t body; /* bytes of the body that have not arrived yet */
	char *out;     /* owned */
	size_t out_n, out_cap, out_at;
	size_t in_n;
	char in[HEAD_MAX];
};

static struct {
	struct {
		char *path; /* owned */
		size_t n;
		uint64_t hits;
	} seen[PATHS_MAX];
	size_t n;
	uint16_t slot[SLOTS]; /* 1 + index in `seen`, 0 for none */
	uint64_t others, total;
} counts;

static struct conn *conns;
static const char *app_text = "application"; /* X-App */
static char app_body[TEXT_MAX + 2];          /* app_text as a line */
static volatile sig_atomic_t stop;

static void die(const char *what)
{
	fprintf(stderr, "app: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *must(void *memory)
{
	if (!memory)
		die("memory");
	return memory;
}

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

/* counts */

static void count(struct span path)
{
	uint32_t hash = 2166136261u;
	size_t i;

	counts.total++;
	for (i = 0; i < path.n; i++)
		hash = (hash ^ (unsigned char)path.p[i]) * 16777619u;
	for (i = hash % SLOTS; counts.slot[i]; i = (i + 1) % SLOTS) {
		size_t k = counts.slot[i] - 1u;

		if (counts.seen[k].n == path.n &&
		    memcmp(counts.seen[k].path, path.p, path.n) == 0) {
			counts.seen[k].hits++;
			return;
		}
	}
	if (counts.n == PATHS_MAX) {
		counts.others++;
		return;
	}
	counts.seen[counts.n].path = must(strndup(path.p, path.n));
	counts.seen[counts.n].n = path.n;
	counts.seen[counts.n].hits = 1;
	counts.slot[i] = (uint16_t)++counts.n;
}

static void counts_reset(void)
{
	for (size_t i = 0; i < counts.n; i++)
		free(counts.seen[i].path);
	memset(&counts, 0, sizeof counts);
}

/* The text of /_count/paths. The caller frees it. */
static char *counts_text(size_t *n)
{
	char *text = NULL;
	FILE *f = must(open_memstream(&text, n));

	for (size_t i = 0; i < counts.n; i++)
		fprintf(f, "%s %ju\n", counts.seen[i].path,
			(uintmax_t)counts.seen[i].hits);
	if (counts.others)
		fprintf(f, "* %ju\n", (uintmax_t)counts.others);
	fprintf(f, "total %ju\n", (uintmax_t)counts.total);
	if (fclose(f) != 0)
		die("memory");
	return text;
}

/* answers */

static void put(struct conn *c, const char *p, size_t n)
{
	if (c->out_n + n > c->out_cap) {
		c->out_cap = (c->out_n + n) * 2;
		c->out = must(realloc(c->out, c->out_cap));
	}
	memcpy(c->out + c->out_n, p, n);
	c->out_n += n;
}

static void put_answer(struct conn *c, const char *status, const char *body, size_t n)
{
	char head[TEXT_MAX + 200];
	int head_n =
		snprintf(head, sizeof head,
			 "HTTP/1.1 %s\r\nContent-Type: text/plain\r\n"
			 "Content-Length: %zu\r\nX-App: %s\r\n%s\r\n",
			 status, n, app_text, c->last ? "Connection: close\r\n" : "");

	put(c, head, (size_t)head_n);
	if (!c->no_body)
		put(c, body, n);
}

/* Answer with an error. It is the last answer on this connection. */
static void refuse(struct conn *c, const char *status)
{
	c->last = true;
	put_answer(c, status, "", 0);
}

static void respond(struct conn *c)
{
	char *text;
	size_t n;

	c->last = c->close;
	switch (c->kind) {
	case COUNTED:
		put_answer(c, "200 OK", app_body, strlen(app_body));
		break;
	case PATHS:
		text = counts_text(&n);
		put_answer(c, "200 OK", text, n);
		free(text);
		break;
	case RESET:
		counts_reset();
		put_answer(c, "200 OK", "", 0);
		break;
	case UNKNOWN:
		put_answer(c, "404 Not Found", "", 0);
		break;
	}
}

/* requests */

static bool is(struct span s, const char *text)
{
	return s.n == strlen(text) && strncasecmp(s.p, text, s.n) == 0;
}

/* Cut `s` at the first `c`. Returns the part before it and leaves the part after it. */
static struct span cut(struct span *s, char c)
{
	const char *end = memchr(s->p, c, s->n);
	struct span head = {s->p, end ? (size_t)(end - s->p) : s->n};
	size_t used = end ? head.n + 1 : head.n;

	s->p += used;
	s->n -= used;
	return head;
}

static struct span trim(struct span s)
{
	for (; s.n > 0 && (*s.p == ' ' || *s.p == '\t'); s.n--)
		s.p++;
	while (s.n > 0 && strchr(" \t\r", s.p[s.n - 1]))
		s.n--;
	return s;
}

/* Read the headers Connection, Content-Length and Transfer-Encoding. Returns NULL, or the
 * status of a refusal. */
static const char *read_fields(struct conn *c, struct span head)
{
	bool sized = false;

	while (head.n > 0) {
		struct span value = cut(&head, '\n');
		struct span name = cut(&value, ':');

		value = trim(value);
		if (is(name, "Connection")) {
			if (is(value, "close"))
				c->close = true;
		} else if (is(name, "Content-Length")) {
			/* strtoull() stops at the end of the line at the latest */
			char *end;
			uint64_t n = strtoull(value.p, &end, 10);

			if (value.n == 0 || value.p[0] < '0' || value.p[0] > '9' ||
			    end != value.p + value.n || (sized && n != c->body))
				return "400 Bad Request";
			c->body = n;
			sized = true;
		} else if (is(name, "Transfer-Encoding")) {
			return "411 Length Required";
		}
	}
	return NULL;
}

/* Read the head of a request, up to its empty line. Returns NULL, or the status of a
 * refusal. */
static const char *read_head(struct conn *c, struct span head, struct span *path_out)
{
	struct span line = trim(cut(&head, '\n'));
	struct span method = cut(&line, ' ');
	struct span path = cut(&line, ' ');

	c->body = 0;
	c->no_body = is(method, "HEAD");
	c->close = is(line, "HTTP/1.0");
	c->kind = COUNTED;
	if (method.n == 0 || path.n == 0 ||
	    !(is(line, "HTTP/1.0") || is(line, "HTTP/1.1")))
		return "400 Bad Request";
	for (size_t i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] < '!' || path.p[i] == 127)
			return "400 Bad Request";
	path = cut(&path, '?');
	if (path.n >= 8 && memcmp(path.p, "/_count/", 8) == 0)
		c->kind = is(path, "/_count/paths")   ? PATHS
			  : is(path, "/_count/reset") ? RESET
						      : UNKNOWN;
	*path_out = path;
	return read_fields(c, head);
}

/* Read the head of the next request from `in`. Returns its size, or 0 if it is not
 * complete. */
static size_t begin(struct conn *c, struct span in)
{
	const char *end = memmem(in.p, in.n, "\r\n\r\n", 4);
	struct span path;

	if (!end && in.n < HEAD_MAX)
		return 0;
	if (!end) {
		c->no_body = false;
		refuse(c, "431 Request Header Fields Too Large");
		return in.n;
	}
	in.n = (size_t)(end - in.p) + 2;
	const char *refusal = read_head(c, in, &path);
	if (refusal) {
		refuse(c, refusal);
	} else {
		c->held = true;
		if (c->kind == COUNTED)
			count(path);
	}
	return in.n + 2;
}

/* Answer the complete requests. Returns true if it needs more bytes, false if OUT_MAX
 * bytes of answers have to be sent first. */
static bool serve(struct conn *c)
{
	size_t at = 0;
	bool done = false;

	while (!done && c->out_n < OUT_MAX) {
		struct span rest = {c->in + at, c->in_n - at};

		if (c->last) {
			at = c->in_n;
			done = true;
		} else if (c->held) {
			size_t skip = c->body < rest.n ? (size_t)c->body : rest.n;

			at += skip;
			c->body -= skip;
			if (c->body == 0) {
				c->held = false;
				respond(c);
			} else {
				done = true;
			}
		} else {
			size_t head_n = begin(c, rest);

			at += head_n;
			done = head_n == 0;
		}
	}
	c->in_n -= at;
	memmove(c->in, c->in + at, c->in_n);
	return done;
}

/* connections */

static void conn_new(int poll, int fd)
{
	struct conn *c = must(calloc(1, sizeof *c));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	c->fd = fd;
	c->next = conns;
	c->link = &conns;
	if (conns)
		conns->link = &c->next;
	conns = c;
	if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

static void conn_close(struct conn *c)
{
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	close(c->fd);
	free(c->out);
	free(c);
}

/* Send as much as the client takes. False: the connection is lost. */
static bool conn_flush(struct conn *c)
{
	while (c->out_at < c->out_n) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at,
				 MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->out_at += (size_t)n;
	}
	c->out_at = c->out_n = 0;
	if (c->last && !c->shut) {
		/* close() with unread bytes sends a reset, and the client loses the
		 * answer */
		shutdown(c->fd, SHUT_WR);
		c->shut = true;
	}
	return true;
}

/* Read, answer and send as far as the connection allows. False: close it. */
static bool conn_run(struct conn *c)
{
	bool done = false;

	if (c->out_n == 0) {
		ssize_t n = recv(c->fd, c->in + c->in_n, sizeof c->in - c->in_n, 0);

		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EINTR);
		c->in_n += (size_t)n;
	}
	if (!conn_flush(c))
		return false;
	/* `in` must not stay full while we wait for more bytes */
	while (!done && c->out_n == 0) {
		done = serve(c);
		if (!conn_flush(c))
			return false;
	}
	return true;
}

static void on_ready(int poll, struct conn *c)
{
	struct epoll_event event = {.data.ptr = c};

	if (!conn_run(c)) {
		conn_close(c);
		return;
	}
	if (c->waiting != (c->out_n > 0)) {
		c->waiting = !c->waiting;
		event.events = c->waiting ? EPOLLOUT : EPOLLIN;
		if (epoll_ctl(poll, EPOLL_CTL_MOD, c->fd, &event) < 0)
			die("epoll_ctl");
	}
}

static void on_client(int poll, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		conn_new(poll, fd);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		die("accept");
}

/* the program */

static int listen_on(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t at_n = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(fd, (struct sockaddr *)&at, at_n) < 0 || listen(fd, 4096) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &at_n) < 0)
		die("listen");
	printf("listening %u\n", (unsigned)ntohs(at.sin_port));
	fflush(stdout);
	return fd;
}

/* Serve until SIGTERM or SIGINT, which are blocked except in epoll_pwait(). */
static void loop(int poll, int listener)
{
	struct epoll_event events[256] = {{.events = EPOLLIN}};
	sigset_t ends, before;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, &before);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	if (epoll_ctl(poll, EPOLL_CTL_ADD, listener, events) < 0)
		die("epoll_ctl");
	while (!stop) {
		int n = epoll_pwait(poll, events, 256, -1, &before);

		if (n < 0 && errno != EINTR)
			die("epoll_pwait");
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				on_ready(poll, events[i].data.ptr);
			else
				on_client(poll, listener);
		}
	}
}

int main(int argc, char **argv)
{
	char *end = NULL;
	long port = argc > 1 ? strtol(argv[1], &end, 10) : -1;
	struct rlimit files;

	if (argc > 2)
		app_text = argv[2];
	if (argc > 3 || port < 0 || port > 65535 || end == argv[1] || *end ||
	    strlen(app_text) > TEXT_MAX || strpbrk(app_text, "\r\n")) {
		fprintf(stderr,
			"usage: app PORT [TEXT]    (one line, at most %d bytes)\n",
			TEXT_MAX);
		return 2;
	}
	snprintf(app_body, sizeof app_body, "%s\n", app_text);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	int listener = listen_on((uint16_t)port);
	int poll = epoll_create1(EPOLL_CLOEXEC);
	if (poll < 0)
		die("epoll_create1");
	loop(poll, listener);
	while (conns)
		conn_close(conns);
	counts_reset();
	close(poll);
	close(listener);
	return 0;
}
