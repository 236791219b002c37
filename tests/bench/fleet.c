/* SPDX-License-Identifier: MIT
 *
 * fleet.c - the smallest client of several HAProxy processes, with which haplua is
 * compared.
 *
 *	fleet LINE... + SOCKET...
 *
 * It sends each line to all sockets at the same time, over one connection each, and waits
 * for all answers before the next line. The number in a socket's `New version created: N`
 * replaces @0000000 in its later lines. It uses no other answer. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PLACE     "@0000000"
#define ANSWER    "New version created: "
#define NODES_MAX 1024

struct node {
	struct sockaddr_un address;
	int fd;
	bool answered;
	char version[sizeof PLACE];
};

static struct node nodes[NODES_MAX];
static size_t n_nodes;
static char in[65536];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Send a line with its newline to one socket. */
static void ask(int loop, struct node *node, const char *line)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = node};
	char text[4096];
	size_t n = strlen(line);
	char *place;

	memcpy(text, line, n);
	text[n] = '\n';
	text[n + 1] = '\0';
	for (place = text; (place = strstr(place, PLACE)); place += strlen(PLACE))
		memcpy(place, node->version, strlen(PLACE));
	node->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (node->fd < 0 || connect(node->fd, (struct sockaddr *)&node->address,
				    sizeof node->address) < 0)
		die(node->address.sun_path);
	if (write(node->fd, text, n + 1) != (ssize_t)n + 1)
		die("write");
	node->answered = false;
	if (epoll_ctl(loop, EPOLL_CTL_ADD, node->fd, &event) < 0)
		die("epoll_ctl");
}

/* Read a part of an answer. True: it has ended. */
static bool take(struct node *node)
{
	ssize_t got = read(node->fd, in, sizeof in - 1);

	if (got < 0)
		die("read");
	if (got == 0) {
		close(node->fd);
		return true;
	}
	in[got] = '\0';
	if (!node->answered && strncmp(in, ANSWER, strlen(ANSWER)) == 0)
		snprintf(node->version, sizeof node->version, "@%07lu",
			 strtoul(in + strlen(ANSWER), NULL, 10) % 10000000);
	node->answered = true;
	return false;
}

static void ask_all(int loop, const char *line)
{
	struct epoll_event events[64];
	size_t left = n_nodes;

	if (strlen(line) > 4000)
		die("line");
	for (size_t i = 0; i < n_nodes; i++)
		ask(loop, &nodes[i], line);
	while (left > 0) {
		int n = epoll_wait(loop, events, 64, -1);

		for (int i = 0; i < n; i++)
			left -= take(events[i].data.ptr);
	}
}

int main(int argc, char **argv)
{
	int lines = 1, loop = epoll_create1(EPOLL_CLOEXEC);

	while (lines < argc && strcmp(argv[lines], "+") != 0)
		lines++;
	for (int i = lines + 1; i < argc && n_nodes < NODES_MAX; i++) {
		struct sockaddr_un *a = &nodes[n_nodes++].address;

		a->sun_family = AF_UNIX;
		if (snprintf(a->sun_path, sizeof a->sun_path, "%s", argv[i]) >=
		    (int)sizeof a->sun_path)
			die(argv[i]);
	}
	if (loop < 0 || n_nodes == 0) {
		fputs("usage: fleet LINE... + SOCKET...\n", stderr);
		return 2;
	}
	for (int i = 1; i < lines; i++)
		ask_all(loop, argv[i]);
	return 0;
}
