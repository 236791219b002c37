/* SPDX-License-Identifier: MIT
 *
 * words.h - Lua values to the words of commands. What HAProxy could not take, or would
 * take for something else, is raised as an argument error that names the word and says
 * that nothing was sent. Nothing here sends. */
#ifndef HAP_BINDINGS_WORDS_H
#define HAP_BINDINGS_WORDS_H

#include "protocol/command.h"

#include <lua.h>

/* Raise what a failure code of command.h means for `what` ("word", "value", ...) number
 * `index`, from 1; 0 where there is only one. HAP_ENOMEM raises a memory error. */
int words_misuse(lua_State *L, const char *what, lua_Integer index, int rc);

/* The string or number at `index`, the n-th `what`. The span is valid while the value
 * stays in its slot; a number is turned into a string there. [-0, +0] */
struct span words_at(lua_State *L, int index, const char *what, lua_Integer n);

/* Push the words of the list at `index`, put them in `words` (HAP_WORDS_MAX), and return
 * how many there are. They are valid while they stay on the stack. [-0, +n] */
size_t words_push(lua_State *L, int index, struct span *words);

/* Make a command of the value at `index`: a list of words, or a text that is sent as it
 * stands. Its words are valid while the value and what is pushed stay on the stack.
 * [-0, +n] */
void words_command(lua_State *L, struct command *c, int index);

/* Push a box that frees the command with it, which is {0} at first. [-0, +1] */
struct command *words_push_command(lua_State *L);

/* Make a command of n words, which must stay on the stack. [-0, +0] */
void words_encode(lua_State *L, struct command *c, const struct span *words, size_t n);

/* Raise where HAProxy would take the last word for 0, and answer with success. */
void words_check_number(lua_State *L, const struct command *c);

/* Make the metatable that these functions need. [-0, +0] */
void words_types(lua_State *L);

/* Functions of haplua.core; words.c says what each takes and returns. */
int lwords_encode(lua_State *L);
int lwords_ref(lua_State *L);
int lwords_check(lua_State *L);
int lwords_lines(lua_State *L);

#endif
