/* SPDX-License-Identifier: MIT
 *
 * file_replace.c - replace a file as a whole: write a new file beside it, and rename
 * that. The new file has one name for each target, so that the next process finds what a
 * killed one left. Its writer holds a lock on it: a new file without a lock is a
 * leftover. */
#include "base/err.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40
#define SUFFIX    ".haplua-new"

struct replace {
	char path[PATH_MAX]; /* the file itself, links resolved */
	char name[NAME_MAX + 1];
	char new_name[NAME_MAX + 1];
	int folder, fd; /* of the new file; -1: not open */
	bool existed, created;
	struct stat before;
	const char *what; /* the step that failed */
};

/* Finding the file. */

/* PATH's folder and "/" into `to`; returns its length, or UV_ENAMETOOLONG. */
static int copy_folder(char to[PATH_MAX], const char *path)
{
	const char *slash = strrchr(path, '/');
	int n = slash ? (int)(slash - path + 1) : 2;

	if (n >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(to, slash ? path : "./", (size_t)n);
	to[n] = '\0';
	return n;
}

/* Where the link `path` leads, into `to`. UV_EINVAL: it is no link. */
static int follow(char to[PATH_MAX], const char *path)
{
	char link[PATH_MAX];
	ssize_t n = readlink(path, link, sizeof link - 1);

	if (n < 0)
		return -errno;
	link[n] = '\0';
	int at = *link == '/' ? 0 : copy_folder(to, path);

	if (at < 0 || at + n >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(to + at, link, (size_t)n + 1);
	return 0;
}

/* Set r->path to where `path` leads, also where that file does not exist. 0 or UV_*. */
static int resolve(struct replace *r, const char *path)
{
	char at[PATH_MAX], next[PATH_MAX], folder[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof at)
		return -ENAMETOOLONG;
	if (n == 0 || path[n - 1] == '/')
		return -EISDIR;
	memcpy(at, path, n + 1);
	for (int i = 0; i < LINKS_MAX; i++) {
		if (realpath(at, r->path))
			return 0;
		if (errno != ENOENT)
			return -errno;
		int rc = follow(next, at);

		if (rc == 0) {
			memcpy(at, next, sizeof at);
			continue;
		}
		if (rc != -ENOENT && rc != -EINVAL)
			return rc;
		rc = copy_folder(next, at);
		if (rc < 0)
			return rc;
		if (!realpath(next, folder))
			return -errno;
		const char *slash = strrchr(at, '/');

		rc = snprintf(r->path, sizeof r->path, "%s/%s", folder[1] ? folder : "",
			      slash ? slash + 1 : at);
		return rc < (int)sizeof r->path ? 0 : -ENAMETOOLONG;
	}
	return -ELOOP;
}

static int look(struct replace *r)
{
	char folder[PATH_MAX];
	const char *name = strrchr(r->path, '/') + 1;
	int rc = copy_folder(folder, r->path);

	if (rc < 0 || strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EISDIR;
	memcpy(r->name, name, strlen(name) + 1);
	snprintf(r->new_name, sizeof r->new_name, ".%.*s" SUFFIX,
		 (int)(NAME_MAX - sizeof SUFFIX), name);
	r->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->folder < 0)
		return -errno;
	if (fstatat(r->folder, r->name, &r->before, AT_SYMLINK_NOFOLLOW) == 0)
		r->existed = true;
	else if (errno != ENOENT)
		return -errno;
	if (r->existed && !S_ISREG(r->before.st_mode))
		return S_ISDIR(r->before.st_mode) ? -EISDIR : -EINVAL;
	return 0;
}

/* The new file. */

/* Lock the open file, and check that it still has the new name. 0; UV_EAGAIN: it does
 * not; UV_EBUSY: another process writes it. */
static int claim(const struct replace *r)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat mine, there;

	if (fcntl(r->fd, F_OFD_SETLK, &lock) < 0)
		return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
	if (fstat(r->fd, &mine) < 0)
		return -errno;
	if (fstatat(r->folder, r->new_name, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	return mine.st_ino == there.st_ino && mine.st_dev == there.st_dev ? 0 : -EAGAIN;
}

static void close_new(struct replace *r)
{
	close(r->fd);
	r->fd = -1;
}

/* Remove a file with the new name, if it is a leftover. 0, UV_EAGAIN (it is gone) or
 * UV_*. */
static int remove_leftover(struct replace *r)
{
	r->fd = openat(r->folder, r->new_name,
		       O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (r->fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	int rc = claim(r);

	if (rc == 0 && unlinkat(r->folder, r->new_name, 0) < 0)
		rc = -errno;
	close_new(r);
	return rc;
}

static int create_new(struct replace *r)
{
	int rc = -EAGAIN;

	for (int i = 0; i < 100 && rc == -EAGAIN; i++) {
		r->fd = openat(r->folder, r->new_name,
			       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			       0600);
		if (r->fd < 0) {
			rc = errno == EEXIST ? remove_leftover(r) : -errno;
			rc = rc == 0 ? -EAGAIN : rc;
			continue;
		}
		rc = claim(r);
		if (rc == 0)
			r->created = true;
		else
			close_new(r);
		/* Another process took it for a leftover before it was locked. */
		rc = rc == -EBUSY ? -EAGAIN : rc;
	}
	return rc == -EAGAIN ? -EBUSY : rc;
}

static int write_new(struct replace *r, struct span text)
{
	while (text.n > 0) {
		ssize_t n = write(r->fd, text.p, text.n);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text.p += n;
			text.n -= (size_t)n;
		}
	}
	return 0;
}

/* Give the new file the owner, group and mode of the old one. Owner before mode: a change
 * of owner clears bits of the mode. */
static int dress_new(struct replace *r, mode_t mode)
{
	struct stat st;

	if (fstat(r->fd, &st) < 0)
		return -errno;
	r->what = "its owner and group cannot be kept";
	if (r->existed &&
	    (st.st_uid != r->before.st_uid || st.st_gid != r->before.st_gid) &&
	    fchown(r->fd, r->before.st_uid, r->before.st_gid) < 0)
		return -errno;
	r->what = "its mode cannot be set";
	if (fchmod(r->fd, r->existed ? r->before.st_mode & 07777 : mode) < 0)
		return -errno;
	return 0;
}

/* EINVAL: this file system has no such call. */
static int sync_to_disk(int fd)
{
	return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

static int replace(struct replace *r, const char *path, struct span text, mode_t mode)
{
	r->what = NULL;
	int rc = resolve(r, path);

	if (rc == 0)
		rc = look(r);
	if (rc < 0)
		return rc;
	r->what = "a new file cannot be made beside it";
	rc = create_new(r);
	if (rc == 0)
		rc = dress_new(r, mode);
	if (rc < 0)
		return rc;
	r->what = "the new file cannot be written";
	rc = write_new(r, text);
	if (rc == 0)
		rc = sync_to_disk(r->fd);
	if (rc < 0)
		return rc;
	r->what = "the new file cannot take its place";
	if (renameat(r->folder, r->new_name, r->folder, r->name) < 0)
		return -errno;
	r->created = false;
	r->what = "it is replaced, but its folder cannot be synced";
	return sync_to_disk(r->folder);
}

int file_replace(const char *path, struct span text, mode_t mode, const char **what)
{
	struct replace *r = calloc(1, sizeof *r);

	*what = NULL;
	if (!r)
		return HAP_ENOMEM;
	r->folder = r->fd = -1;
	int rc = replace(r, path, text, mode);

	*what = r->what;
	if (r->created)
		unlinkat(r->folder, r->new_name, 0);
	if (r->fd >= 0)
		close(r->fd);
	if (r->folder >= 0)
		close(r->folder);
	free(r);
	return rc;
}
