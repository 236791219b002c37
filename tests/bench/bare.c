/* SPDX-License-Identifier: MIT
 *
 * bare.c - the smallest client of the Runtime API, with which haplua is compared.
 *
 *	bare SOCKET LINE...      for each line, connect, send it and read the answer
 *	bare SOCKET -f FILE      the same with the lines of a file
 *
 * It uses only one answer: the number in `New version created: N` replaces @0000000 in
 * all later lines. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PLACE  "@0000000"
#define ANSWER "New version created: "

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_un server = {.sun_family = AF_UNIX};
static char in[65536];

/* Send one line with its newline, and read the answer. Returns the number of a new
 * version, or 0. */
static unsigned ask(const char *line, size_t n)
{
	unsigned version = 0;
	bool first = true;
	ssize_t got;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
		die("connect");
	if (write(fd, line, n) != (ssize_t)n)
		die("write");
	while ((got = read(fd, in, sizeof in - 1)) > 0) {
		in[got] = '\0';
		if (first && strncmp(in, ANSWER, strlen(ANSWER)) == 0)
			version = (unsigned)strtoul(in + strlen(ANSWER), NULL, 10);
		first = false;
	}
	if (got < 0)
		die("read");
	close(fd);
	return version;
}

static void put_version(char *p, char *end, unsigned version)
{
	char number[sizeof PLACE];
	size_t n = strlen(PLACE);

	snprintf(number, sizeof number, "@%07u", version % 10000000);
	for (; (p = memmem(p, (size_t)(end - p), PLACE, n)); p += n)
		memcpy(p, number, n);
}

static void ask_file(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path);
	size_t size = (size_t)st.st_size;
	char *text = malloc(size + 1), *p, *newline;

	if (!text || read(fd, text, size) != (ssize_t)size)
		die(path);
	for (p = text; (newline = memchr(p, '\n', (size_t)(text + size - p)));
	     p = newline + 1) {
		unsigned version = ask(p, (size_t)(newline + 1 - p));

		if (version)
			put_version(newline + 1, text + size, version);
	}
	free(text);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc < 3 || strlen(argv[1]) >= sizeof server.sun_path) {
		fputs("usage: bare SOCKET LINE... | bare SOCKET -f FILE\n", stderr);
		return 2;
	}
	strcpy(server.sun_path, argv[1]);
	if (strcmp(argv[2], "-f") == 0 && argc == 4) {
		ask_file(argv[3]);
		return 0;
	}
	for (int i = 2; i < argc; i++) {
		size_t n = strlen(argv[i]);

		argv[i][n] = '\n'; /* replaces the NUL; the next word is not used yet */
		ask(argv[i], n + 1);
		argv[i][n] = '\0';
	}
	return 0;
}
