/* SPDX-License-Identifier: MIT
 *
 * test_grpc.c - frames of gRPC, which come in any pieces; status and message. */
/* link: --wrap=malloc --wrap=realloc */
#define UNIT_OOM
#include "unit.h"
#include "base/err.h"
#include "etcd/grpc.h"

static const char stream[] = "\0\0\0\0\3abc"
			     "\0\0\0\0\0"
			     "\0\0\0\0\1\0";

/* Take what is there; the messages are joined with '|'. */
static void take_all(struct grpc_frames *frames, struct buf *out)
{
	struct span message;

	while (grpc_next(frames, &message) == 1) {
		buf_add_span(out, message);
		buf_add_byte(out, '|');
	}
}

static void feed(struct grpc_frames *frames, struct span bytes)
{
	char *p = exact_copy(bytes);

	assert_int_equal(grpc_feed(frames, (struct span){p, bytes.n}), 0);
	free(p);
}

static void test_pieces(void **state)
{
	struct span all = {stream, sizeof stream - 1};

	(void)state;
	for (size_t piece = 1; piece <= all.n; piece++) {
		struct grpc_frames frames = {0};
		struct buf out = {0};

		for (size_t at = 0; at < all.n; at += piece) {
			size_t n = at + piece < all.n ? piece : all.n - at;

			feed(&frames, (struct span){all.p + at, n});
			take_all(&frames, &out);
		}
		assert_span(buf_span(&out), SPAN_LIT("abc||\0|"));
		assert_false(grpc_has_rest(&frames));
		grpc_free(&frames);
		buf_free(&out);
	}
}

static void test_cut(void **state)
{
	struct grpc_frames frames = {0};
	struct span message;

	(void)state;
	feed(&frames, SPAN_LIT("\0\0\0\0\3ab"));
	assert_int_equal(grpc_next(&frames, &message), 0);
	assert_true(grpc_has_rest(&frames));
	grpc_free(&frames);
}

static void test_compressed(void **state)
{
	struct grpc_frames frames = {0};
	struct span message;

	(void)state;
	feed(&frames, SPAN_LIT("\0\0\0\0\1a\1\0\0\0\1b"));
	assert_int_equal(grpc_next(&frames, &message), 1);
	assert_text(message, "a");
	assert_int_equal(grpc_next(&frames, &message), HAP_EPROTOCOL);
	assert_int_equal(grpc_next(&frames, &message), HAP_EPROTOCOL);
	assert_int_equal(grpc_feed(&frames, SPAN_LIT("x")), HAP_EPROTOCOL);
	grpc_free(&frames);
}

/* The length alone says that it is too long: no byte of it is waited for. */
static void test_too_long(void **state)
{
	struct grpc_frames frames = {0};
	struct span message;

	(void)state;
	feed(&frames, SPAN_LIT("\0\4\0\0\1"));
	assert_int_equal(grpc_next(&frames, &message), HAP_ELIMIT);
	grpc_free(&frames);
	feed(&frames, SPAN_LIT("\0\4\0\0\0"));
	assert_int_equal(grpc_next(&frames, &message), 0);
	grpc_free(&frames);
	feed(&frames, SPAN_LIT("\0\xff\xff\xff\xff"));
	assert_int_equal(grpc_next(&frames, &message), HAP_ELIMIT);
	grpc_free(&frames);
}

/* Messages that nobody takes use up no more than a limit. */
static void test_not_taken(void **state)
{
	size_t half = GRPC_MESSAGE_MAX / 2 + 3;
	struct grpc_frames frames = {0};
	char *bytes = calloc(1, half);

	(void)state;
	assert_non_null(bytes);
	assert_int_equal(grpc_feed(&frames, (struct span){bytes, half}), 0);
	assert_int_equal(grpc_feed(&frames, (struct span){bytes, half}), HAP_ELIMIT);
	grpc_free(&frames);
	free(bytes);
}

static void test_add_frame(void **state)
{
	struct buf out = {0};

	(void)state;
	assert_int_equal(grpc_add_frame(&out, SPAN_LIT("abc")), 0);
	assert_int_equal(grpc_add_frame(&out, SPAN_LIT("")), 0);
	assert_span(buf_span(&out), SPAN_LIT("\0\0\0\0\3abc\0\0\0\0\0"));
	buf_free(&out);
}

static void test_header(void **state)
{
	(void)state;
	assert_text(grpc_header(SPAN_LIT("grpc-status: 14\r\n"), "grpc-status"), "14");
	assert_text(grpc_header(SPAN_LIT("Grpc-Status:7"), "grpc-status"), "7");
	assert_text(grpc_header(SPAN_LIT("grpc-status:\r\n"), "grpc-status"), "");
	assert_null(grpc_header(SPAN_LIT("grpc-status-details-bin: x"), "grpc-status").p);
	assert_null(grpc_header(SPAN_LIT("grpc-status"), "grpc-status").p);
	assert_null(grpc_header(SPAN_LIT("\r\n"), "grpc-status").p);
}

static void test_status(void **state)
{
	(void)state;
	assert_int_equal(grpc_status(SPAN_LIT("0")), 0);
	assert_int_equal(grpc_status(SPAN_LIT("14")), 14);
	assert_int_equal(grpc_status(SPAN_LIT("")), GRPC_NONE);
	assert_int_equal(grpc_status(SPAN_LIT("-1")), GRPC_NONE);
	assert_int_equal(grpc_status(SPAN_LIT("0x")), GRPC_NONE);
	assert_int_equal(grpc_status(SPAN_LIT("1000")), GRPC_NONE);
	assert_string_equal(grpc_status_name(14), "Unavailable");
	assert_string_equal(grpc_status_name(16), "Unauthenticated");
	assert_string_equal(grpc_status_name(17), "Unknown");
	assert_string_equal(grpc_status_name(GRPC_NONE), "Unknown");
}

static void test_message(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{"etcdserver: no leader", "etcdserver: no leader"},
		{"a%20b%2Fc%c3%A4", "a b/c\xc3\xa4"},
		{"100%", "100%"},
		{"%4", "%4"},
		{"%zz%41", "%zzA"},
		{"%%41", "%A"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct span from = span_of(cases[i].from);
		char *p = exact_copy(from);
		struct buf out = {0};

		assert_int_equal(grpc_add_message(&out, (struct span){p, from.n}), 0);
		assert_text(buf_span(&out), cases[i].to);
		buf_free(&out);
		free(p);
	}
}

static void test_memory(void **state)
{
	struct grpc_frames frames = {0};
	struct buf out = {0};
	struct span message;

	(void)state;
	oom_at = 1;
	assert_int_equal(grpc_add_frame(&out, SPAN_LIT("abc")), HAP_ENOMEM);
	oom_at = 1;
	assert_int_equal(grpc_add_message(&out, SPAN_LIT("abc")), HAP_ENOMEM);
	assert_int_equal(out.n, 0);
	oom_at = 1;
	assert_int_equal(grpc_feed(&frames, SPAN_LIT("abc")), HAP_ENOMEM);
	assert_int_equal(grpc_feed(&frames, SPAN_LIT("abc")), HAP_ENOMEM);
	assert_int_equal(grpc_next(&frames, &message), HAP_ENOMEM);
	grpc_free(&frames);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),     cmocka_unit_test(test_cut),
		cmocka_unit_test(test_compressed), cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_not_taken),  cmocka_unit_test(test_add_frame),
		cmocka_unit_test(test_header),     cmocka_unit_test(test_status),
		cmocka_unit_test(test_message),    cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
