/* SPDX-License-Identifier: MIT
 *
 * value.h - fields of a reply as Lua values, for reply.c and servers.c.
 * Functions here may raise. */
#ifndef HAP_VALUE_H
#define HAP_VALUE_H

#include "protocol/reply.h"

#include <lua.h>
#include <stdbool.h>

/* The text of a reply, given as argument `index`. */
struct span value_text(lua_State *L, int index);

/* Raise `protocol`: from `rest` on the text has not the form of this reply. */
int value_mismatch(lua_State *L, struct span rest);

/* Push the bytes as a string. [-0, +1] */
void value_push_text(lua_State *L, struct span s);

/* Push a number as an integer, "-" and an empty field as nil, others as a string. [-0,
 * +1]
 */
void value_push(lua_State *L, struct span s);

/* Is the field `name` text whatever it looks like? A server may be called 007. */
bool value_is_text(struct span name);

/* Push the value of the field `name`. [-0, +1] */
void value_push_named(lua_State *L, struct span name, struct span value);

/* The function haplua.reply.servers(), in servers.c. */
int lreply_servers(lua_State *L);

#endif
