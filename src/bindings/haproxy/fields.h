/* SPDX-License-Identifier: MIT
 *
 * fields.h - fields of a reply as Lua values, and rows in which a misspelt field raises,
 * instead of passing for one that is empty. A row has the fields of its answer, which are
 * nil where HAProxy leaves them empty. A field that only other versions of HAProxy have
 * is nil, too. For reply.c and rows.c. Functions here may raise. */
#ifndef HAP_FIELDS_H
#define HAP_FIELDS_H

#include "protocol/reply.h"

#include <lua.h>
#include <stdbool.h>

/* Raise `protocol`: the text does not read as the reply that it should be, from `rest`
 * on. */
int fields_mismatch(lua_State *L, struct span rest);

/* Push the bytes as they are. [-0, +1] */
void fields_push_text(lua_State *L, struct span s);

/* Push a number as an integer, "-" and nothing at all as nil. [-0, +1] */
void fields_push(lua_State *L, struct span s);

/* Push the bytes as they are, "-" and nothing at all as nil. [-0, +1] */
void fields_push_given(lua_State *L, struct span s);

/* Is the field `name` text whatever it looks like? A server may be called 007. */
bool fields_is_text(struct span name);

/* Push the value of the field `name`. [-0, +1] */
void fields_push_named(lua_State *L, struct span name, struct span value);

/* Replace the value on the top by what this function of lua/haplua/base/rows.lua returns
 * for it. "metatable": makes a metatable for rows that have the fields in this set of
 * names; nil: each row has the fields that are in it. [-1, +1] */
void fields_call(lua_State *L, const char *function);

/* Functions of haplua.reply, in rows.c. */
int lreply_rows(lua_State *L);
int lreply_servers(lua_State *L);
int lreply_sessions(lua_State *L);

#endif
