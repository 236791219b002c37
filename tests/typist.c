/* SPDX-License-Identifier: MIT
 *
 * typist.c - type at a program on a terminal, as a person does who waits for what it
 * says.
 * Usage: typist STEP... -- PROGRAM [ARGUMENT...]
 *
 *     see=TEXT    wait until the program has printed TEXT, after what was seen before
 *     type=TEXT   type it
 *     run=COMMAND run it in a shell, and wait for its end
 *     size=WxH    give the terminal so many columns and lines
 *     signal=N    send the program a signal
 *     mode=raw    wait until keys come one by one; mode=cooked: line by line
 *     stopped     wait until the program is stopped, as by Ctrl-Z
 *
 * In a TEXT, ^X is a control character: ^M is Enter, ^I is TAB, ^J begins a line; ^^ is
 * '^'. Prints what the program prints, and ends with its exit status, or with 99 if a
 * TEXT does not come in time (a minute, or $TYPIST_SECONDS). The terminal has 24
 * lines; it is a dumb one, or $TYPIST_TERM. */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static char output[1 << 20];
static size_t size, seen;
static int terminal;
static pid_t child;
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

static bool set_size(const char *text)
{
	struct winsize window = {0};

	if (sscanf(text, "%hux%hu", &window.ws_col, &window.ws_row) != 2)
		return false;
	return ioctl(terminal, TIOCSWINSZ, &window) == 0;
}

/* A moment between two looks. False: the time is over. */
static bool pause_a_moment(void)
{
	struct timespec moment = {.tv_nsec = 10000000};

	nanosleep(&moment, NULL);
	return now() < end;
}

static bool has_mode(const char *name)
{
	bool cooked = strcmp(name, "cooked") == 0;
	struct termios t;

	do {
		if (tcgetattr(terminal, &t) == 0 && !(t.c_lflag & ICANON) == !cooked)
			return true;
	} while (pause_a_moment());
	return false;
}

static bool is_stopped(void)
{
	int status;

	do {
		if (waitpid(child, &status, WUNTRACED | WNOHANG) == child &&
		    WIFSTOPPED(status))
			return true;
	} while (pause_a_moment());
	return false;
}

/* The text behind the name of a step, or NULL: it is another step. */
static char *rest(char *step, const char *name)
{
	size_t n = strlen(name);

	return strncmp(step, name, n) == 0 ? step + n : NULL;
}

static bool do_step(char *step)
{
	char *text;

	if ((text = rest(step, "type="))) {
		type(decode(text));
		return true;
	}
	if ((text = rest(step, "see=")))
		return see(decode(text));
	if ((text = rest(step, "run=")))
		return system(text) == 0;
	if ((text = rest(step, "size=")))
		return set_size(text);
	if ((text = rest(step, "signal=")))
		return kill(child, atoi(text)) == 0;
	if ((text = rest(step, "mode=")))
		return has_mode(text);
	return strcmp(step, "stopped") == 0 && is_stopped();
}

static bool follow(char **steps, int n)
{
	for (int i = 0; i < n; i++) {
		if (!do_step(steps[i])) {
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
	child = forkpty(&terminal, NULL, NULL, &window);

	if (child < 0) {
		perror("typist");
		return 2;
	}
	if (child == 0) {
		const char *kind = getenv("TYPIST_TERM");
		struct rlimit no_core = {0};

		setrlimit(RLIMIT_CORE, &no_core); /* of signals that a test sends */
		setenv("TERM", kind ? kind : "dumb", 1);
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
