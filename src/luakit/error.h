/* SPDX-License-Identifier: MIT
 *
 * error.h - the error object that every failed wait raises, and tracebacks.
 * An error object is a table with the metatable "haplua.Error"; docs/types/error.lua
 * lists its fields, base/err.c its kinds. Functions here may raise. */
#ifndef HAP_LUAKIT_ERROR_H
#define HAP_LUAKIT_ERROR_H

#include "base/buf.h"

#include <lua.h>
#include <stdbool.h>

#define ERROR_OBJECT "haplua.Error"

/* The source of an error object. A field that is empty or 0 is left out. Borrowed. */
struct error_about {
	struct span command; /* as it was sent, or would have been */
	struct span reply;   /* what HAProxy answered */
	const char *target;
	double seconds;    /* timeout: the time that was given */
	size_t limit;      /* HAP_ELIMIT: bytes of an answer */
	int signal;        /* interrupted: the signal that did it */
	size_t done;       /* commands of the same call that HAProxy accepted */
	size_t index;      /* the command's place in the call, from 1 */
	size_t in_doubt;   /* changes that were sent, and may have been carried out */
	const char *phase; /* where a request was when it failed (net/request.h) */
};

/* Make the metatable, and push the table that docs/types/error.lua describes. [-0, +1] */
int luaopen_haplua_error(lua_State *L);

/* Is the value at `index` an error object? */
bool error_is(lua_State *L, int index);

/* Push the error object for a code. [-0, +1] */
void error_push(lua_State *L, int rc, const struct error_about *about);

/* Raise the error object for a code. Does not return. */
int error_raise(lua_State *L, int rc, const struct error_about *about);

/* Set the field `in_doubt` of the value at `index`, if that is an error object without a
 * command. [-0, +0] */
void error_in_doubt(lua_State *L, int index, size_t in_doubt);

/* Raise an argument error: a string that begins with the line of the script that called
 * the host or its library, and the name of the call. `format` as for lua_pushfstring().
 * Does not return. */
int error_misuse(lua_State *L, const char *format, ...);

/* Raise an argument error: "unknown WHAT 'NAME'", with the nearest of the `known` names
 * (typo.h: entries of `size` bytes). */
int error_unknown(lua_State *L, const char *what, const char *name, const void *known,
		  size_t size);

/* Push a traceback of coroutine `of` with the lines of scripts alone. [-0, +1] */
void error_traceback(lua_State *L, lua_State *of);

/* Push `s` with control bytes made visible, cut to about `max` bytes: the text of HAProxy
 * or of a pattern must not control the reader's terminal. [-0, +1] */
void error_push_visible(lua_State *L, struct span s, size_t max);

#endif
