/* SPDX-License-Identifier: MIT
 *
 * globals.h - what a state and its scripts have as globals, and where require()
 * looks. Functions here may raise. */
#ifndef HAP_GLOBALS_H
#define HAP_GLOBALS_H

#include <lua.h>

/* Fit out a fresh state: standard libraries, the host's tables, strict globals, and where
 * require() looks. [-0, +0] */
void globals_setup(lua_State *L);

/* Make the table on the top strict; `behind` is the index of the table to look in first,
 * or 0. [-0, +0] */
void globals_strict(lua_State *L, int behind);

/* Let require() find modules that lie beside the script, and know them later. [-0, +0] */
void globals_folder(lua_State *L, const char *script);

#endif
