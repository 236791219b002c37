/* SPDX-License-Identifier: MIT
 *
 * typist.c - type at a program on a terminal, as a person does who waits for what it
 * says.
 * Usage: typist STEP... -- PROGRAM [ARGUMENT...]
 *
 *     see=TEXT    wait until the program has printed TEXT, after what was seen before
 *     type=TEXT   type it
 *
 * In a TEXT, ^X is a control character: ^M is Enter, ^I is TAB, ^J begins a line; ^^ is
 * '^'. Prints what the program prints, and ends with its exit status, or with 99 if a
 * TEXT does not come in time (a minute, or $TYPIST_SECONDS). The terminal is a dumb one
 * of 24 lines. */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char output[1 << 20];
static size_t size, seen;
static int terminal;
static time_t end;

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* Read what there is. False: the program has closed the terminal, or the time is over. */
static bool read_more(void)
{
	struct pollfd p = {.fd = terminal, .events = POLLIN};
	time_t left = end - now();
	ssize_t n = 0;

	if (left <= 0 || poll(&p, 1, (int)left * 1000) <= 0 || size == sizeof output - 1)
		return false;
	n = read(terminal, output + size, sizeof output - 1 - size);
	if (n <= 0)
		return false;
	size += (size_t)n;
	output[size] = '\0';
	return true;
}

static bool see(const char *text)
{
	for (;;) {
		const char *at = strstr(output + seen, text);

		if (at) {
			seen = (size_t)(at - output) + strlen(text);
			return true;
		}
		if (!read_more())
			return false;
	}
}

/* Replace each ^X by its control character, and ^^ by '^'. */
static const char *decode(char *text)
{
	char *to = text;

	for (char *from = text; *from; from++) {
		char c = *from;

		if (c == '^' && from[1])
			c = *++from == '^' ? '^' : (char)(*from & 31);
		*to++ = c;
	}
	*to = '\0';
	return text;
}

static void type(const char *text)
{
	if (write(terminal, text, strlen(text)) < 0)
		perror("typist");
}

static bool follow(char **steps, int n)
{
	for (int i = 0; i < n; i++) {
		if (strncmp(steps[i], "type=", 5) == 0) {
			type(decode(steps[i] + 5));
		} else if (strncmp(steps[i], "see=", 4) != 0 ||
			   !see(decode(steps[i] + 4))) {
			fprintf(stderr, "typist: not seen: %s\n", steps[i]);
			return false;
		}
	}
	while (read_more())
		;
	return true;
}

int main(int argc, char **argv)
{
	const char *seconds = getenv("TYPIST_SECONDS");
	struct winsize window = {.ws_row = 24, .ws_col = 80};
	int n = 1, status = 0;

	while (n < argc && strcmp(argv[n], "--") != 0)
		n++;
	if (n >= argc - 1) {
		fputs("usage: typist STEP... -- PROGRAM [ARGUMENT...]\n", stderr);
		return 2;
	}
	pid_t child = forkpty(&terminal, NULL, NULL, &window);

	if (child < 0) {
		perror("typist");
		return 2;
	}
	if (child == 0) {
		setenv("TERM", "dumb", 1);
		execv(argv[n + 1], argv + n + 1);
		perror(argv[n + 1]);
		_exit(127);
	}
	end = now() + (seconds ? atoi(seconds) : 60);
	bool whole = follow(argv + 1, n - 1);

	fwrite(output, 1, size, stdout);
	if (!whole || now() >= end)
		kill(child, SIGKILL);
	waitpid(child, &status, 0);
	if (!whole)
		return 99;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
