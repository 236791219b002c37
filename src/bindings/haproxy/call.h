/* SPDX-License-Identifier: MIT
 *
 * lua_call.h - the methods of a target that send commands, for lua_haproxy.c to register.
 * Each is a lua_CFunction; lua_call.c says what it takes and returns. */
#ifndef HAP_LUA_CALL_H
#define HAP_LUA_CALL_H

#include "net/target.h"

#include <lua.h>

/* A box of a target: a userdata that holds one reference. */
#define TARGET_BOX "haplua.Target"

/* The target whose box is argument `index`. */
struct target *lua_call_target(lua_State *L, int index);

/* Make the metatable that the functions below need. [-0, +0] */
void lua_call_types(lua_State *L);

int lua_call_send(lua_State *L);
int lua_call_batch(lua_State *L);
int lua_call_each(lua_State *L);
int lua_call_permit(lua_State *L);

#endif
