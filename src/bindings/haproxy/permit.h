/* SPDX-License-Identifier: MIT
 *
 * lua_permit.h - the error of a command that --read-only or --only refuses. */
#ifndef HAP_LUA_PERMIT_H
#define HAP_LUA_PERMIT_H

#include "net/target.h"

#include <lua.h>

/* Is it one of permit_check()'s two codes? */
bool lua_permit_denied(int rc);

/* Raise it, with the option and what it allows. */
int lua_permit_raise(lua_State *L, const struct target *t, struct span command, int rc);

#endif
