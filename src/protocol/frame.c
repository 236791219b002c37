/* SPDX-License-Identifier: MIT
 *
 * frame.c - finding the ends of replies, each byte looked at once. */
#include "protocol/frame.h"
#include "base/err.h"

#include <stdint.h>

void frame_start(struct frame *f, size_t replies)
{
	*f = (struct frame){.left = replies};
}

/* Hand out the `body` bytes at f->at, followed by `end` bytes of framing. */
static struct span take(struct frame *f, struct span answer, size_t body, size_t end)
{
	struct span reply = {answer.p + f->at, body};

	f->at += body + end;
	f->seen = 0;
	f->left--;
	return reply;
}

/* Where two LF stand side by side; NULL: nowhere. Lines are short, and memchr() is faster
 * on them than memmem(). */
static const char *find_end(const char *p, const char *end)
{
	for (; (p = memchr(p, '\n', (size_t)(end - p))) && p + 1 < end; p++)
		if (p[1] == '\n')
			return p;
	return NULL;
}

int frame_next(struct frame *f, struct span answer, struct span *reply)
{
	if (f->left <= 1 || f->at + f->seen >= answer.n)
		return 0;
	const char *begin = answer.p + f->at;
	size_t n = answer.n - f->at;

	if (f->seen == 0 && *begin == '\n') {
		*reply = take(f, answer, 0, 1);
		return 1;
	}
	/* The LF before the closing one may be the last byte of an earlier look. */
	size_t from = f->seen > 0 ? f->seen - 1 : 0;
	const char *end = find_end(begin + from, begin + n);

	if (!end) {
		f->seen = n;
		return 0;
	}
	*reply = take(f, answer, (size_t)(end - begin) + 1, 1);
	return 1;
}

bool frame_is_plain(const struct frame *f, struct span answer)
{
	struct frame all = *f;
	struct span reply;
	size_t ends = 0;

	for (all.left = SIZE_MAX; frame_next(&all, answer, &reply);)
		ends++;
	return ends == f->left && all.at == answer.n;
}

int frame_last(struct frame *f, struct span answer, struct span *reply, bool *whole)
{
	if (f->left != 1 || f->at >= answer.n || answer.p[answer.n - 1] != '\n')
		return HAP_EPROTOCOL;
	struct span rest = {answer.p + f->at, answer.n - f->at};

	*whole = rest.n == 1 || rest.p[rest.n - 2] == '\n';
	*reply = take(f, answer, rest.n - *whole, *whole);
	return 0;
}
