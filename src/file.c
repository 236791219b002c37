/* SPDX-License-Identifier: MIT
 *
 * file.c - files that are created, replaced, read and locked. */
#include "file.h"
#include "err.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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
