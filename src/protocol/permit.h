/* SPDX-License-Identifier: MIT
 *
 * permit.h - what a run may change: --read-only and --only.
 * Pure: no sockets, no Lua, no clock. A command is judged by the bytes that would be
 * sent, split as HAProxy splits them. What is not known to leave HAProxy alone counts as
 * a change, and a change that is not known to stay within a reference as one outside. */
#ifndef HAP_PERMIT_H
#define HAP_PERMIT_H

#include "base/buf.h"

#include <stdbool.h>

struct permit {
	bool read_only;
	/* Borrowed: "#9999", files of lists, BACKEND/SERVER, BACKEND. None: all. */
	const char **only;
	int n_only;
};

/* May this command (encoded, or accepted by command_check()) be sent, with a payload or
 * without? 0, HAP_EREADONLY, HAP_EONLY, HAP_ENOMEM. */
int permit_check(const struct permit *p, struct span command, bool payload);

/* Can `ref` be what --only takes? False for what would never match: "", "@1", "#x". */
bool permit_ref(const char *ref);

#endif
