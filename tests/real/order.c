/* SPDX-License-Identifier: MIT
 *
 * order.c - note the order in which a process writes files, forces them to the disk,
 * renames them and sends commands. A library for LD_PRELOAD; $ORDER_LOG names the file
 * that gets a line for each:
 *
 *     write NAME   sync NAME   rename NAME (the new one)   send TEXT
 *
 * NAME is the last part of a path. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Set `next` to the function of this name that this library replaces. The assignment goes
 * through a data pointer: ISO C has no conversion from one to a function pointer. */
#define NEXT(name) (*(void **)&next = dlsym(RTLD_NEXT, #name))

static void note(const char *what, const char *text, size_t n)
{
	const char *path = getenv("ORDER_LOG");
	char line[4096];
	size_t used = (size_t)snprintf(line, sizeof line, "%s ", what);

	if (!path)
		return;
	for (size_t i = 0; i < n && used < sizeof line - 1; i++)
		line[used++] = text[i] == '\n' ? ' ' : text[i];
	line[used++] = '\n';
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_APPEND,
			      0600);

	if (fd >= 0) {
		(void)!syscall(SYS_write, fd, line, used);
		close(fd);
	}
}

static void note_path(const char *what, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	note(what, name, strlen(name));
}

static void note_fd(const char *what, int fd)
{
	char link[64], path[4096];
	struct stat st;

	if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
		return;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);

	if (n > 0) {
		path[n] = '\0';
		note_path(what, path);
	}
}

int fsync(int fd)
{
	int (*next)(int);

	NEXT(fsync);
	note_fd("sync", fd);
	return next(fd);
}

int fdatasync(int fd)
{
	int (*next)(int);

	NEXT(fdatasync);
	note_fd("sync", fd);
	return next(fd);
}

ssize_t write(int fd, const void *p, size_t n)
{
	ssize_t (*next)(int, const void *, size_t);

	NEXT(write);
	note_fd("write", fd);
	return next(fd, p, n);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	ssize_t (*next)(int, const void *, size_t, off_t);

	NEXT(pwrite64);
	note_fd("write", fd);
	return next(fd, p, n, at);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return pwrite64(fd, p, n, at);
}

int renameat(int old_folder, const char *old, int new_folder, const char *new)
{
	int (*next)(int, const char *, int, const char *);

	NEXT(renameat);
	note_path("rename", new);
	return next(old_folder, old, new_folder, new);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
	ssize_t (*next)(int, const void *, size_t, int);

	NEXT(send);
	note("send", p, n);
	return next(fd, p, n, flags);
}
