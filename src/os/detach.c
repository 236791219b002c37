/* SPDX-License-Identifier: MIT
 *
 * detach.c - fork() twice: the process between ends at once, so that process 1 adopts the
 * program and waits for it. The input lies in a file in memory: a pipe would have to be
 * filled while the program runs. */
#include "os/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* So many descriptors are closed where the kernel has no close_range(), 5.9. */
#define DESCRIPTORS 4096

/* The exit status of the process between where it could not fork(). A tool that watches
 * the memory may put its own in the place of 0. */
#define NO_FORK 1

extern char **environ;

/* A descriptor from which `input` can be read, or UV_*. */
static int open_input(struct span input)
{
	int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (input.n > 0) {
		ssize_t n = write(fd, input.p, input.n);

		if (n < 0 && errno != EINTR) {
			int rc = -errno;

			close(fd);
			return rc;
		}
		if (n > 0) {
			input.p += n;
			input.n -= (size_t)n;
		}
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void close_from(int first)
{
	if (syscall(SYS_close_range, first, ~0u, 0) == 0)
		return;
	for (int fd = first; fd < DESCRIPTORS; fd++)
		close(fd);
}

/* Become the program. Only calls that are allowed between fork() and execve(). */
static _Noreturn void become(char **argv, int input)
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR);

	if (dup2(input, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
	    chdir("/") < 0)
		_exit(127);
	close_from(3);
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(argv[0], argv, environ);
	_exit(127);
}

/* Wait for the process between: 0, or UV_EAGAIN where it could not fork(). */
static int await_middle(pid_t middle)
{
	int status;

	while (waitpid(middle, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) != NO_FORK ? 0 : -EAGAIN;
}

int detach_start(char **argv, struct span input)
{
	int fd = open_input(input);

	if (fd < 0)
		return fd;
	pid_t middle = fork();

	if (middle == 0) {
		pid_t program = setsid() < 0 ? -1 : fork();

		if (program == 0)
			become(argv, fd);
		_exit(program < 0 ? NO_FORK : 0);
	}
	int rc = middle < 0 ? -errno : await_middle(middle);

	close(fd);
	return rc;
}
