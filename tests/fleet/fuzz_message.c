/* SPDX-License-Identifier: MIT
 *
 * fuzz_message.c - bytes that are a message of etcd become a table, which becomes bytes
 * of the same message; other bytes are refused. Input: which message, its bytes. It links
 * the host's library without instrumentation, for Lua's helpers. */
#include "../fuzz/fuzz.h"
#include "etcd/message.h"
#include "etcd/messages.pb-c.h"

#include <lauxlib.h>
#include <lualib.h>

const char haplua_version[] = "fuzz";

static const ProtobufCMessageDescriptor *types[] = {
	&etcd__range_request__descriptor,   &etcd__range_response__descriptor,
	&etcd__txn_request__descriptor,     &etcd__txn_response__descriptor,
	&etcd__watch_request__descriptor,   &etcd__watch_response__descriptor,
	&etcd__grant_response__descriptor,  &etcd__keep_alive_response__descriptor,
	&etcd__status_response__descriptor,
};

/* decode(bytes): light userdata of the type, a string. */
static int decode(lua_State *L)
{
	const ProtobufCMessageDescriptor *type = lua_touserdata(L, 1);
	size_t n;
	const char *bytes = lua_tolstring(L, 2, &n);
	ProtobufCMessage **box = message_push_box(L);

	*box = protobuf_c_message_unpack(type, NULL, n, (const uint8_t *)bytes);
	if (!*box)
		return 0;
	message_push(L);
	return 1;
}

/* From bytes to a table to bytes; twice gives the same as once. */
static int turn(lua_State *L)
{
	const ProtobufCMessageDescriptor *type = lua_touserdata(L, 1);

	lua_settop(L, 2);
	for (int i = 0; i < 2; i++) {
		lua_pushcfunction(L, decode);
		lua_pushvalue(L, 1);
		lua_pushvalue(L, 2 + i);
		lua_call(L, 2, 1);
		CHECK(i == 0 || lua_istable(L, -1));
		if (lua_isnil(L, -1))
			return 0;
		message_encode(L, -1, type);
		lua_remove(L, -2);
	}
	CHECK(lua_rawequal(L, 3, 4));
	CHECK(lua_rawlen(L, 3) <= lua_rawlen(L, 2) * 2 + 64);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static lua_State *L;
	struct span input = {(const char *)data, n};
	size_t type = fuzz_byte(&input) % (sizeof types / sizeof *types);

	if (!L) {
		L = luaL_newstate();
		CHECK(L);
		message_open(L);
	}
	lua_settop(L, 0);
	lua_pushcfunction(L, turn);
	lua_pushlightuserdata(L, (void *)(uintptr_t)types[type]);
	lua_pushlstring(L, input.p, input.n);
	CHECK(lua_pcall(L, 2, 0, 0) == LUA_OK);
	return 0;
}
