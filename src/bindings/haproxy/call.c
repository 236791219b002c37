/* SPDX-License-Identifier: MIT
 *
 * call.c - the ways to send commands to a target: send, batch, each.
 * Lua arguments -> commands -> pipeline -> Lua values. */
#include "bindings/haproxy/call.h"
#include "base/err.h"
#include "net/pipeline.h"
#include "sched/host.h"
#include "luakit/args.h"
#include "luakit/error.h"
#include "luakit/types.h"
#include "bindings/haproxy/words.h"

#include <stdio.h>

#define PIPELINE_BOX "haplua.Pipeline"

/* The stack of every call that sends: its arguments, then what it makes of them. What the
 * calls have in a slot stands in the order send; batch; each. */
enum {
	SLOT_TARGET = 1,
	SLOT_COMMAND, /* a string or a list of words; a list of commands; the head */
	SLOT_MORE,    /* the payload, or nil; nil; the values */
	SLOT_TAILS,   /* nil; nil; the second values, or nil */
	SLOT_TIMEOUT, /* seconds, or nil for the target's */
	SLOT_LAST,    /* nil; nil; the last command, or nil */
	SLOT_BOX,     /* struct call */
	SLOT_RESULT,  /* a list of texts */
	SLOT_ERROR    /* the error object of the first command refused, or nil */
};

enum mode { MODE_TEXT, MODE_TEXTS, MODE_EACH };

struct call {
	struct pipeline pipeline;
	struct command command; /* the one that is being added */
	lua_Integer done;       /* commands that HAProxy accepted */
};

struct target *call_target(lua_State *L, int index)
{
	struct target *t = *(struct target **)luaL_checkudata(L, index, TARGET_BOX);

	luaL_argcheck(L, t, index, "the collector has taken this target");
	return t;
}

/* __close and __gc. The error that ends the call, if there is one, is at index 2. A
 * signal or a deadline that ends it says nothing of commands: how many changes are in
 * doubt is set here. */
static int call_close(lua_State *L)
{
	struct call *c = luaL_checkudata(L, 1, PIPELINE_BOX);
	size_t in_doubt = pipeline_in_doubt(&c->pipeline);

	pipeline_free(&c->pipeline);
	command_free(&c->command);
	if (in_doubt && lua_gettop(L) > 1)
		error_in_doubt(L, 2, in_doubt);
	return 0;
}

/* Commands. Every command is made, and refused if need be, before anything is sent. */

static void push_advice(lua_State *L, const struct permit *p, int rc)
{
	luaL_Buffer b;

	if (rc == HAP_EREADONLY) {
		lua_pushliteral(L, "this run was started with --read-only");
		return;
	}
	luaL_buffinit(L, &b);
	luaL_addstring(&b, "this run may change ");
	for (int i = 0; i < p->n_only; i++) {
		luaL_addstring(&b, i > 0 ? ", " : "");
		luaL_addstring(&b, p->only[i].text);
	}
	luaL_addstring(&b, " alone, by that name; --only REF allows more");
	luaL_pushresult(&b);
}

/* Raise the error of --read-only or --only for this command. Its advice names the option
 * and what the option allows. */
static int raise_denied(lua_State *L, const struct target *t, const struct command *c,
			int rc)
{
	struct error_about about = {.command = c->text, .target = t->name};

	error_push(L, rc, &about);
	push_advice(L, t->permit, rc);
	lua_setfield(L, -2, "advice");
	return lua_error(L);
}

/* permit(target [, command]): raise what sending the command would raise because of
 * --read-only or --only; without one, what any change would because of --read-only */
int lcall_permit(lua_State *L)
{
	const struct permit *p = call_target(L, 1)->permit; /* the host's */
	struct command *c;
	int rc;

	lua_settop(L, 2);
	c = words_push_command(L);
	if (lua_isnil(L, 2)) {
		rc = p->read_only ? HAP_EREADONLY : 0;
	} else {
		words_command(L, c, 2);
		rc = permit_check(p, c);
	}
	return rc < 0 ? raise_denied(L, call_target(L, 1), c, rc) : 0;
}

/* Add the command in c->command, which messages call `what` number `n`. */
static void add(lua_State *L, struct call *c, const char *what, lua_Integer n)
{
	const struct command *command = &c->command;
	int rc;

	if (command->grammar->flags & GRAMMAR_CLOSES)
		error_misuse(L,
			     "'%s' changes the connection itself, and haplua uses a "
			     "fresh one for each request; nothing was sent",
			     command->grammar->command);
	words_check_number(L, command);
	rc = pipeline_add(&c->pipeline, command);
	if (rc == HAP_EREADONLY || rc == HAP_EONLY)
		raise_denied(L, c->pipeline.target, command, rc);
	if (rc < 0)
		words_misuse(L, what, n, rc);
}

/* Add the command at `index`, with the payload at index `payload`; 0: it has none. */
static void add_command(lua_State *L, struct call *c, int index, int payload)
{
	int top = lua_gettop(L), rc = 0;

	words_command(L, &c->command, index);
	if (payload)
		rc = command_payload(&c->command, words_at(L, payload, "payload", 1));
	if (rc < 0)
		words_misuse(L, "payload", 0, rc);
	add(L, c, payload ? "payload" : "command", 0);
	lua_settop(L, top);
}

/* Calling. */

/* Check the arguments that all calls share and make the box. */
static struct call *start(lua_State *L)
{
	struct target *t = call_target(L, SLOT_TARGET);
	struct task *task = task_of(L);
	double timeout;

	lua_settop(L, SLOT_LAST);
	timeout = luaL_optnumber(L, SLOT_TIMEOUT, t->timeout);
	luaL_argcheck(L, timeout > 0, SLOT_TIMEOUT, "a timeout over 0 expected");
	struct call *c = types_push(L, PIPELINE_BOX, sizeof *c, 0);

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
		.phase = reply->phase,
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

	if (mode != MODE_EACH || last) {
		lua_pushlstring(L, reply->text.p, reply->text.n);
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

void call_would(lua_State *L, const struct target *t, struct span text)
{
	host_of(L)->would_change = true;
	error_push_visible(L, text, SIZE_MAX);
	printf("would send to %s: %s\n", t->name, lua_tostring(L, -1));
	lua_pop(L, 1);
}

/* Print what a dry run does not send, and answer as if HAProxy had accepted it. */
static int pretend(lua_State *L, struct call *c, enum mode mode)
{
	for (size_t i = 0; i < c->pipeline.n; i++) {
		struct pipeline_reply reply = {.index = i};

		call_would(L, c->pipeline.target, pipeline_command(&c->pipeline, i));
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

/* target:send(command [, payload [, nil, timeout]]) -> the reply's text */
int lcall_send(lua_State *L)
{
	struct call *c = start(L);

	add_command(L, c, SLOT_COMMAND, lua_isnil(L, SLOT_MORE) ? 0 : SLOT_MORE);
	return go(L, c, MODE_TEXT);
}

/* target:batch(commands [, nil, nil, timeout]) -> a list of texts. Raises at the first
 * refusal, after the replies of the same line were read; `done` says how many commands
 * HAProxy accepted. */
int lcall_batch(lua_State *L)
{
	struct call *c = start(L);
	int n = args_length(L, SLOT_COMMAND, "commands");

	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, SLOT_COMMAND, i);
		add_command(L, c, -1, 0);
		lua_pop(L, 1);
	}
	return go(L, c, MODE_TEXTS);
}

/* Add the i-th command of each(): the head, and its value, or two. */
static void add_value(lua_State *L, struct call *c, lua_Integer i)
{
	struct span words[2];
	size_t n = 0;

	lua_geti(L, SLOT_MORE, i);
	words[n++] = words_at(L, -1, "value", i);
	if (!lua_isnil(L, SLOT_TAILS)) {
		lua_geti(L, SLOT_TAILS, i);
		words[n++] = words_at(L, -1, "value", i);
	}
	int rc = command_more(&c->command, words, n, NULL);

	if (rc < 0)
		words_misuse(L, rc == HAP_EWORDS ? "command" : "value",
			     rc == HAP_EWORDS ? 0 : i, rc);
	add(L, c, "value", i);
	lua_pop(L, (int)n);
}

/* target:each(head, values [, tails [, timeout [, last]]]) -> how many, the last reply
 * Sends the words of `head` with one value behind them, and one of `tails`, for each
 * value; then the command `last`, if there is one. */
int lcall_each(lua_State *L)
{
	struct span head[HAP_WORDS_MAX];
	struct call *c = start(L);
	size_t n_head = words_push(L, SLOT_COMMAND, head);
	int n = args_length(L, SLOT_MORE, "values");

	words_encode(L, &c->command, head, n_head);
	for (lua_Integer i = 1; i <= n; i++)
		add_value(L, c, i);
	lua_settop(L, SLOT_BOX);
	if (!lua_isnil(L, SLOT_LAST))
		add_command(L, c, SLOT_LAST, 0);
	return go(L, c, MODE_EACH);
}

void call_types(lua_State *L)
{
	types_box(L, PIPELINE_BOX, call_close);
}
