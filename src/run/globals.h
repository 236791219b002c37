/* SPDX-License-Identifier: MIT
 *
 * globals.h - the globals of a state and of its scripts, and the places where require()
 * looks. Functions here may raise. */
#ifndef HAP_GLOBALS_H
#define HAP_GLOBALS_H

#include <lua.h>

/* Prepare a new state: the standard libraries, the host's tables, and what
 * lua/haplua/host/globals.lua makes: strict globals, and the places where require()
 * looks. [-0, +0] */
void globals_setup(lua_State *L);

/* Call a function of that module with the n values on the top. [-n, +results] */
void globals_call(lua_State *L, const char *function, int n, int results);

#endif
