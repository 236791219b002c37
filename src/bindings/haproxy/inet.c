/* SPDX-License-Identifier: MIT
 *
 * inet.c - the table `haplua.inet`: IP addresses as HAProxy reads and prints them, by the
 * functions of libc that HAProxy itself calls. libuv's print ::2 as ::0.0.0.2. */
#include "luakit/types.h"

#include <arpa/inet.h>
#include <lauxlib.h>
#include <string.h>

enum { IPV4_BYTES = 4, IPV6_BYTES = 16 };

/* bytes(text) -> a string of 4 or 16 bytes, or nil where the text is no address */
static int linet_bytes(lua_State *L)
{
	char bytes[IPV6_BYTES];
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);

	if (strlen(text) == n && inet_pton(AF_INET, text, bytes) == 1)
		lua_pushlstring(L, bytes, IPV4_BYTES);
	else if (strlen(text) == n && inet_pton(AF_INET6, text, bytes) == 1)
		lua_pushlstring(L, bytes, IPV6_BYTES);
	else
		lua_pushnil(L);
	return 1;
}

/* text(bytes) -> the address, IPv6 in its shortest form */
static int linet_text(lua_State *L)
{
	char text[INET6_ADDRSTRLEN];
	size_t n;
	const char *bytes = luaL_checklstring(L, 1, &n);

	luaL_argcheck(L, n == IPV4_BYTES || n == IPV6_BYTES, 1, "4 or 16 bytes expected");
	inet_ntop(n == IPV4_BYTES ? AF_INET : AF_INET6, bytes, text, sizeof text);
	lua_pushstring(L, text);
	return 1;
}

int luaopen_haplua_inet(lua_State *L)
{
	static const luaL_Reg library[] = {
		{"bytes", linet_bytes}, {"text", linet_text}, {NULL, NULL}};

	luaL_newlib(L, library);
	return 1;
}
