/* SPDX-License-Identifier: MIT
 *
 * grpc.c - frames, status and message of gRPC. */
#include "etcd/grpc.h"
#include "base/err.h"

#include <stdint.h>
#include <strings.h>

#define HEAD 5

int grpc_add_frame(struct buf *out, struct span message)
{
	unsigned char head[HEAD] = {
		0,
		(unsigned char)(message.n >> 24),
		(unsigned char)(message.n >> 16),
		(unsigned char)(message.n >> 8),
		(unsigned char)message.n,
	};

	if (message.n > UINT32_MAX || buf_reserve(out, HEAD + message.n) < 0)
		return HAP_ENOMEM;
	buf_add(out, head, HEAD);
	return buf_add_span(out, message);
}

int grpc_feed(struct grpc_frames *frames, struct span bytes)
{
	struct buf *in = &frames->in;

	if (frames->rc < 0)
		return frames->rc;
	if (frames->taken > 0) {
		in->n -= frames->taken;
		memmove(in->p, in->p + frames->taken, in->n);
		frames->taken = 0;
	}
	if (bytes.n > GRPC_MESSAGE_MAX + HEAD - in->n)
		frames->rc = HAP_ELIMIT;
	else if (buf_add_span(in, bytes) < 0)
		frames->rc = HAP_ENOMEM;
	return frames->rc;
}

int grpc_next(struct grpc_frames *frames, struct span *message)
{
	const unsigned char *p;
	size_t left = frames->in.n - frames->taken, n;

	if (frames->rc < 0)
		return frames->rc;
	if (left < HEAD)
		return 0;
	p = (const unsigned char *)frames->in.p + frames->taken;
	n = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	if (p[0] != 0)
		frames->rc = HAP_EPROTOCOL;
	else if (n > GRPC_MESSAGE_MAX)
		frames->rc = HAP_ELIMIT;
	if (frames->rc < 0)
		return frames->rc;
	if (left - HEAD < n)
		return 0;
	*message = (struct span){frames->in.p + frames->taken + HEAD, n};
	frames->taken += HEAD + n;
	return 1;
}

int grpc_has_rest(const struct grpc_frames *frames)
{
	return frames->in.n > frames->taken;
}

void grpc_free(struct grpc_frames *frames)
{
	buf_free(&frames->in);
	*frames = (struct grpc_frames){0};
}

struct span grpc_header(struct span line, const char *name)
{
	size_t n = strlen(name);

	if (line.n <= n || line.p[n] != ':' || strncasecmp(line.p, name, n) != 0)
		return (struct span){0};
	line.p += n + 1;
	line.n -= n + 1;
	while (line.n > 0 && (*line.p == ' ' || *line.p == '\t'))
		line.p++, line.n--;
	while (line.n > 0 && strchr("\r\n\t ", line.p[line.n - 1]))
		line.n--;
	return line;
}

int grpc_status(struct span value)
{
	int status = 0;

	if (value.n < 1 || value.n > 3)
		return GRPC_NONE;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return GRPC_NONE;
		status = status * 10 + (value.p[i] - '0');
	}
	return status;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = NULL;

	if (c >= 'A' && c <= 'F')
		c = (char)(c - 'A' + 'a');
	if (c != '\0')
		at = strchr(digits, c);
	return at ? (int)(at - digits) : -1;
}

int grpc_add_message(struct buf *out, struct span value)
{
	if (buf_reserve(out, value.n) < 0)
		return HAP_ENOMEM;
	for (size_t i = 0; i < value.n; i++) {
		int high = -1, low = -1;

		if (value.p[i] == '%' && value.n - i > 2) {
			high = hex_digit(value.p[i + 1]);
			low = hex_digit(value.p[i + 2]);
		}
		if (high < 0 || low < 0) {
			buf_add_byte(out, value.p[i]);
			continue;
		}
		buf_add_byte(out, (char)(high << 4 | low));
		i += 2;
	}
	return 0;
}

const char *grpc_status_name(int status)
{
	static const char *names[] = {
		"OK",
		"Canceled",
		"Unknown",
		"InvalidArgument",
		"DeadlineExceeded",
		"NotFound",
		"AlreadyExists",
		"PermissionDenied",
		"ResourceExhausted",
		"FailedPrecondition",
		"Aborted",
		"OutOfRange",
		"Unimplemented",
		"Internal",
		"Unavailable",
		"DataLoss",
		"Unauthenticated",
	};
	int n = (int)(sizeof names / sizeof *names);

	return names[status >= 0 && status < n ? status : 2];
}
