/* SPDX-License-Identifier: MIT
 *
 * coroutine.c - coroutine.resume, wrap and yield that know of tasks.
 * A call that waits works inside a script's own coroutines (an iterator that sleeps,
 * say): the wait passes through resume() up to the task, and the wake comes down the same
 * way. A coroutine that fails is closed at once, as Lua's wrap() does it: a wait that was
 * broken off must not leave a timer or a connection behind. */
#include "luakit/error.h"
#include "luakit/types.h"
#include "sched/cancel.h"
#include "sched/deadline.h"

#include <lualib.h>

/* Does a task wait inside `co`? Then only that task may go on with it: a coroutine that
 * stands at a yield of the script's own, or has ended, runs for no task. */
static bool is_waiting(lua_State *co)
{
	return lua_status(co) == LUA_YIELD && task_current(co);
}

/* `co` begins to run for `t`; L resumes it. */
static void enter(lua_State *co, struct task *t)
{
	task_set_current(co, t);
	if (t) {
		deadline_resume(co, t);
		cancel_enter(co, t);
	}
}

/* `co` has come back to L by a yield of its own, or has ended. */
static void leave(lua_State *L, lua_State *co, struct task *t)
{
	task_set_current(co, NULL);
	if (t) {
		deadline_suspend(co, t);
		cancel_enter(L, t);
	}
}

/* Resume `co` and move what it yields or returns to L: the number of values. -1: it
 * failed, and the error lies on L. A wait inside parks the whole task, and k goes on. */
static int resumed(lua_State *L, lua_State *co, int nargs, lua_KFunction k)
{
	struct task *t = task_current(L);
	lua_State *before = cancel_set_running(co);
	/* A wait inside passes through L, and is refused where L cannot yield. */
	bool barred = t && !lua_isyieldable(L);
	int n = 0;

	enter(co, t);
	if (barred)
		t->unyieldable++;
	int rc = lua_resume(co, L, nargs, &n);

	if (barred)
		t->unyieldable--;
	cancel_set_running(before);
	if (t && t->state == TASK_PARKED) {
		lua_pop(co, n);
		return lua_yieldk(L, 0, (lua_KContext)co, k);
	}
	leave(L, co, t);
	if (rc != LUA_OK && rc != LUA_YIELD) {
		lua_resetthread(co); /* keeps the error on its stack */
		lua_xmove(co, L, 1);
		return -1;
	}
	luaL_checkstack(L, n + 1, "too many results");
	lua_xmove(co, L, n);
	return n;
}

/* May `co` be resumed? Else push why not. */
static bool can_resume(lua_State *L, lua_State *co)
{
	int status = lua_status(co);
	lua_Debug ar;
	bool busy = is_waiting(co) ||
		    (status == LUA_OK && (co == L || lua_getstack(co, 0, &ar)));

	if (!busy && (status == LUA_YIELD || (status == LUA_OK && lua_gettop(co) > 0)))
		return true;
	lua_pushstring(L, busy ? "cannot resume non-suspended coroutine"
			       : "cannot resume dead coroutine");
	return false;
}

/* Resume `co` with the n values on top of L. Returns as resumed() does. */
static int begin(lua_State *L, lua_State *co, int n, lua_KFunction k)
{
	if (!can_resume(L, co))
		return -1;
	if (!lua_checkstack(co, n))
		return luaL_error(L, "too many arguments to resume");
	lua_xmove(L, co, n);
	return resumed(L, co, n, k);
}

static int resume_end(lua_State *L, int n)
{
	lua_pushboolean(L, n >= 0);
	n = n >= 0 ? n : 1;
	lua_insert(L, -1 - n);
	return n + 1;
}

static int resume_k(lua_State *L, int status, lua_KContext context)
{
	(void)status;
	return resume_end(L, resumed(L, (lua_State *)context, 0, resume_k));
}

static int co_resume(lua_State *L)
{
	lua_State *co = lua_tothread(L, 1);

	luaL_argexpected(L, co, 1, "coroutine");
	return resume_end(L, begin(L, co, lua_gettop(L) - 1, resume_k));
}

static int wrap_end(lua_State *L, int n)
{
	return n >= 0 ? n : lua_error(L);
}

static int wrap_k(lua_State *L, int status, lua_KContext context)
{
	(void)status;
	return wrap_end(L, resumed(L, (lua_State *)context, 0, wrap_k));
}

static int wrapped(lua_State *L)
{
	lua_State *co = lua_tothread(L, lua_upvalueindex(1));

	return wrap_end(L, begin(L, co, lua_gettop(L), wrap_k));
}

static int co_wrap(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	lua_State *co = lua_newthread(L);

	lua_pushvalue(L, 1);
	lua_xmove(L, co, 1);
	lua_pushcclosure(L, wrapped, 1);
	return 1;
}

static int co_yield (lua_State *L)
{
	struct task *t = task_current(L);

	if (t && t->L == L)
		return error_misuse(L, "attempt to yield from outside a coroutine");
	return lua_yield(L, lua_gettop(L));
}

/* Lua's own status() and close() with what they cannot know: a coroutine in which a task
 * waits is not suspended. Upvalue 1: Lua's own function. */

static int call_own(lua_State *L)
{
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	return lua_gettop(L);
}

static int co_status(lua_State *L)
{
	lua_State *co = lua_tothread(L, 1);

	if (!co || !is_waiting(co))
		return call_own(L);
	lua_pushliteral(L, "normal");
	return 1;
}

static int co_close(lua_State *L)
{
	lua_State *co = lua_tothread(L, 1);

	if (co && is_waiting(co))
		return luaL_error(L, "cannot close a normal coroutine");
	return call_own(L);
}

static const luaL_Reg mended[] = {
	{"resume", co_resume},
	{"wrap", co_wrap},
	{"yield", co_yield },
	{NULL, NULL},
};

static const luaL_Reg wrapped_up[] = {
	{"status", co_status},
	{"close", co_close},
	{NULL, NULL},
};

int luaopen_haplua_coroutine(lua_State *L)
{
	lua_getglobal(L, LUA_COLIBNAME);
	luaL_setfuncs(L, mended, 0);
	for (const luaL_Reg *f = wrapped_up; f->name; f++) {
		lua_getfield(L, -1, f->name);
		lua_pushcclosure(L, f->func, 1);
		lua_setfield(L, -2, f->name);
	}
	return 1;
}
