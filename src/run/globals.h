/* SPDX-License-Identifier: MIT
 *
 * globals.h - the globals of a state and of its scripts, and the places where require()
 * looks. Functions here may raise. */
#ifndef HAP_GLOBALS_H
#define HAP_GLOBALS_H

#include <lua.h>

/* Prepare a new state: the standard libraries, the host's tables, strict globals, and the
 * places where require() looks. [-0, +0] */
void globals_setup(lua_State *L);

/* Make the table on the top strict: to read or, in a function, to set an undefined name
 * raises. Names that the table lacks are taken from the table at index `behind`; 0: there
 * is none. [-0, +0] */
void globals_strict(lua_State *L, int behind);

/* Have require() find the modules in the folder of the file `script`, whose globals are
 * strict, too. [-0, +0] */
void globals_folder(lua_State *L, const char *script);

#endif
