/* SPDX-License-Identifier: MIT
 *
 * types.c - making types of userdata. */
#include "luakit/types.h"

#include <string.h>

void types_object(lua_State *L, const char *name, const luaL_Reg *methods)
{
	luaL_newmetatable(L, name);
	lua_newtable(L);
	for (; methods->name; methods++) {
		lua_pushcfunction(L, methods->func);
		lua_setfield(L, strncmp(methods->name, "__", 2) == 0 ? -3 : -2,
			     methods->name);
	}
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}

void types_box(lua_State *L, const char *name, lua_CFunction close)
{
	luaL_newmetatable(L, name);
	lua_pushcfunction(L, close);
	lua_setfield(L, -2, "__gc");
	lua_pushcfunction(L, close);
	lua_setfield(L, -2, "__close");
	lua_pop(L, 1);
}

void *types_push(lua_State *L, const char *name, size_t size, int values)
{
	void *box = memset(lua_newuserdatauv(L, size, values), 0, size);

	luaL_setmetatable(L, name);
	return box;
}

void types_set_text(lua_State *L, const char *name, const char *text)
{
	if (!text)
		return;
	lua_pushstring(L, text);
	lua_setfield(L, -2, name);
}
