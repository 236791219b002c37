/* SPDX-License-Identifier: MIT
 *
 * killer.c - kill a program at one of its system calls.
 * Usage: killer N COMMAND [ARG...]
 * Runs the command under ptrace and sends it SIGKILL as it enters its Nth system call; N
 * 0 lets it run to its end. The exit status is 137 if the command was killed, and
 * otherwise the command's. Writes the number of its system calls to descriptor 3 if that
 * is open. Passes SIGTERM on to the command. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t child;

static void pass_on(int signo)
{
	kill(child, signo);
}

static void become(char **words)
{
	/* LeakSanitizer cannot work in a traced process; it would end it with an error.
	 */
	setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	execvp(words[0], words);
	perror(words[0]);
	_exit(127);
}

/* Let the child run to its next stop. False: it has ended; *status tells how. */
static int resume(int signo, int *status)
{
	if (ptrace(PTRACE_SYSCALL, child, NULL, (long)signo) < 0 && errno != ESRCH)
		perror("ptrace");
	while (waitpid(child, status, 0) < 0)
		if (errno != EINTR)
			return 0;
	return WIFSTOPPED(*status);
}

/* Count the child's system calls, and kill it as it enters call n. Returns the count at
 * its end. */
static long follow(long n, int *status)
{
	long calls = 0;
	int signo = 0, inside = 0;

	while (resume(signo, status)) {
		int stop = WSTOPSIG(*status);

		signo = 0;
		if (stop == (SIGTRAP | 0x80)) {
			inside = !inside;
			calls += inside;
			if (inside && n > 0 && calls == n)
				kill(child, SIGKILL);
		} else if (stop != SIGTRAP) {
			signo = stop;
		}
	}
	return calls;
}

int main(int argc, char **argv)
{
	int status = 0;

	if (argc < 3) {
		fputs("usage: killer N COMMAND [ARG...]\n", stderr);
		return 2;
	}
	child = fork();
	if (child < 0) {
		perror("fork");
		return 1;
	}
	if (child == 0)
		become(argv + 2);
	signal(SIGTERM, pass_on);
	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, NULL,
	       (long)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC));
	long calls = follow(atol(argv[1]), &status);

	if (fcntl(3, F_GETFD) >= 0)
		dprintf(3, "%ld\n", calls);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
