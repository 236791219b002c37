/* SPDX-License-Identifier: MIT
 *
 * permit.c - what a refusal of --read-only or --only says. */
#include "bindings/haproxy/permit.h"
#include "base/err.h"
#include "luakit/error.h"

#include <lauxlib.h>

bool permit_denied(int rc)
{
	return rc == HAP_EREADONLY || rc == HAP_EONLY;
}

static void push_advice(lua_State *L, const struct permit *p, int rc)
{
	luaL_Buffer b;

	if (rc == HAP_EREADONLY) {
		lua_pushliteral(L, "this run was started with --read-only");
		return;
	}
	luaL_buffinit(L, &b);
	luaL_addstring(&b, "this run may change ");
	for (int i = 0; i < p->n_only; i++) {
		luaL_addstring(&b, i > 0 ? ", " : "");
		luaL_addstring(&b, p->only[i].text);
	}
	luaL_addstring(&b, " alone, by that name; --only REF allows more");
	luaL_pushresult(&b);
}

int permit_raise(lua_State *L, const struct target *t, const struct command *c, int rc)
{
	struct error_about about = {.command = c->text, .target = t->name};

	error_push(L, rc, &about);
	push_advice(L, t->permit, rc);
	lua_setfield(L, -2, "advice");
	return lua_error(L);
}
