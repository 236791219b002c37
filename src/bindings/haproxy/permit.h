/* SPDX-License-Identifier: MIT
 *
 * permit.h - the error of a command that --read-only or --only refuses. */
#ifndef HAP_BINDINGS_PERMIT_H
#define HAP_BINDINGS_PERMIT_H

#include "net/target.h"

#include <lua.h>

/* Is it HAP_EREADONLY or HAP_EONLY? */
bool permit_denied(int rc);

/* Raise the error of code `rc` for this command. Its advice names the option and what the
 * option allows. */
int permit_raise(lua_State *L, const struct target *t, const struct command *c, int rc);

#endif
