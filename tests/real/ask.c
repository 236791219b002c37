/* SPDX-License-Identifier: MIT
 *
 * ask.c - send bytes over one connection to an admin socket, and print the answer.
 *
 *	ask SOCKET BYTES
 *
 * It sends the bytes unchecked, in one write, also those that haplua refuses to send, and
 * reads up to the end of file. Status 1: it cannot connect or send, or the answer has no
 * end within SECONDS; it prints what it has received. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SECONDS 10

/* Copy the answer to standard output. Returns the exit status. */
static int copy(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char buf[65536];

	while (poll(&p, 1, SECONDS * 1000) == 1) {
		ssize_t n = read(fd, buf, sizeof buf);

		if (n <= 0)
			return n < 0;
		if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n)
			return 1;
	}
	return 1;
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	if (argc != 3 || strlen(argv[1]) >= sizeof addr.sun_path) {
		fputs("usage: ask SOCKET BYTES\n", stderr);
		return 2;
	}
	memcpy(addr.sun_path, argv[1], strlen(argv[1]) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
		perror(argv[1]);
		return 1;
	}
	if (write(fd, argv[2], strlen(argv[2])) != (ssize_t)strlen(argv[2])) {
		perror("write");
		return 1;
	}
	return copy(fd);
}
