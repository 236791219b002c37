/* SPDX-License-Identifier: MIT
 *
 * leak.c - measure how long requests for a path under maintenance reach the application.
 * Usage: leak PORT PATH
 * Requests the path again and again, over a new connection each time, until standard
 * input ends. An answer with status 200 is the application's, not the maintenance page.
 * When the last of these is half a second old, prints the milliseconds from the beginning
 * of the first such request to the end of the last, and their number. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define QUIET 500.0 /* ms */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Send one request. Returns the status, or 0 without an answer. */
static int ask(const struct sockaddr_in *address, const char *request)
{
	char answer[4096];
	size_t got = 0;
	int status = 0, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return 0;
	if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 &&
	    send(fd, request, strlen(request), MSG_NOSIGNAL) > 0) {
		ssize_t n;

		while (got < sizeof answer - 1 &&
		       (n = recv(fd, answer + got, sizeof answer - 1 - got, 0)) > 0)
			got += (size_t)n;
		answer[got] = '\0';
		if (got > 12)
			status = atoi(answer + 9);
	}
	close(fd);
	return status;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct pollfd in = {.fd = 0, .events = POLLIN};
	char request[512];
	double first = 0, last = 0;
	long leaked = 0;

	if (argc != 3) {
		fputs("usage: leak PORT PATH\n", stderr);
		return 2;
	}
	address.sin_port = htons((unsigned short)atoi(argv[1]));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	snprintf(request, sizeof request,
		 "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", argv[2]);
	puts("ready");
	fflush(stdout);
	while (poll(&in, 1, 0) == 0) {
		double begin = now();

		if (ask(&address, request) == 200) {
			first = leaked++ ? first : begin;
			last = now();
		} else if (leaked && now() - last > QUIET) {
			printf("%.1f %ld\n", last - first, leaked);
			fflush(stdout);
			leaked = 0;
		}
	}
	return 0;
}
