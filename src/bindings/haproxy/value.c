/* SPDX-License-Identifier: MIT
 *
 * value.c - fields of a reply as Lua values: integers, text, nil. */
#include "bindings/haproxy/value.h"
#include "base/err.h"
#include "luakit/error.h"

#include <lauxlib.h>

struct span value_text(lua_State *L, int index)
{
	struct span s;

	s.p = luaL_checklstring(L, index, &s.n);
	return s;
}

int value_mismatch(lua_State *L, struct span rest)
{
	struct error_about about = {.reply = rest};

	return error_raise(L, HAP_EPROTOCOL, &about);
}

void value_push_text(lua_State *L, struct span s)
{
	lua_pushlstring(L, s.n ? s.p : "", s.n);
}

void value_push(lua_State *L, struct span s)
{
	int64_t i;

	if (s.n == 0 || (s.n == 1 && s.p[0] == '-'))
		lua_pushnil(L);
	else if (reply_integer(s, &i))
		lua_pushinteger(L, i);
	else
		value_push_text(L, s);
}

bool value_is_text(struct span name)
{
	static const char *const names[] = {
		"be_name",
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
		"src",
		"Name",
		"Version",
		"node",
		"description",
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (span_equal(name, span_of(names[i])))
			return true;
	return false;
}

void value_push_named(lua_State *L, struct span name, struct span value)
{
	if (value_is_text(name) && value.n > 0 && !(value.n == 1 && value.p[0] == '-'))
		value_push_text(L, value);
	else
		value_push(L, value);
}
