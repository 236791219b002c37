/* SPDX-License-Identifier: MIT
 *
 * single_write.c - the room in a local socket's buffer, and the size of a segment. */
#include "net/single_write.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <uv.h>

/* The smallest buffer of a local socket takes so much in one piece: Linux makes none of
 * less than twice 2048 bytes and an overhead. */
#define SMALL_WRITE 2048
/* The largest piece that Linux passes on is half of the buffer, less this. */
#define OVERHEAD 64

static int get(int fd, int level, int name, size_t *value)
{
	int n = 0;
	socklen_t size = sizeof n;

	if (getsockopt(fd, level, name, &n, &size) < 0)
		return -errno;
	*value = n > 0 ? (size_t)n : 0;
	return 0;
}

static int prepare_local(int fd, size_t n)
{
	size_t half = n + OVERHEAD, room = 0;
	int rc = get(fd, SOL_SOCKET, SO_SNDBUF, &room);

	if (rc == 0 && room / 2 < half) {
		/* Linux doubles it, after it has cut it to net.core.wmem_max. */
		int wanted = (int)half;

		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
		rc = get(fd, SOL_SOCKET, SO_SNDBUF, &room);
	}
	if (rc < 0)
		return rc;
	return room / 2 < half ? UV_EMSGSIZE : 0;
}

int single_write_prepare(int fd, bool local, struct span bytes)
{
	size_t segment = 0;

	if (local)
		return bytes.n > SMALL_WRITE ? prepare_local(fd, bytes.n) : 0;
	const char *end = memchr(bytes.p, '\n', bytes.n);
	size_t line = end ? (size_t)(end - bytes.p) + 1 : bytes.n;
	int rc = get(fd, IPPROTO_TCP, TCP_MAXSEG, &segment);

	if (rc < 0)
		return rc;
	return line > segment ? UV_EMSGSIZE : 0;
}
