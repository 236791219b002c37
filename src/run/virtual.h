/* SPDX-License-Identifier: MIT
 *
 * lua_test.h - what lua_test_run.c gives to the table `haplua.virtual`: scripts that run
 * in a test's host. */
#ifndef HAP_LUA_TEST_H
#define HAP_LUA_TEST_H

#include <lua.h>

/* Make the metatable of a run. [-0, +0] */
void lua_test_types(lua_State *L);

int lua_test_start(lua_State *L);
int lua_test_load(lua_State *L);
int lua_test_write(lua_State *L);

#endif
