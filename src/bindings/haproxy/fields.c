/* SPDX-License-Identifier: MIT
 *
 * fields.c - values of fields, and rows in which a misspelt field raises. */
#include "bindings/haproxy/fields.h"
#include "base/err.h"
#include "base/typo.h"
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

void fields_push(lua_State *L, struct span s)
{
	int64_t i;

	if (s.n == 0 || (s.n == 1 && s.p[0] == '-'))
		lua_pushnil(L);
	else if (reply_integer(s, &i))
		lua_pushinteger(L, i);
	else
		fields_push_text(L, s);
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
					    "src",
					    "Name",
					    "Version",
					    "node",
					    "description"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (span_equal(name, span_of(names[i])))
			return true;
	return false;
}

void fields_push_named(lua_State *L, struct span name, struct span value)
{
	if (fields_is_text(name) && value.n > 0 && !(value.n == 1 && value.p[0] == '-'))
		fields_push_text(L, value);
	else
		fields_push(L, value);
}

/* Fields that HAProxy 2.2, 2.6, 3.0 or 3.2 has, and another of these has not. A name that
 * ends in '_' stands for all that begin with it: columns of `show stat` that a part of
 * HAProxy adds. */
static const char *const elsewhere[] = {
	/* show servers state */
	"srv_use_ssl", "srv_check_port", "srv_check_addr", "srv_agent_addr",
	"srv_agent_port",
	/* show stat */
	"uweight", "agg_server_status", "agg_server_check_status", "agg_check_status",
	"srid", "sess_other", "h1sess", "h2sess", "h3sess", "req_other", "h1req", "h2req",
	"h3req", "proto", "h1_", "h2_", "h3_", "quic_", "qpack_", "pack_", "ssl_",
	/* show info */
	"BlockedTrafficWarnings", "BootTime_ms", "Build info", "CumRecvLogs",
	"CumStreams", "CurrStreams", "MaxZlibMemUsage", "MaxconnReached", "Memmax_bytes",
	"Niced_tasks", "PoolAlloc_bytes", "PoolUsed_bytes", "Start_time_sec", "Tainted",
	"TotalSplicedBytesOut", "TotalSplicdedBytesOut", "TotalWarnings", "ZlibMemUsage",
	NULL};

static bool is_elsewhere(const char *name)
{
	for (const char *const *field = elsewhere; *field; field++) {
		size_t n = strlen(*field);

		if ((*field)[n - 1] == '_' ? strncmp(name, *field, n) == 0
					   : strcmp(name, *field) == 0)
			return true;
	}
	return false;
}

/* The name in the set at `set` that is nearest to `name`: of several the first in the
 * alphabet. NULL: none is near. The set holds the text. */
static const char *nearest(lua_State *L, const char *name, int set)
{
	const char *found = NULL;
	size_t least = TYPO_FAR;

	for (lua_pushnil(L); lua_next(L, set); lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			continue;
		const char *field = lua_tostring(L, -2);
		size_t edits = typo_distance(span_of(name), span_of(field));

		if (edits < least ||
		    (found && edits == least && strcmp(field, found) < 0)) {
			least = edits;
			found = field;
		}
	}
	return found;
}

int fields_missing(lua_State *L, int key, int set)
{
	if (lua_type(L, key) != LUA_TSTRING)
		return 0;
	lua_pushvalue(L, key);
	if (lua_rawget(L, set) != LUA_TNIL || is_elsewhere(lua_tostring(L, key)))
		return 0;
	const char *name = lua_tostring(L, key);
	const char *names[] = {nearest(L, name, set), NULL};

	return error_unknown(L, "field", name, names, sizeof *names);
}

/* __index of a row; upvalue 1: the set of its fields, or nil */
static int row_index(lua_State *L)
{
	return fields_missing(
		L, 2, lua_isnil(L, lua_upvalueindex(1)) ? 1 : lua_upvalueindex(1));
}

void fields_metatable(lua_State *L)
{
	lua_createtable(L, 0, 2);
	lua_insert(L, -2);
	lua_pushcclosure(L, row_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
}

void fields_metatable_of(lua_State *L, const char *const *names)
{
	lua_newtable(L);
	for (; *names; names++) {
		lua_pushboolean(L, true);
		lua_setfield(L, -2, *names);
	}
	fields_metatable(L);
}
