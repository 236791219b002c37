/* SPDX-License-Identifier: MIT
 *
 * fuzz_grpc.c - a response that comes in pieces has the messages of one that comes whole;
 * messages in frames come back; a grpc-message never grows. Input: a seed for the pieces,
 * the response. */
#include "fuzz.h"
#include "base/err.h"
#include "etcd/grpc.h"

/* Take what is there; what was taken goes into frames again. */
static int take_all(struct grpc_frames *frames, struct buf *again)
{
	struct span message;
	int rc;

	while ((rc = grpc_next(frames, &message)) == 1) {
		CHECK(message.n <= GRPC_MESSAGE_MAX);
		CHECK(inside(message, buf_span(&frames->in)));
		CHECK(grpc_add_frame(again, message) == 0);
	}
	return rc;
}

static void check_message(struct span input)
{
	struct buf message = {0};

	CHECK(grpc_add_message(&message, input) == 0 && message.n <= input.n);
	buf_free(&message);
	struct span value = grpc_header(input, "grpc-status");

	CHECK(!value.p || inside(value, input));
	CHECK(grpc_status(input) >= GRPC_NONE && grpc_status_name(grpc_status(input)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span input = {(const char *)data, n};
	uint32_t seed = fuzz_byte(&input);
	struct grpc_frames whole = {0}, pieces = {0};
	struct buf once = {0}, parts = {0};
	int rc = grpc_feed(&whole, input), parts_rc = 0;

	check_message(input);
	rc = rc < 0 ? rc : take_all(&whole, &once);
	for (size_t fed = 0; fed < input.n && parts_rc == 0;) {
		size_t more;

		seed = seed * 1103515245 + 12345;
		more = 1 + (seed >> 16) % 9;
		more = more < input.n - fed ? more : input.n - fed;
		CHECK(grpc_feed(&pieces, (struct span){input.p + fed, more}) == 0);
		parts_rc = take_all(&pieces, &parts);
		fed += more;
	}
	CHECK(rc == parts_rc && span_equal(buf_span(&once), buf_span(&parts)));
	CHECK(rc < 0 || grpc_has_rest(&whole) == grpc_has_rest(&pieces));
	CHECK(once.n <= input.n && (once.n == 0 || memcmp(once.p, input.p, once.n) == 0));
	grpc_free(&whole);
	grpc_free(&pieces);
	buf_free(&once);
	buf_free(&parts);
	return 0;
}
