/* SPDX-License-Identifier: MIT
 *
 * call.h - the boxes of targets, and the methods that send commands, for core.c to
 * register. Each is a lua_CFunction; call.c says what it takes and returns. */
#ifndef HAP_BINDINGS_CALL_H
#define HAP_BINDINGS_CALL_H

#include "net/target.h"

#include <lua.h>

/* A box of a target: a userdata that holds one reference. */
#define TARGET_BOX "haplua.Target"

/* Make a target as the options say (timeout, trace) and push its box; raises a usage
 * error for an address that HAProxy would not understand. In core.c. [-0, +1] */
struct target *core_open(lua_State *L, struct span address, struct span route);

/* The target whose box is argument `index`. */
struct target *call_target(lua_State *L, int index);

/* Print a dry run's line for a change that is not sent. [-0, +0] */
void call_would(lua_State *L, const struct target *t, struct span text);

/* Make the metatable that the functions below need. [-0, +0] */
void call_types(lua_State *L);

int lcall_send(lua_State *L);
int lcall_batch(lua_State *L);
int lcall_each(lua_State *L);
int lcall_permit(lua_State *L);

#endif
