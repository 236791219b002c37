/* SPDX-License-Identifier: MIT
 *
 * virtual.h - the functions of the table `haplua.virtual` in virtual_run.c: they run
 * scripts in the host of a test. */
#ifndef HAP_VIRTUAL_H
#define HAP_VIRTUAL_H

#include <lua.h>

/* Make the metatable of a run. [-0, +0] */
void virtual_types(lua_State *L);

int virtual_start(lua_State *L);
int virtual_load(lua_State *L);
int virtual_write(lua_State *L);

#endif
