/* SPDX-License-Identifier: MIT
 *
 * scheduler.c - how tasks begin, wait and end. A task's coroutine runs task_main(), which
 * calls the task's function under a protected call, in which Lua lets `__close` wait;
 * then end_k() waits for the children; then the coroutine returns, and on_end() wakes
 * parent and waiters. */
#include "sched/scheduler.h"
#include "base/err.h"
#include "luakit/error.h"
#include "luakit/types.h"
#include "os/signals.h"
#include "sched/cancel.h"
#include "sched/deadline.h"

#include <lauxlib.h>
#include <stdlib.h>

void scheduler_init(struct scheduler *s, lua_State *L, struct clock *clock)
{
	*s = (struct scheduler){.L = L, .clock = clock};
	STAILQ_INIT(&s->ready);
	task_set_current(L, NULL); /* Lua leaves the main thread's unset */
}

struct task *task_of(lua_State *L)
{
	struct task *t = task_current(L);

	if (!t)
		error_misuse(L, "this call waits, and can only be made from a task");
	return t;
}

struct task *task_check(lua_State *L, int index)
{
	struct task *t = *(struct task **)luaL_checkudata(L, index, TASK_BOX);

	luaL_argcheck(L, t, index, "the collector has taken this task");
	return t;
}

static void push_box(lua_State *L, const struct task *t)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, t->anchor);
}

/* Push the error that `ended` failed with, to be raised in `t`. A failed task leaves two
 * values on its stack, the error and the traceback; the latter goes with the error.
 * [-0, +1] */
static void push_error_of(lua_State *L, struct task *t, struct task *ended)
{
	ended->heard = true;
	push_box(L, t);
	for (int i = 1; i <= 2; i++) {
		if (!lua_checkstack(ended->L, 1))
			luaL_error(L, "stack overflow");
		lua_pushvalue(ended->L, i);
		lua_xmove(ended->L, L, 1);
	}
	lua_setiuservalue(L, -3, BOX_TRACE);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, -3, BOX_ERROR);
	lua_remove(L, -2);
}

/* Push what is to be raised in `t` at a wait, if anything. Returns whether.
 * [-0, +(0|1)] */
static bool push_due(lua_State *L, struct task *t)
{
	if (cancel_push(L, t))
		return true;
	struct task *child = task_failed_child(t);

	if (!child)
		return false;
	luaL_checkstack(L, 4, NULL);
	push_error_of(L, t, child);
	task_drop_failed_child(t, child);
	return true;
}

/* What happens before a task goes on in its continuation. */
enum unpark {
	UNPARK_RAISE, /* what is to be raised is raised */
	UNPARK_QUIET, /* nothing is raised, and cleanups have their whole time again */
	UNPARK_ONLY,  /* the continuation looks itself what is to be raised */
};

/* Goes on with what park() left, in the coroutine of the wait. */
static int unpark_k(lua_State *L, int status, lua_KContext how)
{
	struct task *t = task_of(L);
	lua_KFunction k = t->k;

	t->k = NULL;
	if (how == UNPARK_RAISE && push_due(L, t))
		return lua_error(L);
	if (how == UNPARK_QUIET)
		cancel_renew_grace(t);
	return k(L, status, t->context);
}

bool task_can_wait(lua_State *L)
{
	const struct task *t = task_current(L);

	return t && lua_isyieldable(L) && t->unyieldable == 0;
}

/* The running task, if it can wait here; else raise. */
static struct task *waiting_task(lua_State *L)
{
	struct task *t = task_of(L);

	if (!task_can_wait(L))
		error_misuse(L, "this call waits, which is not possible inside a "
				"callback of C (sort, gsub, require, ...)");
	return t;
}

/* Nothing between here and the yield raises: a task is PARKED, or it runs on. */
static int park(lua_State *L, struct task *t, struct task *ended, lua_KContext context,
		lua_KFunction k, enum unpark how)
{
	t->k = k;
	t->context = context;
	t->state = TASK_PARKED;
	t->s->running = NULL;
	if (ended)
		task_wait_for(t, ended);
	task_assert(t);
	return lua_yieldk(L, 0, how, unpark_k);
}

static int park_until(lua_State *L, struct task *ended, lua_KContext context,
		      lua_KFunction k)
{
	struct task *t = waiting_task(L);

	if (push_due(L, t))
		return lua_error(L);
	return park(L, t, ended, context, k, UNPARK_RAISE);
}

int task_park(lua_State *L, lua_KContext context, lua_KFunction k)
{
	return park_until(L, NULL, context, k);
}

int task_park_quietly(lua_State *L, struct task *ended, lua_KContext context,
		      lua_KFunction k)
{
	return park(L, waiting_task(L), ended, context, k, UNPARK_QUIET);
}

static int joined_k(lua_State *L, int status, lua_KContext context)
{
	(void)status;
	return task_join(L, (struct task *)context);
}

int task_join(lua_State *L, struct task *ended)
{
	struct task *t = task_of(L);

	if (ended->state != TASK_DONE)
		return park_until(L, ended, (lua_KContext)ended, joined_k);
	if (ended->failed) {
		luaL_checkstack(L, 4, NULL);
		push_error_of(L, t, ended);
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

/* The life of a task. */

/* The task fails with the error on the top of L. */
static void fail(lua_State *L, struct task *t)
{
	struct task *child;

	lua_replace(L, 1);
	lua_settop(L, 1);
	t->failed = true;
	LIST_FOREACH (child, &t->children, siblings)
		cancel_task(child);
}

/* The task's function has returned or failed: wait for the children, and for who waits
 * for a failed one. Index 1 is the message handler, or the error; above it are the
 * results. */
static int end_k(lua_State *L, int status, lua_KContext context)
{
	struct task *t = task_of(L);

	(void)status, (void)context;
	if (!t->failed && push_due(L, t))
		fail(L, t);
	if (!LIST_EMPTY(&t->children) ||
	    (!t->failed && !STAILQ_EMPTY(&t->failed_children)))
		return park(L, waiting_task(L), NULL, 0, end_k, UNPARK_ONLY);
	if (!t->failed)
		return lua_gettop(L) - 1;
	push_box(L, t);
	lua_getiuservalue(L, 2, BOX_TRACE);
	lua_replace(L, 2);
	return 2;
}

static int returned_k(lua_State *L, int status, lua_KContext context)
{
	if (status != LUA_OK && status != LUA_YIELD)
		fail(L, task_of(L));
	return end_k(L, status, context);
}

/* Message handler: keep a traceback of where the error began. An error that was raised
 * here for a child has the child's. */
static int keep_trace(lua_State *L)
{
	struct task *t = task_current(L);

	lua_settop(L, 1);
	if (!t)
		return 1;
	push_box(L, t);
	lua_getiuservalue(L, 2, BOX_ERROR);
	if (!lua_rawequal(L, -1, 1) || lua_isnil(L, 1)) {
		error_traceback(L, L);
		lua_setiuservalue(L, 2, BOX_TRACE);
		lua_pushvalue(L, 1);
		lua_setiuservalue(L, 2, BOX_ERROR);
	}
	lua_settop(L, 1);
	return 1;
}

static int raise_due(lua_State *L)
{
	return push_due(L, task_of(L)) ? lua_error(L) : 0;
}

static int task_main(lua_State *L)
{
	struct task *t = task_of(L);

	if (t->pending_error) { /* cancelled before it began */
		lua_settop(L, 1);
		lua_pushcfunction(L, raise_due);
	}
	int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, returned_k);

	return returned_k(L, status, 0);
}

/* Is the error of a failed task one that its parent got as well? */
static bool is_known_to_parent(const struct task *t)
{
	lua_State *L = t->s->L;
	bool is = false;

	push_box(L, t);
	lua_pushvalue(t->L, 1);
	lua_xmove(t->L, L, 1);
	for (int i = BOX_INTERRUPTED; !is && i <= BOX_DEADLOCK; i++) {
		lua_getiuservalue(L, -2, i);
		is = !lua_isnil(L, -1) && lua_rawequal(L, -1, -2);
		lua_pop(L, 1);
	}
	lua_pop(L, 2);
	return is;
}

/* Children outlive their parent only where task_main() itself failed, out of memory: make
 * them roots that end soon. */
static void orphan_children(struct task *t)
{
	struct task *child;

	while ((child = LIST_FIRST(&t->children))) {
		cancel_task(child);
		LIST_REMOVE(child, siblings);
		child->parent = NULL;
		LIST_INSERT_HEAD(&t->s->roots, child, siblings);
	}
}

static void drop_failed_children(struct task *t)
{
	while (!STAILQ_EMPTY(&t->failed_children))
		task_drop_failed_child(t, STAILQ_FIRST(&t->failed_children));
}

/* The coroutine has ended; its results, or error and traceback, lie on its stack. */
static void on_end(struct task *t)
{
	struct task *parent = t->parent, *waiter;
	bool is_news = t->failed && !t->heard && parent && !is_known_to_parent(t);

	t->state = TASK_DONE;
	t->s->running = NULL;
	t->s->alive--;
	deadline_leave_all(t);
	cancel_forget(t);
	LIST_REMOVE(t, siblings);
	orphan_children(t);
	drop_failed_children(t);
	LIST_FOREACH (waiter, &t->waiters, co_waiters)
		task_wake(waiter);
	if (is_news) {
		STAILQ_INSERT_TAIL(&parent->failed_children, t, in_failed);
		t->refs++;
	} else {
		t->parent = NULL;
		task_unanchor(t);
	}
	if (parent)
		task_wake(parent);
	task_assert(t);
}

static void resume(struct scheduler *s, struct task *t)
{
	int nargs = t->state == TASK_READY ? lua_gettop(t->L) - 1 : 0;
	int n = 0;

	task_assert(t);
	task_leave_wait(t);
	t->state = TASK_RUNNING;
	s->running = t;
	cancel_set_running(t->L);
	cancel_watch(t);
	int rc = lua_resume(t->L, s->L, nargs, &n);

	signals_alarm(0);
	cancel_set_running(NULL);
	if (rc == LUA_YIELD) {
		lua_pop(t->L, n);
		return;
	}
	if (rc != LUA_OK) { /* task_main() itself failed: keep the error, no traceback */
		t->failed = true;
		lua_resetthread(t->L);
		lua_settop(t->L, 1);
		lua_pushnil(t->L);
	}
	on_end(t);
}

void scheduler_run(struct scheduler *s)
{
	struct task_queue round = STAILQ_HEAD_INITIALIZER(round);
	struct task *t;

	STAILQ_CONCAT(&round, &s->ready);
	while ((t = STAILQ_FIRST(&round))) {
		STAILQ_REMOVE_HEAD(&round, in_ready);
		t->queued = false;
		if (t->state != TASK_DONE) {
			resume(s, t);
			t->refs -= t->state == TASK_DONE; /* no longer alive */
		}
		task_unref(t);
	}
}

/* Free a list of siblings and all below them. */
static void unref_all(struct task_list *list)
{
	struct task *t;

	while ((t = LIST_FIRST(list))) {
		LIST_REMOVE(t, siblings);
		unref_all(&t->children);
		task_unref(t);
	}
}

void scheduler_close(struct scheduler *s)
{
	struct task *t;

	while ((t = STAILQ_FIRST(&s->ready))) {
		STAILQ_REMOVE_HEAD(&s->ready, in_ready);
		task_unref(t);
	}
	unref_all(&s->roots);
	unref_all(&s->abandoned);
}

void scheduler_abandon(struct task *t)
{
	struct scheduler *s = t->s;

	if (t->state == TASK_DONE)
		return;
	while (!LIST_EMPTY(&t->children))
		scheduler_abandon(LIST_FIRST(&t->children));
	task_leave_wait(t);
	deadline_leave_all(t);
	cancel_forget(t);
	drop_failed_children(t);
	t->state = TASK_DONE;
	t->parent = NULL;
	t->k = NULL;
	s->alive--;
	LIST_REMOVE(t, siblings);
	LIST_INSERT_HEAD(&s->abandoned, t, siblings);
	task_unanchor(t);
	task_assert(t);
}

/* Push the box of a new task, with its coroutine, on whose stack lie task_main(), the
 * message handler, and the function with its n arguments, taken from L. [-(n+1), +1] */
static struct task **push_new_box(lua_State *L, int n)
{
	struct task **box = types_push(L, TASK_BOX, sizeof *box, BOX_VALUES);
	lua_State *thread = lua_newthread(L);

	task_set_current(thread, NULL);
	lua_setiuservalue(L, -2, BOX_THREAD);
	if (!lua_checkstack(thread, n + 3))
		luaL_error(L, "too many arguments for a task");
	lua_pushcfunction(thread, task_main);
	lua_pushcfunction(thread, keep_trace);
	lua_insert(L, -n - 2);
	lua_xmove(L, thread, n + 1);
	return box;
}

struct task *scheduler_spawn(lua_State *L, struct scheduler *s, struct task *parent,
			     int n)
{
	struct task **box = push_new_box(L, n);

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
	t->anchor = anchor;
	STAILQ_INIT(&t->failed_children);
	t->state = TASK_READY;
	lua_getiuservalue(L, -1, BOX_THREAD);
	t->L = lua_tothread(L, -1);
	lua_pop(L, 1);
	task_set_current(t->L, t);
	t->parent = parent;
	LIST_INSERT_HEAD(parent ? &parent->children : &s->roots, t, siblings);
	if (parent && parent->target)
		task_set_target(t, parent->target);
	s->alive++;
	task_wake(t);
	return t;
}
