/* SPDX-License-Identifier: MIT
 *
 * model.h - how HAProxy reads a request line, written independently of command.c. The
 * unit and fuzz tests compare our encoder with it. Facts: docs/protocol.md, "Words". */
#ifndef HAP_MODEL_H
#define HAP_MODEL_H

#include "base/buf.h"

#include <stdbool.h>

enum { MODEL_WORDS_MAX = 80 };

struct model_command {
	size_t n;
	struct span words[MODEL_WORDS_MAX];
};

/* The length of the command that begins at line[0]. It ends at an unescaped ';' or at the
 * end of the line. */
static inline size_t model_end(const char *line, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (line[i] == '\\')
			i++;
		else if (line[i] == ';')
			return i;
	}
	return n;
}

/* Cut a command's words apart and undo their escapes, in place. A CR that ends a command
 * is dropped first. */
static inline void model_split(struct model_command *out, char *p, size_t n)
{
	size_t i = 0, to = 0;

	out->n = 0;
	if (n > 0 && p[n - 1] == '\r')
		n--;
	while (i < n) {
		if (p[i] == ' ' || p[i] == '\t') {
			i++;
			continue;
		}
		size_t begin = to;

		for (; i < n && p[i] != ' ' && p[i] != '\t'; i++) {
			if (p[i] == '\\' && ++i == n)
				break;
			p[to++] = p[i];
		}
		if (out->n < MODEL_WORDS_MAX)
			out->words[out->n] = (struct span){p + begin, to - begin};
		out->n++;
	}
}

/* Would 2.2 and 2.6 wait for a payload after this command? */
static inline bool model_marked_old(const char *p, size_t n)
{
	if (n > 0 && p[n - 1] == '\r')
		n--;
	return n >= 2 && p[n - 2] == '<' && p[n - 1] == '<';
}

/* Would 3.0 and 3.2 wait for one? They look at what follows the last blank, whether that
 * is escaped or not. */
static inline bool model_marked_new(const char *p, size_t n)
{
	size_t i;

	if (n > 0 && p[n - 1] == '\r')
		n--;
	for (i = n; i > 0 && p[i - 1] != ' ' && p[i - 1] != '\t'; i--)
		;
	return n - i >= 2 && n - i <= 9 && p[i] == '<' && p[i + 1] == '<';
}

#endif
