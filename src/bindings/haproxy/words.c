/* SPDX-License-Identifier: MIT
 *
 * lua_words.c - Lua values -> the words and bytes of commands. Nothing here sends. */
#include "bindings/haproxy/words.h"
#include "protocol/command.h"
#include "base/err.h"
#include "luakit/error.h"
#include "luakit/types.h"

#define BUFFER_BOX "haplua.Buffer"

int lua_words_misuse(lua_State *L, const char *what, lua_Integer index, int rc)
{
	if (rc == HAP_ENOMEM)
		return error_raise(L, rc, NULL);
	if (index > 0)
		return error_misuse(L, "%s %I: %s; nothing was sent", what, index,
				    err_text(rc));
	return error_misuse(L, "%s: %s; nothing was sent", what, err_text(rc));
}

struct span lua_words_at(lua_State *L, int index, const char *what, lua_Integer n)
{
	struct span s = {NULL, 0};

	if (lua_type(L, index) == LUA_TSTRING || lua_type(L, index) == LUA_TNUMBER)
		s.p = lua_tolstring(L, index, &s.n);
	else
		error_misuse(L, "%s %I: a string expected, got %s; nothing was sent",
			     what, n, luaL_typename(L, index));
	return s;
}

size_t lua_words_push(lua_State *L, int index, struct span *words)
{
	lua_Integer n = luaL_len(L, index);

	if (n > HAP_WORDS_MAX)
		lua_words_misuse(L, "command", 0, HAP_EWORDS);
	luaL_checkstack(L, (int)n + 8, NULL);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, index, i);
		words[i - 1] = lua_words_at(L, -1, "word", i);
	}
	return (size_t)n;
}

void lua_words_encode(lua_State *L, struct buf *out, const struct span *words, size_t n)
{
	size_t bad = 0;

	out->n = 0;
	int rc = command_words(out, words, n, &bad);

	if (rc < 0)
		lua_words_misuse(L, "word", (lua_Integer)bad + 1, rc);
}

void lua_words_number(lua_State *L, const struct grammar *g, struct span last)
{
	int64_t value;

	if ((g->flags & GRAMMAR_NUMBER) && !reply_integer(last, &value))
		lua_words_misuse(L, "command", 0, HAP_ENUMBER);
}

static int buffer_close(lua_State *L)
{
	buf_free(luaL_checkudata(L, 1, BUFFER_BOX));
	return 0;
}

/* A buffer that is freed with the box that is pushed. [-0, +1] */
static struct buf *push_buffer(lua_State *L)
{
	struct buf *b = lua_newuserdatauv(L, sizeof *b, 0);

	*b = (struct buf){0};
	luaL_setmetatable(L, BUFFER_BOX);
	return b;
}

struct span lua_words_command(lua_State *L, int index)
{
	struct span words[HAP_WORDS_MAX];
	struct buf *b;

	luaL_checktype(L, index, LUA_TTABLE);
	b = push_buffer(L);
	lua_words_encode(L, b, words, lua_words_push(L, index, words));
	return buf_span(b);
}

/* encode(words) -> the bytes that a list of words is sent as */
int lua_words_bytes(lua_State *L)
{
	struct span command = lua_words_command(L, 1);

	lua_pushlstring(L, command.p, command.n);
	return 1;
}

/* ref(value): raise unless it is a string. A list of words with nil at its end would be
 * one word shorter, and the word after it taken for the reference. */
int lua_words_ref(lua_State *L)
{
	if (lua_type(L, 1) != LUA_TSTRING)
		error_misuse(L, "'#ID' or a file name expected, got %s; nothing was sent",
			     luaL_typename(L, 1));
	return 0;
}

static void check_values(lua_State *L, int index, struct buf *scratch)
{
	lua_Integer n;

	luaL_checktype(L, index, LUA_TTABLE);
	n = luaL_len(L, index);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, index, i);
		struct span word = lua_words_at(L, -1, "value", i);

		scratch->n = 0;
		int rc = command_word(scratch, word);

		if (rc < 0)
			lua_words_misuse(L, "value", i, rc);
		if (word.n > HAP_COMMAND_MAX)
			lua_words_misuse(L, "value", i, HAP_ELONG);
		lua_pop(L, 1);
	}
}

/* check(values [, values]): raise unless each can be sent, before anything is done with
 * any */
int lua_words_check(lua_State *L)
{
	struct buf *scratch;

	lua_settop(L, 2);
	scratch = push_buffer(L);
	check_values(L, 1, scratch);
	if (!lua_isnil(L, 2))
		check_values(L, 2, scratch);
	return 0;
}

void lua_words_types(lua_State *L)
{
	lua_table_box(L, BUFFER_BOX, buffer_close);
}
