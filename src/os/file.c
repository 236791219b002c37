/* SPDX-License-Identifier: MIT
 *
 * file.c - files that are created, read and locked; file_replace.c replaces them. */
#include "os/file.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_MODE 0640
#define READ_STEP 65536

/* The umask is the whole process's; nothing else runs meanwhile that would create a
 * file. */
int file_create(const char *path, mode_t mode)
{
	mode_t mask = umask(0);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int rc = fd < 0 ? -errno : 0;

	umask(mask);
	if (fd >= 0)
		close(fd);
	return rc;
}

int file_folder(const char *path, mode_t mode)
{
	mode_t mask = umask(0);
	int rc = mkdir(path, mode) < 0 ? -errno : 0;

	umask(mask);
	return rc;
}

/* Reading. The size that a file claims is not asked: in /proc it is 0. */

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

/* Locks belong to the open file, not to the process: two of one process exclude each
 * other, and to close one descriptor of the file leaves the others' locks alone. */

static struct flock slot_of(int64_t slot)
{
	return (struct flock){
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1};
}

int file_lock(const char *path, int64_t slot)
{
	struct flock lock = slot_of(slot);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		      LOCK_MODE);

	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return fd;
	int rc = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;

	close(fd);
	return rc;
}

int file_locked(const char *path, int64_t slot)
{
	struct flock lock = slot_of(slot);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	int rc = fcntl(fd, F_OFD_GETLK, &lock) < 0 ? -errno : lock.l_type != F_UNLCK;

	close(fd);
	return rc;
}
