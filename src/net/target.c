/* SPDX-License-Identifier: MIT
 *
 * target.c - making and freeing targets. */
#include "net/target.h"
#include "protocol/command.h"
#include "base/err.h"

#include <stdlib.h>

/* Over TCP commands are joined to a line that surely fits one segment: every path that
 * carries IPv6 has room for so much behind its headers. Why a line must arrive in one
 * piece, and what is done about longer commands: connect.h. */
#define TCP_LINE_MAX 1200
#define ANSWER_MAX   (256u << 20)
#define TIMEOUT      5.0

int target_new(struct target **out, struct span address, struct span route,
	       const struct permit *permit, struct clock *clock, uv_loop_t *loop)
{
	struct address where;
	int rc = address_parse(&where, address);

	if (rc == 0 && route.n > 0 && !address_route(route))
		rc = HAP_EPROCESS;
	if (rc < 0)
		return rc;
	struct target *t = calloc(1, sizeof *t);

	if (!t)
		return HAP_ENOMEM;
	t->refs = 1;
	TAILQ_INIT(&t->queue);
	t->name = strndup(address.p, address.n);
	t->route = strndup(route.n ? route.p : "", route.n);
	t->address = where;
	t->permit = permit;
	t->clock = clock;
	t->loop = loop;
	t->timeout = TIMEOUT;
	t->line_max = where.kind == ADDRESS_TCP ? TCP_LINE_MAX : HAP_COMMAND_MAX;
	t->answer_max = ANSWER_MAX;
	t->connections_max = TARGET_CONNECTIONS_MAX;
	if (!t->name || !t->route) {
		target_unref(t);
		return HAP_ENOMEM;
	}
	*out = t;
	return 0;
}

struct target *target_ref(struct target *t)
{
	t->refs++;
	return t;
}

void target_unref(struct target *t)
{
	if (--t->refs > 0)
		return;
	free(t->name);
	free(t->route);
	free(t);
}
