/* SPDX-License-Identifier: MIT
 *
 * lua_words.h - the words of commands: Lua values -> spans and bytes. What HAProxy could
 * not take, or would take for something else, is raised as an error that says which word
 * it is, and that nothing was sent. */
#ifndef HAP_LUA_WORDS_H
#define HAP_LUA_WORDS_H

#include "base/buf.h"
#include "protocol/reply.h"

#include <lua.h>

/* Raise what a failure code of command.h means of `what`: "word", "value", ... and its
 * number, from 1; 0 where there is but one. HAP_ENOMEM is raised as that. */
int lua_words_misuse(lua_State *L, const char *what, lua_Integer index, int rc);

/* The string or number at `index`, the n-th `what`, for as long as it stays there. A
 * number is turned into a string in place. [-0, +0] */
struct span lua_words_at(lua_State *L, int index, const char *what, lua_Integer n);

/* Push the words of the list at `index` and gather them in `words`, of HAP_WORDS_MAX.
 * Returns how many. [-0, +n] */
size_t lua_words_push(lua_State *L, int index, struct span *words);

/* Encode a command in the place of what `out` held. [-0, +0] */
void lua_words_encode(lua_State *L, struct buf *out, const struct span *words, size_t n);

/* Raise where HAProxy would take the command's last word for 0 and say nothing. */
void lua_words_number(lua_State *L, const struct grammar *g, struct span last);

/* The list of words at `index`, encoded, for as long as the box that is pushed. [-0,
 * +1..] */
struct span lua_words_command(lua_State *L, int index);

/* Make the metatable that the functions of this file need. [-0, +0] */
void lua_words_types(lua_State *L);

/* Three functions of haplua.core; lua_words.c says what each takes and returns. */
int lua_words_bytes(lua_State *L);
int lua_words_ref(lua_State *L);
int lua_words_check(lua_State *L);

#endif
