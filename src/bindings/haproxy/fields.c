/* SPDX-License-Identifier: MIT
 *
 * fields.c - rows in which a misspelt field raises. */
#include "bindings/haproxy/fields.h"
#include "base/buf.h"
#include "base/typo.h"
#include "luakit/error.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

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
