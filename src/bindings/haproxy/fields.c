/* SPDX-License-Identifier: MIT
 *
 * fields.c - values of fields. */
#include "bindings/haproxy/fields.h"
#include "base/err.h"
#include "luakit/error.h"

#include <lauxlib.h>

int fields_mismatch(lua_State *L, struct span rest)
{
	struct error_about about = {.reply = rest};

	return error_raise(L, HAP_EPROTOCOL, &about);
}

void fields_push_text(lua_State *L, struct span s)
{
	lua_pushlstring(L, s.p, s.n);
}

void fields_push_given(lua_State *L, struct span s)
{
	if (s.n == 0 || (s.n == 1 && s.p[0] == '-'))
		lua_pushnil(L);
	else
		fields_push_text(L, s);
}

void fields_push(lua_State *L, struct span s)
{
	int64_t i;

	if (s.n > 0 && reply_integer(s, &i))
		lua_pushinteger(L, i);
	else
		fields_push_given(L, s);
}

bool fields_is_text(struct span name)
{
	static const char *const names[] = {"be_name",
					    "srv_name",
					    "srv_addr",
					    "srv_fqdn",
					    "srvrecord",
					    "srv_check_addr",
					    "srv_agent_addr",
					    "bkname/svname",
					    "addr",
					    "pxname",
					    "svname",
					    "cookie",
					    "last_chk",
					    "last_agt",
					    "check_desc",
					    "agent_desc",
					    "fe",
					    "be",
					    "srv",
					    "src"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (span_equal(name, span_of(names[i])))
			return true;
	return false;
}

void fields_push_named(lua_State *L, struct span name, struct span value)
{
	if (fields_is_text(name))
		fields_push_given(L, value);
	else
		fields_push(L, value);
}

void fields_call(lua_State *L, const char *function)
{
	lua_getglobal(L, "require");
	lua_pushliteral(L, "haplua.base.rows");
	lua_call(L, 1, 1);
	lua_getfield(L, -1, function);
	lua_replace(L, -2);
	lua_insert(L, -2);
	lua_call(L, 1, 1);
}
