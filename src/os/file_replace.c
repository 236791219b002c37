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
	char name[NAME_MAX + 1]; /* of the file itself, links resolved */
	char new_name[NAME_MAX + 1];
	int folder; /* that it lies in */
	int fd;     /* of the new file; -1: not open */
	bool existed, created;
	struct stat before;
	const char *what; /* the step that failed */
};

/* Open a folder, relative to r->folder, in the place of that one. */
static int open_folder(struct replace *r, const char *path, int flags)
{
	int fd = openat(r->folder, path, flags | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (r->folder >= 0)
		close(r->folder);
	r->folder = fd;
	return 0;
}

/* Read what r->name in r->folder says as a link: its length; 0: it is no link, or is not
 * there. UV_EPERM: the link is neither root's nor this user's, who could be led anywhere.
 */
static int read_link(struct replace *r, char target[PATH_MAX])
{
	struct stat st;
	int rc = 0;

	if (fstatat(r->folder, r->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISLNK(st.st_mode))
		return 0;
	int fd = openat(r->folder, r->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = -errno;
	} else if (st.st_uid != 0 && st.st_uid != geteuid()) {
		r->what = "a link on the way is another user's";
		rc = -EPERM;
	} else {
		rc = (int)readlinkat(fd, "", target, PATH_MAX - 1);
		rc = rc < 0 ? -errno : rc;
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Go to the folder of the file itself, link by link; r->name need not be there. */
static int follow(struct replace *r, const char *path)
{
	char rest[PATH_MAX], target[PATH_MAX];
	int links = 0, rc;

	if (strlen(path) >= sizeof rest)
		return -ENAMETOOLONG;
	strcpy(rest, path);
	rc = open_folder(r, *path == '/' ? "/" : ".", O_PATH);
	while (rc == 0 && links < LINKS_MAX) {
		const char *name = rest + strspn(rest, "/");
		size_t n = strcspn(name, "/"), left = strlen(name + n) + 1;
		bool last = strspn(name + n, "/") + 1 == left;

		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		snprintf(r->name, sizeof r->name, "%.*s", (int)n, name);
		if (last && (left > 1 || !*r->name || strcmp(r->name, ".") == 0 ||
			     strcmp(r->name, "..") == 0))
			return -EISDIR;
		int length = read_link(r, target);

		if (length < 0 || (length == 0 && last))
			return length;
		if ((size_t)length + left > sizeof rest)
			return -ENAMETOOLONG;
		if (length == 0)
			rc = open_folder(r, r->name, O_PATH | O_NOFOLLOW);
		else if (*target == '/')
			rc = open_folder(r, "/", O_PATH);
		memmove(rest + length, name + n, left);
		memcpy(rest, target, (size_t)length);
		links += length > 0;
	}
	return rc < 0 ? rc : -ELOOP;
}

static int look(struct replace *r, const char *path)
{
	int rc = follow(r, path);

	if (rc == 0)
		rc = open_folder(r, ".", O_RDONLY); /* fsync() takes no O_PATH */
	if (rc < 0)
		return rc;
	snprintf(r->new_name, sizeof r->new_name, ".%.*s" SUFFIX,
		 (int)(NAME_MAX - sizeof SUFFIX), r->name);
	if (fstatat(r->folder, r->name, &r->before, AT_SYMLINK_NOFOLLOW) == 0)
		r->existed = true;
	else if (errno != ENOENT)
		return -errno;
	if (r->existed && !S_ISREG(r->before.st_mode))
		return S_ISDIR(r->before.st_mode) ? -EISDIR : -EINVAL;
	return 0;
}

/* Lock the open file, and see that it is still the one with this name. 0; UV_EAGAIN: it
 * is not, or not any more; UV_EBUSY: another process writes it. */
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
	int rc = look(r, path);

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
	r->folder = AT_FDCWD;
	r->fd = -1;
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
