/* SPDX-License-Identifier: MIT
 *
 * fields.h - rows in which a misspelt field raises, instead of passing for one that is
 * empty. A row has the fields of its answer, which are nil where HAProxy leaves them
 * empty. A field that only other versions of HAProxy have is nil, too. Functions here may
 * raise. */
#ifndef HAP_FIELDS_H
#define HAP_FIELDS_H

#include <lua.h>

/* Replace the set of field names on the top, or nil, by a metatable for rows that have
 * these fields. nil: each row has the fields that are in it. [-1, +1] */
void fields_metatable(lua_State *L);

/* Push such a metatable for rows with the fields `names`, which NULL ends. [-0, +1] */
void fields_metatable_of(lua_State *L, const char *const *names);

/* What a row's __index returns for the key at `key`, which the row has not: nothing,
 * where a row may have it. Raises where the key is a string and neither a name in the set
 * at `set` nor a field of another version. */
int fields_missing(lua_State *L, int key, int set);

#endif
