/* SPDX-License-Identifier: MIT
 *
 * permit.h - what a run may change: --read-only and --only.
 * Pure: no sockets, no Lua, no clock. A command that is not known to leave HAProxy as it
 * is counts as a change. A change that is not known to stay within one list or one server
 * is outside of every reference. */
#ifndef HAP_PERMIT_H
#define HAP_PERMIT_H

#include "protocol/command.h"

#include <stdbool.h>

/* What a reference of --only may stand for. A name says less than a number or a path, so
 * one reference may have several kinds. */
enum {
	PERMIT_LIST = 1,    /* an ACL or a map: "#4", "/a.map", "virt@x", "name" */
	PERMIT_SERVER = 2,  /* "backend/server"; either may be "#4" */
	PERMIT_BACKEND = 4, /* the servers of a backend: "name" */
};

struct permit_ref {
	const char *text; /* borrowed */
	unsigned kinds;   /* PERMIT_* */
};

struct permit {
	bool read_only;
	const struct permit_ref *only; /* borrowed */
	int n_only;                    /* 0: no --only was given */
};

/* Read an argument of --only. False: it is no reference: "", "@1", "#x". */
bool permit_ref(struct permit_ref *out, const char *text);

/* May this command be sent? 0, HAP_EREADONLY, HAP_EONLY. */
int permit_check(const struct permit *p, const struct command *c);

#endif
