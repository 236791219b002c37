/* SPDX-License-Identifier: MIT
 *
 * proxy.c - a proxy before HAProxy's socket that causes a fault at one byte of a
 * conversation.
 * Usage: proxy LISTEN TARGET CONTROL
 * LISTEN and TARGET are a path or a port of the loopback, CONTROL is a path. Prints
 * "ready" when it listens. The control socket takes these commands, in HAProxy's framing,
 * so that haproxy.connect() can send them:
 *
 *     fault KIND N DIRECTION OFFSET MS   set the counts to 0, and cause this fault once:
 *                 in the Nth connection, when OFFSET bytes have passed up (to HAProxy) or
 *                 down
 *     report      wait until no connection is open. The answer is the number of faults
 *                 and, for each connection, the bytes that have passed up and down
 *     go          end a pause
 *     take N      open N connections to the target, and keep them open
 *     free        close them
 *
 * The kinds of faults:
 *
 *     none    no fault
 *     cut     close both sides
 *     gone    close both sides, and close every new connection for MS milliseconds; with
 *             MS 0 for good
 *     close   send an end of file in this direction; the other one is left alone
 *     reset   over TCP, reset both sides; else close with a byte unread, which resets
 *             the side that has sent it
 *     hold    pass no more bytes in this direction, and close nothing
 *     delay   pause for MS milliseconds, even if the client is no longer there
 *     repeat  send the next byte twice
 *     again   send the bytes of the next read twice
 *     pause   print "paused", and go on after `go`
 *
 * Each connection has a thread. It connects to HAProxy when the client has sent
 * something. The proxy runs until it is killed. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define COUNTED   256 /* connections in a report */
#define TAKEN_MAX 64  /* connections that `take` holds */
#define READ_SIZE 65536

enum direction { UP, DOWN };

struct fault {
	char kind[8];
	size_t connection, offset;
	enum direction direction;
	long ms;
};

/* What the threads share. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t news;
	struct fault fault;
	size_t accepted, open, done; /* done: number of faults */
	size_t passed[COUNTED][2];
	bool gone, go;
	long back; /* now_ms() at the end of `gone`; 0: it does not end */
	const char *target;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER};

/* One connection. Bytes in direction d come from fd[d]: fd[UP] is the client. */
struct relay {
	size_t number; /* from 1 */
	int fd[2];
	size_t passed[2];
	bool ended[2], muted[2], armed;
	struct fault fault;
	char bytes[READ_SIZE];
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int open_address(const char *address, bool listening)
{
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	struct sockaddr_in inet = {.sin_family = AF_INET};
	struct sockaddr *sa = (struct sockaddr *)&local;
	socklen_t n = sizeof local;
	int on = 1;

	if (strchr(address, '/')) {
		snprintf(local.sun_path, sizeof local.sun_path, "%s", address);
	} else {
		inet.sin_port = htons((uint16_t)atoi(address));
		inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		sa = (struct sockaddr *)&inet;
		n = sizeof inet;
	}
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (!listening) {
		if (connect(fd, sa, n) == 0)
			return fd;
		close(fd);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, sa, n) < 0 || listen(fd, 128) < 0)
		die(address);
	return fd;
}

/* Send all bytes, or as many as the peer takes before it closes. */
static void push(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			return;
		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
		}
	}
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
	struct timespec left = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static bool is(const struct relay *r, const char *kind)
{
	return strcmp(r->fault.kind, kind) == 0;
}

static void wait_for_go(void)
{
	puts("paused");
	fflush(stdout);
	pthread_mutex_lock(&all.lock);
	while (!all.go)
		pthread_cond_wait(&all.news, &all.lock);
	all.go = false;
	pthread_mutex_unlock(&all.lock);
}

/* Read the bytes that have arrived: close() with unread bytes sends a reset. */
static void swallow(struct relay *r)
{
	for (int d = UP; d <= DOWN; d++)
		while (r->fd[d] >= 0 &&
		       recv(r->fd[d], r->bytes, sizeof r->bytes, MSG_DONTWAIT) > 0)
			;
}

static void end_both(struct relay *r)
{
	r->ended[UP] = r->ended[DOWN] = true;
}

/* Cause the fault. After some kinds the next byte passes as usual. */
static void harm(struct relay *r)
{
	enum direction d = r->fault.direction;
	struct linger at_once = {1, 0};

	r->armed = false;
	pthread_mutex_lock(&all.lock);
	all.done++;
	all.gone = is(r, "gone");
	all.back = r->fault.ms > 0 ? now_ms() + r->fault.ms : 0;
	pthread_mutex_unlock(&all.lock);
	if (is(r, "cut") || is(r, "gone")) {
		swallow(r);
		end_both(r);
	} else if (is(r, "reset")) {
		for (int i = UP; i <= DOWN; i++)
			setsockopt(r->fd[i], SOL_SOCKET, SO_LINGER, &at_once,
				   sizeof at_once);
		end_both(r);
	} else if (is(r, "close")) {
		shutdown(r->fd[!d], SHUT_WR);
		r->muted[d] = true;
	} else if (is(r, "hold")) {
		r->muted[d] = true;
	} else if (is(r, "delay")) {
		pause_ms(r->fault.ms);
	} else if (is(r, "pause")) {
		wait_for_go();
	}
}

/* Is this the place of the fault? */
static bool is_here(const struct relay *r, enum direction d)
{
	return r->armed && r->fault.direction == d && r->fault.offset == r->passed[d];
}

static bool needs_next(const struct relay *r)
{
	return is(r, "reset") || is(r, "repeat") || is(r, "again");
}

static void end_of_file(struct relay *r, enum direction d)
{
	r->ended[d] = true;
	/* after a `hold` upwards nothing reaches HAProxy: close with the client */
	if (d == UP && r->muted[UP] && is(r, "hold"))
		end_both(r);
	/* HAProxy closes after its answer, and then reads no more */
	if (d == DOWN)
		end_both(r);
	if (r->fd[!d] >= 0)
		shutdown(r->fd[!d], SHUT_WR);
}

static void pass(struct relay *r, enum direction d)
{
	size_t most = sizeof r->bytes;

	if (is_here(r, d)) {
		bool repeat = is(r, "repeat"), again = is(r, "again");

		harm(r);
		if (r->ended[d] || r->muted[d])
			return;
		ssize_t n = recv(r->fd[d], r->bytes, repeat ? 1 : most, MSG_PEEK);

		if (n > 0 && (repeat || again))
			push(r->fd[!d], r->bytes, (size_t)n);
	}
	if (r->armed && r->fault.direction == d && r->fault.offset > r->passed[d] &&
	    r->fault.offset - r->passed[d] < most)
		most = r->fault.offset - r->passed[d];
	ssize_t n = recv(r->fd[d], r->bytes, most, 0);

	if (n <= 0) {
		end_of_file(r, d);
		return;
	}
	if (r->muted[d])
		return;
	push(r->fd[!d], r->bytes, (size_t)n);
	r->passed[d] += (size_t)n;
	if (is_here(r, d) && !needs_next(r))
		harm(r);
}

/* Wait until the client has sent something or has closed, and connect to HAProxy, unless
 * the fault is due before. */
static void begin(struct relay *r)
{
	struct pollfd p = {.fd = r->fd[UP], .events = POLLIN};

	poll(&p, 1, -1);
	if (is_here(r, UP) && !is(r, "close") && !needs_next(r))
		harm(r);
	if (is_here(r, UP) && is(r, "reset"))
		harm(r);
	if (!r->ended[UP])
		r->fd[DOWN] = open_address(all.target, false);
	if (r->fd[DOWN] < 0)
		end_both(r);
}

static void relay(struct relay *r)
{
	begin(r);
	while (!r->ended[UP] || !r->ended[DOWN]) {
		struct pollfd p[2];

		for (int d = UP; d <= DOWN; d++)
			p[d] = (struct pollfd){.fd = r->ended[d] ? -1 : r->fd[d],
					       .events = POLLIN};
		poll(p, 2, -1);
		for (int d = UP; d <= DOWN; d++)
			if (p[d].revents && !r->ended[d])
				pass(r, (enum direction)d);
	}
}

static void *serve(void *given)
{
	struct relay *r = given;

	relay(r);
	for (int d = UP; d <= DOWN; d++)
		if (r->fd[d] >= 0)
			close(r->fd[d]);
	pthread_mutex_lock(&all.lock);
	for (int d = UP; d <= DOWN && r->number <= COUNTED; d++)
		all.passed[r->number - 1][d] = r->passed[d];
	all.open--;
	pthread_cond_broadcast(&all.news);
	pthread_mutex_unlock(&all.lock);
	free(r);
	return NULL;
}

static void *accept_all(void *given)
{
	int listening = *(int *)given;

	for (;;) {
		int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
		struct relay *r = calloc(1, sizeof *r);
		pthread_t thread;

		if (fd < 0 || !r)
			die("accept");
		r->fd[UP] = fd;
		r->fd[DOWN] = -1;
		pthread_mutex_lock(&all.lock);
		r->number = ++all.accepted;
		r->fault = all.fault;
		r->armed =
			r->number == r->fault.connection && strcmp(r->fault.kind, "none");
		bool gone = all.gone && (all.back == 0 || now_ms() < all.back);

		all.open += !gone;
		pthread_mutex_unlock(&all.lock);
		if (gone) {
			swallow(r);
			close(fd);
			free(r);
			continue;
		}
		if (pthread_create(&thread, NULL, serve, r) != 0)
			die("thread");
		pthread_detach(thread);
	}
	return NULL;
}

/* The control socket. */

static void report(char *out, size_t n)
{
	size_t at;

	while (all.open > 0)
		pthread_cond_wait(&all.news, &all.lock);
	at = (size_t)snprintf(out, n, "done %zu\n", all.done);
	for (size_t i = 0; i < all.accepted && i < COUNTED; i++)
		at += (size_t)snprintf(out + at, n - at, "%zu %zu\n", all.passed[i][UP],
				       all.passed[i][DOWN]);
}

/* Open or close connections to the target until n are open. */
static void take(size_t n)
{
	static int fds[TAKEN_MAX];
	static size_t taken;

	while (taken > n)
		close(fds[--taken]);
	while (taken < n && taken < TAKEN_MAX)
		fds[taken++] = open_address(all.target, false);
}

/* Carry out a command, and write the body of the reply to `out`. */
static void obey(const char *command, char *out, size_t n)
{
	struct fault f = {0};
	char direction[8];
	size_t places = 0;

	pthread_mutex_lock(&all.lock);
	if (sscanf(command, "fault %7s %zu %7s %zu %ld", f.kind, &f.connection, direction,
		   &f.offset, &f.ms) == 5) {
		f.direction = strcmp(direction, "up") == 0 ? UP : DOWN;
		all.fault = f;
		all.accepted = all.done = 0;
		all.gone = all.go = false;
		memset(all.passed, 0, sizeof all.passed);
		snprintf(out, n, "armed\n");
	} else if (strncmp(command, "report", 6) == 0) {
		report(out, n);
	} else if (strncmp(command, "go", 2) == 0) {
		all.go = true;
		pthread_cond_broadcast(&all.news);
		snprintf(out, n, "gone on\n");
	} else if (sscanf(command, "take %zu", &places) == 1 ||
		   strncmp(command, "free", 4) == 0) {
		take(places);
		snprintf(out, n, "%zu\n", places);
	} else {
		snprintf(out, n, "Unknown command\n");
	}
	pthread_mutex_unlock(&all.lock);
}

/* Serve one line of the form "COMMAND;COMMAND". All but the last are commands of haplua
 * for the connection; they get an empty reply. */
static void control(int fd)
{
	static char line[1024], body[16384];
	char *command = line;
	size_t n = 0;
	ssize_t got;

	while (n < sizeof line - 1 && !memchr(line, '\n', n) &&
	       (got = read(fd, line + n, sizeof line - 1 - n)) > 0)
		n += (size_t)got;
	line[n] = '\0';
	for (char *p = line; (p = strchr(p, ';')); command = ++p)
		push(fd, "\n", 1);
	obey(command, body, sizeof body);
	push(fd, body, strlen(body));
	push(fd, "\n", 1);
	close(fd);
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc != 4) {
		fprintf(stderr, "Usage: proxy LISTEN TARGET CONTROL\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	all.target = argv[2];
	int listening = open_address(argv[1], true);
	int controlling = open_address(argv[3], true);

	if (pthread_create(&thread, NULL, accept_all, &listening) != 0)
		die("thread");
	puts("ready");
	fflush(stdout);
	for (;;) {
		int fd = accept4(controlling, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			control(fd);
	}
}
