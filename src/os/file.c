/* SPDX-License-Identifier: MIT
 *
 * file.c - files that are created, read and locked; file_replace.c replaces them. */
#include "os/file.h"
#include "base/err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LOCK_MODE 0600
#define READ_STEP 65536

/* The umask is the whole process's; nothing else runs meanwhile that would create a
 * file. */
int file_create(const char *path, mode_t type, mode_t mode)
{
	mode_t mask = umask(0);
	int fd = type == S_IFDIR
			 ? mkdir(path, mode)
			 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int rc = fd < 0 ? -errno : 0;

	umask(mask);
	if (type != S_IFDIR && fd >= 0)
		close(fd);
	return rc;
}

static bool is_private_group(gid_t gid, uid_t uid)
{
	const struct passwd *user = getpwuid(uid);
	const struct group *group = user && user->pw_gid == gid ? getgrgid(gid) : NULL;

	if (!group || strcmp(group->gr_name, user->pw_name) != 0)
		return false;
	for (char **member = group->gr_mem; *member; member++)
		if (strcmp(*member, user->pw_name) != 0)
			return false;
	return true;
}

static bool is_our_uid(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

bool file_is_ours(const char *path)
{
	struct stat link, st;

	if (lstat(path, &link) < 0 || stat(path, &st) < 0)
		return false;
	if (!is_our_uid(link.st_uid) || !is_our_uid(st.st_uid) || st.st_mode & S_IWOTH)
		return false;
	if (!(st.st_mode & S_IWGRP))
		return true;
	/* Where there is an access list, the bits of the group are its mask. */
	if (getxattr(path, "system.posix_acl_access", NULL, 0) >= 0)
		return false;
	return is_private_group(st.st_gid, st.st_uid) ||
	       is_private_group(st.st_gid, geteuid());
}

int file_list(const char *path, struct buf *names)
{
	DIR *folder = opendir(path);
	int rc = 0;

	if (!folder)
		return -errno;
	while (rc == 0) {
		errno = 0; /* readdir() returns NULL at the end, too */
		const struct dirent *e = readdir(folder);

		if (!e) {
			rc = -errno;
			break;
		}
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = buf_add(names, e->d_name, strlen(e->d_name) + 1);
	}
	closedir(folder);
	return rc;
}

/* Does not ask for the size of the file: in /proc that is 0. */
static int read_all(int fd, size_t limit, struct buf *out)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	for (;;) {
		if (buf_reserve(out, READ_STEP) < 0)
			return HAP_ENOMEM;
		ssize_t n = read(fd, out->p + out->n, READ_STEP);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		out->n += (size_t)n;
		if (out->n > limit)
			return -EFBIG;
	}
}

int file_read(const char *path, size_t limit, struct buf *out)
{
	/* Without O_NONBLOCK a FIFO would wait for a writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	int rc = read_all(fd, limit, out);

	close(fd);
	return rc;
}

/* Locks of the open file description (F_OFD_SETLK), not of the process: two in one
 * process exclude each other, and closing another descriptor of the file releases none.
 */

static struct flock slot_of(int64_t slot)
{
	return (struct flock){
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1};
}

/* Who may only read a file can hold a shared lock on it, for ever. Earlier versions made
 * the file with mode 0640. A file with content is no lock file. */
static void close_to_readers(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size > 0)
		return;
	mode_t mode = st.st_mode & 07777;

	if (!(mode & S_IWGRP))
		mode &= ~(mode_t)S_IRGRP;
	if (!(mode & S_IWOTH))
		mode &= ~(mode_t)S_IROTH;
	if (mode != (st.st_mode & 07777))
		(void)!fchmod(fd, mode); /* only its owner may */
}

int file_lock(const char *path, int64_t slot)
{
	struct flock lock = slot_of(slot);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		      LOCK_MODE);

	if (fd < 0)
		return -errno;
	close_to_readers(fd);
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return fd;
	int rc = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;

	close(fd);
	return rc;
}

/* Does /proc/locks have the slot? It shows locks on files that this user may not open. */
static int is_listed(const char *path, int64_t slot)
{
	char line[256];
	struct stat st;
	bool found = false;

	if (stat(path, &st) < 0)
		return -errno;
	FILE *f = fopen("/proc/locks", "re");

	if (!f)
		return -errno;
	while (!found && fgets(line, sizeof line, f)) {
		unsigned long long inode;
		long long start;

		found = sscanf(line, "%*d: OFDLCK %*s WRITE %*d %*x:%*x:%llu %lld",
			       &inode, &start) == 2 &&
			inode == st.st_ino && start == slot;
	}
	fclose(f);
	return found;
}

int file_locked(const char *path, int64_t slot)
{
	struct flock lock = slot_of(slot);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && errno == EACCES)
		return is_listed(path, slot);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	int rc = fcntl(fd, F_OFD_GETLK, &lock) < 0 ? -errno : lock.l_type != F_UNLCK;

	close(fd);
	return rc;
}
