/* SPDX-License-Identifier: MIT
 *
 * args.h - arguments that several bindings take: lists, tables of options, paths, file
 * modes; and how a binding returns an expected failure. Functions here may raise. */
#ifndef HAP_ARGS_H
#define HAP_ARGS_H

#include "base/buf.h"

#include <lua.h>
#include <sys/types.h>

/* Return an expected failure of code `rc` (UV_* or HAP_E*): nil, "WHAT: TEXT", "ENOENT".
 * `what` may be NULL. */
int args_failure(lua_State *L, int rc, const char *what);

/* The string, or number, that argument `index` is. The span is valid while it stays. */
struct span args_text(lua_State *L, int index);

/* A path: a string without NUL, and not empty. */
const char *args_path(lua_State *L, int index);

/* The length of the list at `index`, which messages call `what`. A script's __len may
 * return anything: raises where that is no integer from 0 to 2^30. */
int args_length(lua_State *L, int index, const char *what);

/* An option that a table may have. */
struct args_option {
	const char *name; /* NULL ends an array of these */
	unsigned types;   /* of its value: ARGS_STRING and so on, or'ed */
};

#define ARGS_BOOLEAN  (1u << LUA_TBOOLEAN)
#define ARGS_NUMBER   (1u << LUA_TNUMBER)
#define ARGS_STRING   (1u << LUA_TSTRING)
#define ARGS_TABLE    (1u << LUA_TTABLE)
#define ARGS_FUNCTION (1u << LUA_TFUNCTION)

/* Push the value of each known option, nil where it is absent, in the order of `known`.
 * Argument `index` is nil or a table. Raises where the table has another key, with the
 * nearest known one, or a value of another type. The keys 1 to
 * `list` belong to the caller. No metamethod is called. [-0, +n] */
void args_push_options(lua_State *L, int index, const struct args_option *known,
		       lua_Integer list);

/* The file mode in the option `mode`, whose value is at `index`: octal digits in a
 * string, "0640". nil: `absent`. */
mode_t args_mode(lua_State *L, int index, mode_t absent);

#endif
