/* SPDX-License-Identifier: MIT
 *
 * args.h - what the tables for files, processes and journals share: expected
 * failures, tables of options, file modes. Functions here may raise. */
#ifndef HAP_ARGS_H
#define HAP_ARGS_H

#include <lua.h>
#include <stddef.h>
#include <sys/types.h>

/* Return an expected failure: nil, "WHAT: TEXT", "ENOENT". `what` may be NULL. */
int args_failure(lua_State *L, int rc, const char *what);

/* A path: a string without NUL, and not empty. */
const char *args_path(lua_State *L, int index);

/* Argument `index` is absent, or a table that has no other keys than `known`, which NULL
 * ends. */
void args_options(lua_State *L, int index, const char *const *known);

/* The field `mode` of the options: octal digits in a string, "0640". */
mode_t args_mode(lua_State *L, int index, mode_t absent);

#endif
