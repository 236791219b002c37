/* SPDX-License-Identifier: MIT
 *
 * lua_reply.h - rows of a reply as Lua tables. Functions here may raise. */
#ifndef HAP_LUA_REPLY_H
#define HAP_LUA_REPLY_H

#include "reply.h"

#include <lua.h>

/* `show servers state` to a list of rows, while it still comes. */
struct server_reader {
	size_t at;        /* bytes of the reply that were read */
	size_t rows;      /* rows in the list */
	size_t n;         /* columns; 0: the header has not come yet */
	int names;        /* index of the first column name on the stack */
	size_t admin, op; /* columns of srv_admin_state and srv_op_state; n: not there */
};

/* Append the rows of the whole lines of `reply` that were not read yet to the list at
 * index `list`. The first call with a header leaves values on the stack, which must stay
 * there until the last. [-0, +(0|many)] */
void lua_reply_servers(lua_State *L, struct server_reader *r, struct span reply,
		       int list);

#endif
