/* SPDX-License-Identifier: MIT
 *
 * fuzz_frame.c - an answer that comes in pieces is cut as one that comes whole, and its
 * replies make up the answer. Input: how many replies, a seed for the pieces, the answer.
 */
#include "fuzz.h"
#include "base/err.h"
#include "protocol/frame.h"

#define REPLIES_MAX 64

struct outcome {
	size_t n;
	struct span replies[REPLIES_MAX];
	int rc;
	bool whole;
};

static void take_all(struct outcome *o, struct frame *f, struct span answer)
{
	struct span reply;

	while (frame_next(f, answer, &reply)) {
		CHECK(inside(reply, answer) && o->n < REPLIES_MAX);
		CHECK(reply.n == 0 || reply.p[reply.n - 1] == '\n');
		o->replies[o->n++] = reply;
	}
	CHECK(inside(frame_tail(f, answer), answer));
}

static void finish(struct outcome *o, struct frame *f, struct span answer)
{
	struct span reply;

	o->rc = frame_last(f, answer, &reply, &o->whole);
	CHECK(o->rc == 0 || o->rc == HAP_EPROTOCOL);
	if (o->rc == 0) {
		CHECK(inside(reply, answer) && o->n < REPLIES_MAX);
		o->replies[o->n++] = reply;
	}
}

static void check_sum(const struct outcome *o, struct span answer)
{
	size_t at = 0;

	for (size_t i = 0; i < o->n; i++) {
		bool last = o->rc == 0 && i == o->n - 1;

		CHECK(o->replies[i].n == 0 || o->replies[i].p == answer.p + at);
		at += o->replies[i].n + (last ? o->whole : 1);
	}
	CHECK(o->rc < 0 || at == answer.n);
	CHECK(at <= answer.n);
}

/* A plain answer is cut into just as many replies, all of them whole. */
static void check_plain(size_t replies, struct span answer)
{
	struct outcome plain = {0};
	struct frame f;

	frame_start(&f, replies);
	if (!frame_is_plain(&f, answer))
		return;
	take_all(&plain, &f, answer);
	finish(&plain, &f, answer);
	CHECK(plain.n == replies && plain.rc == 0 && plain.whole);
	check_sum(&plain, answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span input = {(const char *)data, n};
	size_t replies = 1 + fuzz_byte(&input) % REPLIES_MAX;
	uint32_t seed = fuzz_byte(&input);
	struct outcome whole = {0}, pieces = {0};
	struct frame f;

	frame_start(&f, replies);
	take_all(&whole, &f, input);
	finish(&whole, &f, input);
	check_sum(&whole, input);
	check_plain(replies, input);
	CHECK(whole.n <= replies && (whole.rc < 0 || whole.n == replies));
	frame_start(&f, replies);
	for (size_t fed = 0; fed < input.n;) {
		seed = seed * 1103515245 + 12345;
		fed += 1 + (seed >> 16) % 9;
		if (fed > input.n)
			fed = input.n;
		take_all(&pieces, &f, (struct span){input.p, fed});
	}
	finish(&pieces, &f, input);
	CHECK(pieces.n == whole.n && pieces.rc == whole.rc &&
	      pieces.whole == whole.whole);
	for (size_t i = 0; i < whole.n; i++)
		CHECK(pieces.replies[i].n == whole.replies[i].n &&
		      (whole.replies[i].n == 0 ||
		       pieces.replies[i].p == whole.replies[i].p));
	return 0;
}
