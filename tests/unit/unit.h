/* SPDX-License-Identifier: MIT
 *
 * unit.h - shared by the C unit tests: cmocka, assertions on spans, failing allocations.
 * A test that needs failing allocations defines UNIT_OOM before it includes this. */
#ifndef HAP_UNIT_H
#define HAP_UNIT_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"

/* Fail the test unless the spans are equal; print both. */
static inline void check_span(struct span got, struct span want, const char *what,
			      const char *file, int line)
{
	if (!span_equal(got, want)) {
		print_error("%s: got \"%.*s\" (%zu), expected \"%.*s\" (%zu)\n", what,
			    (int)got.n, got.n ? got.p : "", got.n, (int)want.n,
			    want.n ? want.p : "", want.n);
		_fail(file, line);
	}
}

#define assert_span(got, want) check_span(got, want, #got, __FILE__, __LINE__)
#define assert_text(got, want) check_span(got, span_of(want), #got, __FILE__, __LINE__)

/* Copy bytes to memory of exactly their size, so that a sanitizer reports the first byte
 * read past the end. The caller frees the result. */
static inline char *exact_copy(struct span s)
{
	char *p = malloc(s.n ? s.n : 1);

	assert_non_null(p);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

#ifdef UNIT_OOM
/* The call of malloc() or realloc() that fails: 1 is the next one, 2 the one after it; 0:
 * none. */
static size_t oom_at;

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
	if (oom_at > 0 && --oom_at == 0)
		return NULL;
	return __real_malloc(n);
}

void *__wrap_realloc(void *p, size_t n)
{
	if (oom_at > 0 && --oom_at == 0)
		return NULL;
	return __real_realloc(p, n);
}
#endif

#endif
