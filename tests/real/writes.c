/* SPDX-License-Identifier: MIT
 *
 * writes.c - log what a program writes to sockets.
 * Usage: writes LOG once|always|no COMMAND [ARG...]
 * Runs the command, its threads and its children under ptrace. Writes a line to LOG for
 * each system call that sends over a connected socket (unix or IPv4), and for each that
 * could send bytes which this program does not see ("unseen"):
 *
 *     CONNECTION ADDRESS CALL ASKED RETURNED BYTES-IN-HEX
 *
 * With `once` it gives each new socket the smallest send buffer of the kernel; with
 * `always` it does so again after each setsockopt(). The exit status is the command's.
 * Passes SIGTERM on to the command. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

#define THREADS_MAX 256
#define SOCKETS_MAX 256
#define BYTES_MAX   65536
#define OPTIONS                                                                          \
	(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC |                \
	 PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK)

/* A thread and its current system call. */
struct thread {
	pid_t id, process;
	uint64_t call, args[6];
};

/* A connected socket. */
struct peer {
	pid_t process;
	uint64_t fd;
	int connection;
	char address[128];
};

static pid_t child;
static FILE *out;
static bool small, always;
static struct thread threads[THREADS_MAX];
static struct peer peers[SOCKETS_MAX];
static int connections;

static void pass_on(int signo)
{
	kill(child, signo);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* The process of a thread. */
static pid_t process_of(pid_t thread)
{
	char path[64], line[256];
	pid_t found = thread;

	snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, "Tgid:", 5) == 0)
			found = (pid_t)atoi(line + 5);
	if (f)
		fclose(f);
	return found;
}

static struct thread *thread_of(pid_t id)
{
	struct thread *unused = NULL;

	for (struct thread *t = threads; t < threads + THREADS_MAX; t++) {
		if (t->id == id)
			return t;
		if (t->id == 0 && !unused)
			unused = t;
	}
	if (!unused)
		die("too many threads");
	*unused = (struct thread){.id = id, .process = process_of(id)};
	return unused;
}

static struct peer *peer_of(const struct thread *t, uint64_t fd)
{
	for (struct peer *p = peers; p < peers + SOCKETS_MAX; p++)
		if (p->connection && p->process == t->process && p->fd == fd)
			return p;
	return NULL;
}

/* Read the thread's memory. Returns the number of bytes. */
static size_t peek(const struct thread *t, uint64_t from, void *to, size_t n)
{
	struct iovec here = {to, n}, there = {(void *)(uintptr_t)from, n};
	ssize_t got = process_vm_readv(t->id, &here, 1, &there, 1, 0);

	return got < 0 ? 0 : (size_t)got;
}

/* Give a socket of the thread's process the smallest send buffer of the kernel. */
static void make_small(const struct thread *t, uint64_t fd)
{
	int least = 1;
	int process = (int)syscall(SYS_pidfd_open, t->process, 0);
	int copy = (int)syscall(SYS_pidfd_getfd, process, (int)fd, 0);

	if (copy >= 0 &&
	    setsockopt(copy, SOL_SOCKET, SO_SNDBUF, &least, sizeof least) < 0)
		die("SO_SNDBUF");
	close(copy);
	close(process);
}

static void on_connect(const struct thread *t)
{
	union {
		struct sockaddr any;
		struct sockaddr_un local;
		struct sockaddr_in inet;
	} sa = {0};
	struct peer *p = peer_of(t, t->args[0]);

	peek(t, t->args[1], &sa, t->args[2] < sizeof sa ? t->args[2] : sizeof sa);
	if (sa.any.sa_family != AF_UNIX && sa.any.sa_family != AF_INET)
		return;
	for (struct peer *q = peers; !p && q < peers + SOCKETS_MAX; q++)
		if (!q->connection)
			p = q;
	if (!p)
		die("too many sockets");
	*p = (struct peer){t->process, t->args[0], ++connections, ""};
	if (sa.any.sa_family == AF_INET)
		snprintf(p->address, sizeof p->address, "%d", ntohs(sa.inet.sin_port));
	else
		snprintf(p->address, sizeof p->address, "%s",
			 sa.local.sun_path[0] ? sa.local.sun_path : "@");
}

/* Write a line of the log. The call was to send `n` bytes at `at`; at 0: not known. */
static void note(const struct thread *t, const struct peer *p, const char *call,
		 uint64_t at, uint64_t n, int64_t returned)
{
	static unsigned char bytes[BYTES_MAX];
	size_t got = at ? peek(t, at, bytes, n < BYTES_MAX ? n : BYTES_MAX) : 0;

	fprintf(out, "%d %s %s %llu %lld ", p->connection, p->address, call,
		(unsigned long long)n, (long long)returned);
	for (size_t i = 0; i < got; i++)
		fprintf(out, "%02x", bytes[i]);
	putc('\n', out);
	fflush(out);
}

/* Log a call on a connected socket that has returned. */
static void on_peer(const struct thread *t, struct peer *p, int64_t returned)
{
	switch (t->call) {
	case SYS_write:
		note(t, p, "write", t->args[1], t->args[2], returned);
		break;
	case SYS_sendto:
		note(t, p, "send", t->args[1], t->args[2], returned);
		break;
	case SYS_writev:
	case SYS_sendmsg:
	case SYS_sendmmsg:
	case SYS_pwritev2:
	case SYS_dup:
	case SYS_dup3:
#ifdef SYS_dup2
	case SYS_dup2:
#endif
		note(t, p, "unseen", 0, 0, returned);
		break;
	case SYS_shutdown:
		note(t, p, "shutdown", 0, 0, returned);
		break;
	case SYS_close:
		p->connection = 0;
	}
}

static void on_return(const struct thread *t, int64_t returned)
{
	struct peer *p = peer_of(t, t->args[0]);

	if (t->call == SYS_connect && (returned == 0 || returned == -EINPROGRESS))
		on_connect(t);
	else if (t->call == SYS_sendfile || t->call == SYS_splice)
		note(t, &(struct peer){.address = "?"}, "unseen", 0, 0, returned);
	else if (t->call == SYS_socket && small && returned >= 0)
		make_small(t, (uint64_t)returned);
	else if (t->call == SYS_setsockopt && always)
		make_small(t, t->args[0]);
	else if (p)
		on_peer(t, p, returned);
}

/* Handle a thread that has stopped at the beginning or the end of a system call. */
static void on_call(struct thread *t)
{
	struct ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, t->id, sizeof info, &info) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		t->call = info.entry.nr;
		memcpy(t->args, info.entry.args, sizeof t->args);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
		on_return(t, info.exit.rval);
	}
}

/* Follow all threads and children until the last has ended. Returns the wait status of
 * the command. */
static int follow(void)
{
	int status, result = 0;
	pid_t id;

	while ((id = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (id < 0)
			continue;
		struct thread *t = thread_of(id);
		int signo = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;

		if (!WIFSTOPPED(status)) {
			if (id == child)
				result = status;
			t->id = 0;
			continue;
		}
		if (signo == (SIGTRAP | 0x80)) {
			on_call(t);
			signo = 0;
		} else if (signo == SIGTRAP || signo == SIGSTOP) {
			signo = 0;
		}
		ptrace(PTRACE_SYSCALL, id, NULL, (long)signo);
	}
	return result;
}

static void become(char **words)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	execvp(words[0], words);
	perror(words[0]);
	_exit(127);
}

int main(int argc, char **argv)
{
	int status = 0;

	if (argc < 4) {
		fputs("usage: writes LOG once|always|no COMMAND [ARG...]\n", stderr);
		return 2;
	}
	out = fopen(argv[1], "we");
	if (!out)
		die(argv[1]);
	always = strcmp(argv[2], "always") == 0;
	small = always || strcmp(argv[2], "once") == 0;
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0)
		become(argv + 3);
	signal(SIGTERM, pass_on);
	waitpid(child, &status, 0);
	if (ptrace(PTRACE_SETOPTIONS, child, NULL, (long)OPTIONS) < 0 ||
	    ptrace(PTRACE_SYSCALL, child, NULL, 0L) < 0)
		die("ptrace");
	status = follow();
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
