/* SPDX-License-Identifier: MIT
 *
 * script.h - the state that scripts run in, and a script as a function with globals and
 * arguments of its own.
 * Functions here may raise. */
#ifndef HAP_SCRIPT_H
#define HAP_SCRIPT_H

#include "sched/host.h"

#include <lua.h>

/* Prepare a new state: the standard libraries, the host's tables, and what
 * lua/haplua/host/globals.lua makes: strict globals, and the places where require()
 * looks. [-0, +0] */
void script_setup(lua_State *L);

/* Make the table on the top strict globals, and push in its place the file as a function
 * that has them. Raises a string when it cannot be read or does not compile. [-1, +1] */
void script_file(lua_State *L, const char *path);

/* Push the script as a function with globals of its own, and then its arguments; returns
 * the number of arguments. Where there are several targets, its output is marked with
 * `socket`. Raises a string where there is no such script or it does not compile. [-0,
 * +(1+n)] */
int script_load(lua_State *L, const struct options *options, const char *socket);

#endif
