/* SPDX-License-Identifier: MIT
 *
 * words.c - Lua values to the words of commands. */
#include "bindings/haproxy/words.h"
#include "base/err.h"
#include "luakit/args.h"
#include "luakit/error.h"
#include "luakit/types.h"
#include "protocol/reply.h"

#define COMMAND_BOX "haplua.Command"

int words_misuse(lua_State *L, const char *what, lua_Integer index, int rc)
{
	if (rc == HAP_ENOMEM)
		return error_raise(L, rc, NULL);
	if (index > 0)
		return error_misuse(L, "%s %I: %s; nothing was sent", what, index,
				    err_text(rc));
	return error_misuse(L, "%s: %s; nothing was sent", what, err_text(rc));
}

struct span words_at(lua_State *L, int index, const char *what, lua_Integer n)
{
	struct span s = {NULL, 0};

	if (lua_type(L, index) == LUA_TSTRING || lua_type(L, index) == LUA_TNUMBER)
		s.p = lua_tolstring(L, index, &s.n);
	else
		error_misuse(L, "%s %I: a string expected, got %s; nothing was sent",
			     what, n, luaL_typename(L, index));
	return s;
}

size_t words_push(lua_State *L, int index, struct span *words)
{
	int n = args_length(L, index, "command");

	if (n > HAP_WORDS_MAX)
		words_misuse(L, "command", 0, HAP_EWORDS);
	luaL_checkstack(L, n + 8, NULL);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, index, i);
		words[i - 1] = words_at(L, -1, "word", i);
	}
	return (size_t)n;
}

void words_encode(lua_State *L, struct command *c, const struct span *words, size_t n)
{
	size_t bad = 0;
	int rc = command_from_words(c, words, n, &bad);

	if (rc < 0)
		words_misuse(L, "word", (lua_Integer)bad + 1, rc);
}

void words_command(lua_State *L, struct command *c, int index)
{
	struct span words[HAP_WORDS_MAX];

	index = lua_absindex(L, index);
	if (lua_istable(L, index)) {
		words_encode(L, c, words, words_push(L, index, words));
		return;
	}
	int rc = command_from_text(c, words_at(L, index, "command", 1));

	if (rc < 0)
		words_misuse(L, "command", 0, rc);
}

void words_check_number(lua_State *L, const struct command *c)
{
	int64_t value;

	if ((c->grammar->flags & GRAMMAR_NUMBER) &&
	    !reply_integer(c->words[c->n - 1], &value))
		words_misuse(L, "command", 0, HAP_ENUMBER);
}

static int command_close(lua_State *L)
{
	command_free(luaL_checkudata(L, 1, COMMAND_BOX));
	return 0;
}

struct command *words_push_command(lua_State *L)
{
	return types_push(L, COMMAND_BOX, sizeof(struct command), 0);
}

/* encode(words) -> the bytes that a list of words is sent as */
int lwords_encode(lua_State *L)
{
	struct command *c;

	args_length(L, 1, "command");
	c = words_push_command(L);
	words_command(L, c, 1);
	lua_pushlstring(L, c->text.p, c->text.n);
	return 1;
}

/* ref(value): raise unless it is a string. A list of words with nil at its end would be
 * one word shorter, and HAProxy would take the word behind it for the reference. */
int lwords_ref(lua_State *L)
{
	if (lua_type(L, 1) != LUA_TSTRING)
		error_misuse(L, "'#ID' or a file name expected, got %s; nothing was sent",
			     luaL_typename(L, 1));
	return 0;
}

static void check_values(lua_State *L, int index, struct buf *scratch)
{
	int n = args_length(L, index, "values");

	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, index, i);
		struct span word = words_at(L, -1, "value", i);

		scratch->n = 0;
		int rc = command_word(scratch, word);

		if (rc < 0)
			words_misuse(L, "value", i, rc);
		if (word.n > HAP_COMMAND_MAX)
			words_misuse(L, "value", i, HAP_ELONG);
		lua_pop(L, 1);
	}
}

/* check(values [, values]): raise unless each value can be sent as a word */
int lwords_check(lua_State *L)
{
	struct command *scratch;

	lua_settop(L, 2);
	scratch = words_push_command(L);
	check_values(L, 1, &scratch->bytes);
	if (!lua_isnil(L, 2))
		check_values(L, 2, &scratch->bytes);
	return 0;
}

/* In a payload nothing is escaped: the first blanks of a line part key and value, and 2.2
 * and 2.6 drop a CR at its end. */
static bool is_plain(struct span key, struct span value)
{
	for (size_t i = 0; i < key.n; i++)
		if (strchr(" \t\r\n", key.p[i])) /* or NUL */
			return false;
	return key.n > 0 && value.n > 0 && *value.p != ' ' && *value.p != '\t' &&
	       !memchr(value.p, '\r', value.n) && !memchr(value.p, '\n', value.n) &&
	       !memchr(value.p, '\0', value.n);
}

/* lines(keys, values, first, room) -> the entries from number `first` on as lines of a
 * payload, as many as fit `room` bytes, up to one that cannot be sent so; the number of
 * the next entry. nil, first: there are none. */
int lwords_lines(lua_State *L)
{
	int n = args_length(L, 1, "keys");
	lua_Integer first = luaL_checkinteger(L, 3), i;
	size_t room = (size_t)luaL_checkinteger(L, 4);

	lua_settop(L, 4);
	struct buf *lines = &words_push_command(L)->bytes;

	for (i = first; i <= n; i++) {
		lua_settop(L, 5);
		lua_geti(L, 1, i);
		lua_geti(L, 2, i);
		struct span key = words_at(L, 6, "value", i);
		struct span value = words_at(L, 7, "value", i);

		if (!is_plain(key, value) || key.n + value.n + 2 > room - lines->n)
			break;
		if (buf_reserve(lines, key.n + value.n + 2) < 0)
			return error_raise(L, HAP_ENOMEM, NULL);
		buf_add_span(lines, key);
		buf_add_byte(lines, ' ');
		buf_add_span(lines, value);
		buf_add_byte(lines, '\n');
	}
	if (i > first)
		lua_pushlstring(L, lines->p, lines->n);
	else
		lua_pushnil(L);
	lua_pushinteger(L, i);
	return 2;
}

void words_types(lua_State *L)
{
	types_box(L, COMMAND_BOX, command_close);
}
