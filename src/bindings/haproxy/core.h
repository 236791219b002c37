/* SPDX-License-Identifier: MIT
 *
 * core.h - the boxes of targets, for the host that makes the first ones. */
#ifndef HAP_BINDINGS_CORE_H
#define HAP_BINDINGS_CORE_H

#include "net/target.h"

#include <lua.h>

/* Make a target as the options say (timeout, trace) and push its box; raises a usage
 * error for an address that HAProxy would not understand. [-0, +1] */
struct target *core_open(lua_State *L, struct span address, struct span route);

#endif
