/* SPDX-License-Identifier: MIT
 *
 * lua_call.c - the ways to send commands to a target: send, batch, each.
 * arguments -> encoded commands -> pipeline -> Lua values. */
#include "bindings/haproxy/call.h"
#include "base/err.h"
#include "net/pipeline.h"
#include "sched/host.h"
#include "luakit/error.h"
#include "bindings/haproxy/permit.h"
#include "luakit/types.h"
#include "bindings/haproxy/words.h"

#include <stdio.h>

#define PIPELINE_BOX "haplua.Pipeline"

/* Stack of every call that sends: arguments, then what is made on the way. */
enum {
	SLOT_TARGET = 1,
	SLOT_COMMAND, /* a string or list of words; a list of commands; the head of each
		       */
	SLOT_MORE,    /* the payload; nil; the values */
	SLOT_TAILS,   /* nil; nil; the second values */
	SLOT_TIMEOUT, /* seconds, or nil for the target's */
	SLOT_LAST,    /* each: a command to close with, or nil */
	SLOT_BOX,     /* struct call */
	SLOT_RESULT,  /* a list, or nil */
	SLOT_ERROR    /* the error object of the first command refused, or nil */
};

enum mode { MODE_TEXT, MODE_TEXTS, MODE_EACH };

struct call {
	struct pipeline pipeline;
	struct buf scratch;            /* one command while it is encoded */
	const struct grammar *grammar; /* of the command that was added last */
	lua_Integer done;              /* commands that HAProxy accepted */
};

struct target *lua_call_target(lua_State *L, int index)
{
	return *(struct target **)luaL_checkudata(L, index, TARGET_BOX);
}

/* Told why, too: a signal or a deadline does not know what was under way. */
static int call_close(lua_State *L)
{
	struct call *c = luaL_checkudata(L, 1, PIPELINE_BOX);
	size_t in_doubt = pipeline_in_doubt(&c->pipeline);

	pipeline_free(&c->pipeline);
	buf_free(&c->scratch);
	if (in_doubt && lua_gettop(L) > 1)
		error_in_doubt(L, 2, in_doubt);
	return 0;
}

/* Commands. Everything is encoded, and refused if need be, before anything is sent. */

static void add(lua_State *L, struct call *c, const struct grammar *g, const char *what,
		lua_Integer n)
{
	int rc;

	if (g->flags & GRAMMAR_CLOSES)
		error_misuse(L,
			     "'%s' changes the connection itself, and haplua uses a "
			     "fresh one for each request; nothing was sent",
			     g->command);
	rc = pipeline_add(&c->pipeline, buf_span(&c->scratch), g);
	if (lua_permit_denied(rc))
		lua_permit_raise(L, c->pipeline.target, buf_span(&c->scratch), rc);
	if (rc < 0)
		lua_words_misuse(L, what, n, rc);
	c->grammar = g;
}

static void add_list(lua_State *L, struct call *c, int index)
{
	struct span words[HAP_WORDS_MAX];
	int top = lua_gettop(L);
	size_t n = lua_words_push(L, lua_absindex(L, index), words);
	const struct grammar *g = grammar_find(words, n);

	lua_words_encode(L, &c->scratch, words, n);
	lua_words_number(L, g, words[n - 1]);
	add(L, c, g, "command", 0);
	lua_settop(L, top);
}

static void add_string(lua_State *L, struct call *c, int index)
{
	struct span words[HAP_WORDS_MAX];
	struct span text = lua_words_at(L, index, "command", 1);
	int rc = command_check(text);

	if (rc < 0)
		lua_words_misuse(L, "command", 0, rc);
	rc = command_split(&c->scratch, text, words, HAP_WORDS_MAX);
	if (rc < 0)
		lua_words_misuse(L, "command", 0, rc);
	const struct grammar *g = grammar_find(words, (size_t)rc);

	lua_words_number(L, g, words[rc - 1]);
	c->scratch.n = 0;
	if (buf_add_span(&c->scratch, text) < 0)
		error_raise(L, HAP_ENOMEM, NULL);
	add(L, c, g, "command", 0);
}

static void add_command(lua_State *L, struct call *c, int index)
{
	if (lua_istable(L, index))
		add_list(L, c, index);
	else
		add_string(L, c, index);
}

/* Calling. */

/* Check the arguments that all calls share and make the box. */
static struct call *start(lua_State *L)
{
	struct target *t = lua_call_target(L, SLOT_TARGET);
	struct task *task = task_of(L);
	double timeout;

	lua_settop(L, SLOT_LAST);
	timeout = luaL_optnumber(L, SLOT_TIMEOUT, t->timeout);
	luaL_argcheck(L, timeout > 0, SLOT_TIMEOUT, "a timeout over 0 expected");
	struct call *c = lua_newuserdatauv(L, sizeof *c, 0);

	*c = (struct call){0};
	luaL_setmetatable(L, PIPELINE_BOX);
	lua_toclose(L, SLOT_BOX);
	c->pipeline.wake = task_wake;
	c->pipeline.owner = task;
	if (pipeline_start(&c->pipeline, t, timeout) < 0)
		error_raise(L, HAP_ENOMEM, NULL);
	return c;
}

static void push_error(lua_State *L, const struct call *c, int rc,
		       const struct pipeline_reply *reply)
{
	struct error_about about = {
		.command = pipeline_command(&c->pipeline, reply->index),
		.reply = reply->text,
		.target = c->pipeline.target->name,
		.seconds = c->pipeline.timeout,
		.limit = c->pipeline.target->answer_max,
		.in_doubt = reply->in_doubt,
	};

	if (c->pipeline.n > 1)
		about.index = reply->index + 1;
	error_push(L, rc, &about);
}

static int raise_first(lua_State *L, const struct call *c)
{
	lua_pushinteger(L, c->done);
	lua_setfield(L, SLOT_ERROR, "done");
	lua_settop(L, SLOT_ERROR);
	return lua_error(L);
}

static void take(lua_State *L, struct call *c, const struct pipeline_reply *reply,
		 enum mode mode)
{
	if (reply->rc < 0) {
		pipeline_stop(&c->pipeline);
		if (!lua_isnil(L, SLOT_ERROR))
			return;
		push_error(L, c, reply->rc, reply);
		lua_replace(L, SLOT_ERROR);
		return;
	}
	c->done++;
	bool last = reply->index + 1 == c->pipeline.n;

	if (mode == MODE_TEXT || mode == MODE_TEXTS || (mode == MODE_EACH && last)) {
		lua_pushlstring(L, reply->text.n ? reply->text.p : "", reply->text.n);
		lua_rawseti(L, SLOT_RESULT,
			    mode == MODE_EACH ? 1 : (lua_Integer)reply->index + 1);
	}
}

static int finish(lua_State *L, const struct call *c, enum mode mode)
{
	if (!lua_isnil(L, SLOT_ERROR))
		return raise_first(L, c);
	if (mode == MODE_EACH) {
		bool last = !lua_isnil(L, SLOT_LAST);

		lua_pushinteger(L, c->done - last);
		if (last)
			lua_rawgeti(L, SLOT_RESULT, 1);
		return 1 + last;
	}
	if (mode == MODE_TEXT)
		lua_rawgeti(L, SLOT_RESULT, 1);
	else
		lua_pushvalue(L, SLOT_RESULT);
	return 1;
}

static int call_k(lua_State *L, int status, lua_KContext context)
{
	struct call *c = lua_touserdata(L, SLOT_BOX);
	enum mode mode = (enum mode)context;
	struct pipeline_reply reply;
	int rc;

	(void)status;
	for (;;) {
		rc = pipeline_next(&c->pipeline, &reply);
		if (rc != PIPELINE_REPLY)
			break;
		take(L, c, &reply, mode);
	}
	if (rc == PIPELINE_WAIT)
		return task_park(L, context, call_k);
	if (rc < 0) {
		push_error(L, c, rc, &reply);
		lua_replace(L, SLOT_ERROR);
		return raise_first(L, c);
	}
	return finish(L, c, mode);
}

/* A dry run prints what would have been sent, and answers as if it had gone well. */
static int pretend(lua_State *L, struct call *c, enum mode mode)
{
	host_of(L)->would_change = true;
	for (size_t i = 0; i < c->pipeline.n; i++) {
		struct pipeline_reply reply = {.index = i};

		error_push_visible(L, pipeline_command(&c->pipeline, i), SIZE_MAX);
		printf("would send to %s: %s\n", c->pipeline.target->name,
		       lua_tostring(L, -1));
		lua_pop(L, 1);
		take(L, c, &reply, mode);
	}
	return finish(L, c, mode);
}

static int go(lua_State *L, struct call *c, enum mode mode)
{
	lua_newtable(L);
	lua_pushnil(L);
	if (host_of(L)->options->dry_run && c->pipeline.changes)
		return pretend(L, c, mode);
	return call_k(L, LUA_OK, mode);
}

static int check_payload(const struct grammar *g, struct span payload)
{
	/* It takes one, on every version, but reads it in a way that nobody means. */
	if (strcmp(g->command, "add acl") == 0)
		return HAP_ENOLINES;
	return strcmp(g->command, "add map") == 0 ? command_pairs_check(payload)
						  : command_payload_check(payload);
}

/* target:send(command [, payload [, nil, timeout]]) -> the reply's text */
int lua_call_send(lua_State *L)
{
	struct call *c = start(L);

	add_command(L, c, SLOT_COMMAND);
	if (!lua_isnil(L, SLOT_MORE)) {
		struct span payload = lua_words_at(L, SLOT_MORE, "payload", 1);
		int rc = check_payload(c->grammar, payload);

		if (rc == 0)
			rc = pipeline_payload(&c->pipeline, payload);
		if (lua_permit_denied(rc))
			return lua_permit_raise(L, c->pipeline.target,
						pipeline_command(&c->pipeline, 0), rc);
		if (rc < 0)
			return lua_words_misuse(L, "payload", 0, rc);
	}
	return go(L, c, MODE_TEXT);
}

/* target:batch(commands [, nil, nil, timeout]) -> a list of texts. Raises at the first
 * refusal, after the replies of the same line were read; `done` tells how many were
 * accepted. */
int lua_call_batch(lua_State *L)
{
	struct call *c = start(L);
	lua_Integer n;

	luaL_checktype(L, SLOT_COMMAND, LUA_TTABLE);
	n = luaL_len(L, SLOT_COMMAND);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, SLOT_COMMAND, i);
		add_command(L, c, -1);
		lua_pop(L, 1);
	}
	return go(L, c, MODE_TEXTS);
}

/* Add the i-th command of each(): the head, which is the scratch up to `begin`, and its
 * value, or two. */
static void add_value(lua_State *L, struct call *c, size_t begin, const struct grammar *g,
		      lua_Integer i)
{
	struct span words[2];
	size_t n = 0;

	lua_geti(L, SLOT_MORE, i);
	words[n++] = lua_words_at(L, -1, "value", i);
	if (!lua_isnil(L, SLOT_TAILS)) {
		lua_geti(L, SLOT_TAILS, i);
		words[n++] = lua_words_at(L, -1, "value", i);
	}
	lua_words_number(L, g, words[n - 1]);
	c->scratch.n = begin;
	int rc = command_more(&c->scratch, words, n, NULL);

	if (rc < 0)
		lua_words_misuse(L, "value", i, rc);
	add(L, c, g, "value", i);
	lua_pop(L, (int)n);
}

/* target:each(head, values [, tails [, timeout]]) -> how many
 * Sends the words of `head` with one value behind them, and one of `tails`, for each
 * value. */
int lua_call_each(lua_State *L)
{
	struct span words[HAP_WORDS_MAX];
	struct call *c = start(L);

	luaL_checktype(L, SLOT_COMMAND, LUA_TTABLE);
	luaL_checktype(L, SLOT_MORE, LUA_TTABLE);
	size_t head = lua_words_push(L, SLOT_COMMAND, words);
	const struct grammar *g = grammar_find(words, head);
	lua_Integer n = luaL_len(L, SLOT_MORE);

	if (head + 1 + !lua_isnil(L, SLOT_TAILS) > HAP_WORDS_MAX)
		lua_words_misuse(L, "command", 0, HAP_EWORDS);
	lua_words_encode(L, &c->scratch, words, head);
	size_t begin = c->scratch.n;

	for (lua_Integer i = 1; i <= n; i++)
		add_value(L, c, begin, g, i);
	lua_settop(L, SLOT_BOX);
	if (!lua_isnil(L, SLOT_LAST))
		add_command(L, c, SLOT_LAST);
	return go(L, c, MODE_EACH);
}

/* permit(target, words): raise if --read-only or --only would refuse to send this */
int lua_call_permit(lua_State *L)
{
	const struct target *t = lua_call_target(L, 1);
	struct span command = lua_words_command(L, 2);
	int rc = permit_check(t->permit, command, false);

	if (lua_permit_denied(rc))
		return lua_permit_raise(L, t, command, rc);
	return rc < 0 ? error_raise(L, rc, NULL) : 0;
}

void lua_call_types(lua_State *L)
{
	lua_table_box(L, PIPELINE_BOX, call_close);
}
