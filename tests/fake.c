/* SPDX-License-Identifier: MIT
 *
 * fake.c - a server in the place of HAProxy's socket that misbehaves as a test asks for.
 * Usage: fake PATH|tcp STEP...
 * Prints "ready ADDRESS" when it listens, "holds" when it reaches the step `hold`, and at
 * the end of each connection its number and the bytes that it has received.
 * Each connection runs through the steps by itself:
 *
 *     read          receive up to a line feed or the end of file
 *     drain         receive up to the end of file
 *     say TEXT      send TEXT; \n \t \\ \xHH are as in C
 *     drip MS TEXT  send TEXT byte by byte, with a pause of MS after each byte
 *     endless TEXT  send TEXT again and again until the peer closes
 *     wait MS       pause
 *     hold          send nothing until the peer closes
 *     reset         close with a reset instead of an end of file
 *     next          the steps from here on are for the later connections
 *     deaf          (the only step) accept no connection; the backlog is 0
 *
 * After the last step it closes the connection. It runs until it is killed. */

#include <ctype.h>
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

struct peer {
	int fd;
	size_t number; /* from 1, in the order of accept() */
	char **steps;  /* borrowed; ends with NULL or "next" */
	char *got;     /* owned */
	size_t n;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void pause_ms(long ms)
{
	struct timespec left = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* Copy `text` without its escapes to `out`, which has room for all of it. Returns the
 * length. */
static size_t unescape(char *out, const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		unsigned byte = 0;

		if (*text != '\\') {
			out[n++] = *text;
			continue;
		}
		text++;
		if (*text == 'x' && sscanf(text + 1, "%2x", &byte) == 1) {
			out[n++] = (char)byte;
			text += 2;
		} else {
			out[n++] = *text == 'n' ? '\n' : *text == 't' ? '\t' : *text;
		}
	}
	return n;
}

static bool send_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return false;
		p += sent;
		n -= (size_t)sent;
	}
	return true;
}

/* Receive up to the byte `end`; if that is NUL, up to the end of file. */
static void receive(struct peer *peer, char end)
{
	for (;;) {
		char *more = realloc(peer->got, peer->n + 4096);

		if (!more)
			die("realloc");
		peer->got = more;
		ssize_t n = recv(peer->fd, more + peer->n, 4096, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		peer->n += (size_t)n;
		if (end && memchr(more + peer->n - n, end, (size_t)n))
			return;
	}
}

static void say(struct peer *peer, const char *text, long pause, bool endless)
{
	char *bytes = malloc(strlen(text) + 1);
	size_t n, step;
	bool open = true;

	if (!bytes)
		die("malloc");
	n = unescape(bytes, text);
	step = pause ? 1 : n;
	do {
		for (size_t i = 0; open && i < n; i += step) {
			open = send_all(peer->fd, bytes + i, step);
			pause_ms(pause);
		}
	} while (open && endless);
	free(bytes);
}

/* A local socket sends a reset only if it has unread bytes: wait for some. */
static void reset(const struct peer *peer)
{
	struct linger now = {.l_onoff = 1};
	struct pollfd request = {.fd = peer->fd, .events = POLLIN};

	if (peer->n == 0)
		poll(&request, 1, 2000);
	setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static void hold(struct peer *peer)
{
	puts("holds");
	fflush(stdout);
	receive(peer, '\0');
}

/* The text after the word in a step, or NULL if the step is another word. */
static const char *after(const char *step, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(step, word, n) != 0 || (step[n] && step[n] != ' '))
		return NULL;
	return step[n] ? step + n + 1 : step + n;
}

static void take(struct peer *peer, const char *step)
{
	const char *rest;
	char *text;

	if (after(step, "read"))
		receive(peer, '\n');
	else if (after(step, "drain"))
		receive(peer, '\0');
	else if (after(step, "hold"))
		hold(peer);
	else if (after(step, "reset"))
		reset(peer);
	else if ((rest = after(step, "wait")))
		pause_ms(atol(rest));
	else if ((rest = after(step, "say")))
		say(peer, rest, 0, false);
	else if ((rest = after(step, "endless")))
		say(peer, rest, 0, true);
	else if ((rest = after(step, "drip")))
		say(peer, strtol(rest, &text, 10) ? text + 1 : text, atol(rest), false);
}

static void report(const struct peer *peer)
{
	flockfile(stdout);
	printf("%zu ", peer->number);
	for (size_t i = 0; i < peer->n; i++) {
		unsigned char c = (unsigned char)peer->got[i];

		if (c == '\n')
			fputs("\\n", stdout);
		else if (c == '\\')
			fputs("\\\\", stdout);
		else if (isprint(c))
			putchar(c);
		else
			printf("\\x%02x", c);
	}
	putchar('\n');
	fflush(stdout);
	funlockfile(stdout);
}

static void *serve(void *arg)
{
	struct peer *peer = arg;

	for (char **step = peer->steps; *step && strcmp(*step, "next") != 0; step++)
		take(peer, *step);
	close(peer->fd);
	report(peer);
	free(peer->got);
	free(peer);
	return NULL;
}

static int listen_unix(const char *path, int backlog)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (strlen(path) >= sizeof sa.sun_path) {
		errno = ENAMETOOLONG;
		die(path);
	}
	strcpy(sa.sun_path, path);
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 || listen(fd, backlog) < 0)
		die(path);
	printf("ready %s\n", path);
	return fd;
}

static int listen_tcp(int backlog)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof sa;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 || listen(fd, backlog) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		die("tcp");
	printf("ready 127.0.0.1:%d\n", ntohs(sa.sin_port));
	return fd;
}

static void accept_one(int fd, size_t number, char **steps)
{
	struct peer *peer = calloc(1, sizeof *peer);
	pthread_t thread;

	if (!peer)
		die("calloc");
	peer->number = number;
	peer->steps = steps;
	peer->fd = accept(fd, NULL, NULL);
	if (peer->fd < 0)
		die("accept");
	if (pthread_create(&thread, NULL, serve, peer) != 0)
		die("pthread_create");
	pthread_detach(thread);
}

int main(int argc, char **argv)
{
	bool deaf = argc > 2 && strcmp(argv[2], "deaf") == 0;
	char **steps = argv + 2;
	int fd;

	if (argc < 3) {
		fputs("usage: fake PATH|tcp STEP...\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	fd = strcmp(argv[1], "tcp") == 0 ? listen_tcp(64)
					 : listen_unix(argv[1], deaf ? 0 : 64);
	fflush(stdout);
	while (deaf)
		pause();
	for (size_t number = 1;; number++) {
		char **next = steps;

		accept_one(fd, number, steps);
		while (*next && strcmp(*next, "next") != 0)
			next++;
		if (*next)
			steps = next + 1;
	}
}
