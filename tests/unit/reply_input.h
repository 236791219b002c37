/* SPDX-License-Identifier: MIT
 *
 * reply_input.h - input for the tests of the row readers, in memory of its exact size. */
#ifndef HAP_REPLY_INPUT_H
#define HAP_REPLY_INPUT_H

#include "unit.h"

#define SAME(got, want) assert_span(got, SPAN_LIT(want))

static char *input;

static struct span text(const char *s)
{
	free(input);
	input = exact_copy(span_of(s));
	return (struct span){input, strlen(s)};
}

static int forget_input(void **state)
{
	(void)state;
	free(input);
	input = NULL;
	return 0;
}

#endif
