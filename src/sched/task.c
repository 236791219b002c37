/* SPDX-License-Identifier: MIT
 *
 * task.c - the scheduler. How a task ends: task_main() calls its function under a
 * protected call, in which Lua lets `__close` wait; then end_k() waits for the children;
 * then the coroutine returns and on_end() tells parent and waiters. */
#include "sched/task.h"
#include "base/err.h"
#include "os/signals.h"
#include "luakit/error.h"
#include "net/target.h"
#include "sched/cancel.h"

#include <lauxlib.h>
#include <stdlib.h>

void task_unref(struct task *t)
{
	if (--t->refs > 0)
		return;
	if (t->target)
		target_unref(t->target);
	free(t);
}

void scheduler_init(struct scheduler *s, lua_State *L, struct clock *clock)
{
	*s = (struct scheduler){.L = L, .clock = clock};
	task_lend(
		L,
		NULL); /* new coroutines copy the main thread's, which Lua leaves unset */
}

/* Which task a coroutine runs for stands in the coroutine's extra space. */

void task_lend(lua_State *L, struct task *t)
{
	*(struct task **)lua_getextraspace(L) = t;
}

struct task *task_get(lua_State *L)
{
	return *(struct task **)lua_getextraspace(L);
}

struct task *task_of(lua_State *L)
{
	struct task *t = task_get(L);

	if (!t)
		error_misuse(L, "this call waits, and can only be made from a task");
	return t;
}

/* Parking and waking. */

static void waiters_leave(struct task *t)
{
	if (!t->waits_for)
		return;
	struct task **link = &t->waits_for->waiters;

	while (*link != t)
		link = &(*link)->waiters_next;
	*link = t->waiters_next;
	t->waits_for = NULL;
}

static int unpark_k(lua_State *L, int status, lua_KContext context)
{
	struct task *t = task_of(L);

	(void)context;
	waiters_leave(t);
	if (task_push_due(L, t))
		return lua_error(L);
	return t->k(L, status, t->context);
}

static int unpark_quietly_k(lua_State *L, int status, lua_KContext context)
{
	struct task *t = task_of(L);

	(void)context;
	waiters_leave(t);
	task_renew_grace(t);
	return t->k(L, status, t->context);
}

static int park(lua_State *L, struct task *t, lua_KContext context, lua_KFunction k,
		lua_KFunction unpark)
{
	if (!lua_isyieldable(L))
		return error_misuse(L, "this call waits, which is not possible inside a "
				       "callback of C (sort, gsub, require, ...)");
	t->k = k;
	t->context = context;
	t->state = TASK_PARKED;
	t->strikes = t->burst = 0;
	return lua_yieldk(L, 0, 0, unpark);
}

int task_park(lua_State *L, lua_KContext context, lua_KFunction k)
{
	struct task *t = task_of(L);

	if (task_push_due(L, t)) {
		waiters_leave(t);
		return lua_error(L);
	}
	return park(L, t, context, k, unpark_k);
}

int task_park_quietly(lua_State *L, lua_KContext context, lua_KFunction k)
{
	return park(L, task_of(L), context, k, unpark_quietly_k);
}

void task_wake(void *task)
{
	struct task *t = task;
	struct scheduler *s = t->s;

	if (t->ready || (t->state != TASK_PARKED && t->state != TASK_READY))
		return;
	t->ready = true;
	t->refs++;
	t->ready_next = NULL;
	if (s->last)
		s->last->ready_next = t;
	else
		s->first = t;
	s->last = t;
}

/* The life of a task. */

static void cancel_children(struct task *t)
{
	for (struct task *child = t->children; child; child = child->next)
		task_cancel(child);
}

/* Where a task's function has returned or failed: wait for the children. Index 1 is the
 * message handler, or the error; above it are the results. */
static int end_k(lua_State *L, int status, lua_KContext context)
{
	struct task *t = task_of(L);

	(void)status, (void)context;
	if (!t->failed && task_push_due(L, t)) {
		lua_replace(L, 1);
		lua_settop(L, 1);
		t->failed = true;
		cancel_children(t);
	}
	if (t->children)
		return task_park_quietly(L, 0, end_k);
	if (!t->failed)
		return lua_gettop(L) - 1;
	task_push(L, t);
	lua_getiuservalue(L, 2, BOX_TRACE);
	lua_replace(L, 2);
	return 2;
}

static int returned_k(lua_State *L, int status, lua_KContext context)
{
	struct task *t = task_of(L);

	if (status != LUA_OK && status != LUA_YIELD) {
		lua_replace(L, 1);
		lua_settop(L, 1);
		t->failed = true;
		cancel_children(t);
	}
	return end_k(L, status, context);
}

/* Message handler: keep a traceback of where the error began. */
static int keep_trace(lua_State *L)
{
	struct task *t = task_get(L);

	lua_settop(L, 1);
	if (!t)
		return 1;
	task_push(L, t);
	lua_getiuservalue(L, 2, BOX_ERROR);
	if (lua_rawequal(L, -1, 1) && !lua_isnil(L, 1))
		goto out; /* a child's, with the child's trace */
	error_traceback(L, L);
	lua_setiuservalue(L, 2, BOX_TRACE);
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, 2, BOX_ERROR);
out:
	lua_settop(L, 1);
	return 1;
}

static int raise_due(lua_State *L)
{
	return task_push_due(L, task_of(L)) ? lua_error(L) : 0;
}

static int task_main(lua_State *L)
{
	struct task *t = task_of(L);

	if (t->pending) { /* told to end before it began */
		lua_settop(L, 1);
		lua_pushcfunction(L, raise_due);
	}
	int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, returned_k);

	return returned_k(L, status, 0);
}

static void link_into(struct task **list, struct task *t)
{
	t->link = list;
	t->next = *list;
	if (t->next)
		t->next->link = &t->next;
	*list = t;
}

static void unlink_from(struct task *t)
{
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
}

/* The coroutine has ended; its results, or the error, lie on its stack. */
static void on_end(struct task *t)
{
	struct scheduler *s = t->s;
	struct task *parent = t->parent;

	t->state = TASK_DONE;
	task_end_grace(t);
	s->alive--;
	unlink_from(t);
	while (t->children) { /* only when task_main() itself broke, out of memory */
		struct task *child = t->children;

		task_cancel(child);
		unlink_from(child);
		child->parent = NULL;
		link_into(&s->roots, child);
	}
	if (t->failed && !t->asked && parent && !parent->broken &&
	    lua_topointer(t->L, 1) != t->told) {
		parent->broken = t;
		t->refs++;
	}
	if (parent)
		task_wake(parent);
	for (struct task *w = t->waiters; w; w = w->waiters_next)
		task_wake(w);
	if (t->broken) {
		task_unref(t->broken);
		t->broken = NULL;
	}
	luaL_unref(s->L, LUA_REGISTRYINDEX, t->anchor);
	t->anchor = LUA_NOREF;
}

static void resume(struct scheduler *s, struct task *t)
{
	int nargs = t->state == TASK_READY ? lua_gettop(t->L) - 1 : 0;
	int n = 0;

	t->state = TASK_RUNNING;
	s->running = t;
	interrupt_running(t->L);
	task_watch(t);
	int rc = lua_resume(t->L, s->L, nargs, &n);

	interrupt_alarm(0);
	interrupt_running(NULL);
	s->running = NULL;
	if (rc == LUA_YIELD) {
		lua_pop(t->L, n);
		return;
	}
	if (rc != LUA_OK) {
		t->failed = true;
		lua_resetthread(t->L); /* keeps the error on the stack */
	}
	on_end(t);
}

void scheduler_run(struct scheduler *s)
{
	struct task *t = s->first;

	s->first = s->last = NULL;
	while (t) {
		struct task *next = t->ready_next;

		t->ready = false;
		if (t->state != TASK_DONE) {
			resume(s, t);
			t->refs -= t->state == TASK_DONE; /* no longer alive */
		}
		task_unref(t);
		t = next;
	}
}

void scheduler_close(struct scheduler *s)
{
	struct task *next;

	for (struct task *t = s->first; t; t = next) {
		next = t->ready_next;
		task_unref(t);
	}
	for (struct task *t = s->roots; t; t = next) {
		next = t->next;
		task_unref(t);
	}
	for (struct task *t = s->abandoned; t; t = next) {
		next = t->next;
		task_unref(t);
	}
}

void task_abandon(struct task *t)
{
	struct scheduler *s = t->s;

	if (t->state == TASK_DONE)
		return;
	while (t->children)
		task_abandon(t->children);
	t->state = TASK_DONE;
	waiters_leave(t);
	task_end_grace(t);
	unlink_from(t);
	link_into(&s->abandoned, t);
	s->alive--;
	luaL_unref(s->L, LUA_REGISTRYINDEX, t->anchor);
	t->anchor = LUA_NOREF;
}

struct task *task_spawn(lua_State *L, struct scheduler *s, struct task *parent, int n)
{
	struct task **box = lua_newuserdatauv(L, sizeof *box, BOX_VALUES);

	*box = NULL;
	luaL_setmetatable(L, TASK_BOX);
	lua_State *thread = lua_newthread(L);

	lua_setiuservalue(L, -2, BOX_THREAD);
	if (!lua_checkstack(thread, n + 3))
		luaL_error(L, "too many arguments for a task");
	lua_pushcfunction(thread, task_main);
	lua_pushcfunction(thread, keep_trace);
	for (int i = 0; i <= n; i++) {
		lua_pushvalue(L, i - n - 2);
		lua_xmove(L, thread, 1);
	}
	lua_pushvalue(L, -1);
	int anchor = luaL_ref(L, LUA_REGISTRYINDEX);
	struct task *t = calloc(1, sizeof *t);

	if (!t) {
		luaL_unref(L, LUA_REGISTRYINDEX, anchor);
		error_raise(L, HAP_ENOMEM, NULL);
		return NULL;
	}
	*box = t;
	t->refs = 2; /* the box, and being alive */
	t->s = s;
	t->L = thread;
	t->anchor = anchor;
	t->parent = parent;
	t->target = parent && parent->target ? target_ref(parent->target) : NULL;
	link_into(parent ? &parent->children : &s->roots, t);
	s->alive++;
	task_lend(thread, t);
	task_wake(t);
	lua_insert(L, -2 - n);
	lua_pop(L, n + 1);
	return t;
}

/* What bindings use. */

void task_wait_for(struct task *t, struct task *ended)
{
	if (t->waits_for)
		return;
	t->waits_for = ended;
	t->waiters_next = ended->waiters;
	ended->waiters = t;
}

static int joined_k(lua_State *L, int status, lua_KContext context)
{
	struct task *ended = (struct task *)context;

	(void)status;
	return task_join(L, ended);
}

int task_join(lua_State *L, struct task *ended)
{
	struct task *t = task_of(L);

	ended->asked = true;
	if (ended->state != TASK_DONE) {
		task_wait_for(t, ended);
		return task_park(L, (lua_KContext)ended, joined_k);
	}
	if (t->broken == ended) {
		t->broken = NULL;
		task_unref(ended);
	}
	if (ended->failed) {
		task_push_error_of(L, t, ended);
		return lua_error(L);
	}
	int n = lua_gettop(ended->L);

	luaL_checkstack(L, n, "too many results");
	if (!lua_checkstack(ended->L, n))
		luaL_error(L, "too many results");
	for (int i = 1; i <= n; i++)
		lua_pushvalue(ended->L, i);
	lua_xmove(ended->L, L, n);
	return n;
}

void task_push(lua_State *L, struct task *t)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, t->anchor);
}

struct task *task_check(lua_State *L, int index)
{
	return *(struct task **)luaL_checkudata(L, index, TASK_BOX);
}

void task_set_target(struct task *t, struct target *target)
{
	target_ref(target);
	if (t->target)
		target_unref(t->target);
	t->target = target;
}
