/* SPDX-License-Identifier: MIT
 *
 * task.h - coroutines with structured lifetimes: spawn, park, wake, cancel.
 * A task has a parent and lives no longer than it: a task that returns waits for its
 * children first, one that fails cancels them. A task that fails takes its parent with
 * it, unless somebody waits for its result. Owns the only lua_resume of a task's thread.
 * Every function here that takes a lua_State may raise (longjmp). */
#ifndef HAP_TASK_H
#define HAP_TASK_H

#include "os/clock.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct target;

enum task_state { TASK_READY, TASK_RUNNING, TASK_PARKED, TASK_DONE };

/* One task.deadline() in force. Lies in a userdata on the stack of the call that set it.
 */
struct scope {
	struct scope *outer;
	struct task *task;
	struct timer timer;
	double seconds; /* as the script gave it, for the message */
	bool fired;     /* the time is over */
	bool delivered; /* and the task has been told */
};

struct task {
	int refs; /* the box, the scheduler while alive, a parent that took the error */
	struct scheduler *s; /* borrowed */
	lua_State *L;        /* borrowed: anchored by the box */
	int anchor; /* registry reference to the box while alive, else LUA_NOREF */
	enum task_state state;
	bool failed;           /* done: the error is the top of L; else the results are */
	bool asked;            /* somebody waits, or has waited, for the result */
	bool cancelled;        /* was told to end: its `interrupted` is no news */
	int pending;           /* HAP_E* or UV_* to raise at the next wait, or 0 */
	int last_raised;       /* the same, once raised */
	double last_seconds;   /* of the deadline, where that was it */
	const void *told;      /* identity of the error object that said so */
	unsigned strikes;      /* bursts of raises by the hook since the last wait */
	unsigned burst;        /* raises left in this one */
	int patience;          /* instructions until the next */
	bool doomed;           /* the time for cleanups is over: every wait raises */
	struct timer grace;    /* until then */
	struct task *parent;   /* borrowed; NULL: a root */
	struct task *children; /* borrowed list of those alive, through `next` */
	struct task *next, **link;
	struct task *broken; /* a child whose error waits to be raised here; counted */
	struct task
		*waiters; /* tasks parked until this one is done, through waiters_next */
	struct task *waits_for, *waiters_next; /* the one whose list this task is in */
	struct scope *scope;                   /* innermost deadline; borrowed */
	struct target *target;                 /* counted: what the primitives act on */
	lua_KFunction k;                       /* where to go on after a park */
	lua_KContext context;
	struct task *ready_next; /* in the scheduler's queue, holding a reference */
	bool ready;
	void *owner; /* roots: their struct run */
};

struct scheduler {
	lua_State *L;              /* borrowed: the main thread; runs nothing itself */
	struct clock *clock;       /* borrowed */
	struct task *first, *last; /* ready to run */
	struct task *running;
	struct task *roots;     /* list through `next` */
	struct task *abandoned; /* likewise; freed at the end: scopes may point to them */
	size_t alive;
};

void scheduler_init(struct scheduler *s, lua_State *L, struct clock *clock);

/* Free the tasks that never ended, because the run broke off at its start. After
 * lua_close() and clock_close(). */
void scheduler_close(struct scheduler *s);

/* Resume every ready task, and those that become ready meanwhile, each at most once a
 * call. Does not raise. */
void scheduler_run(struct scheduler *s);

/* Have every living task raise `rc` at its wait, but for the roots, which are the host's
 * own. Does not raise. */
void scheduler_interrupt(struct scheduler *s, int rc);

/* Make a task that will call the function on the stack of L, below its n arguments; pops
 * them, and pushes the task's box. `parent` may be NULL; the target is the parent's
 * unless set later. */
struct task *task_spawn(lua_State *L, struct scheduler *s, struct task *parent, int n);

/* The task that runs on L, also inside a coroutine of the script's own. Raises outside of
 * one. */
struct task *task_of(lua_State *L);

/* The same, or NULL. Does not raise. */
struct task *task_get(lua_State *L);

/* Write down whose task a script's coroutine runs for. Does not raise. */
void task_lend(lua_State *L, struct task *t);

/* Park the running task and go on in k(L, LUA_YIELD, context) once it was woken. A wake
 * is a hint: k looks whether what it waits for is there, and parks again if not. What was
 * to be raised (interruption, deadline, a failed child) is raised here, before k. Use as
 * `return task_park(...)`. */
int task_park(lua_State *L, lua_KContext context, lua_KFunction k);

/* The same for cleanups that must not be broken off: nothing is raised. */
int task_park_quietly(lua_State *L, lua_KContext context, lua_KFunction k);

/* Queue a parked task. Touches no Lua: for callbacks. */
void task_wake(void *task);

/* Wait until `t` is done, then push its results or raise its error. [-0, +n] */
int task_join(lua_State *L, struct task *t);

/* Have `t` be woken when `ended` is done; holds until its next wake. Does not raise. */
void task_wait_for(struct task *t, struct task *ended);

/* Have `t` and its children end: their waits raise `interrupted`. Does not wait for it.
 * Does not raise. */
void task_cancel(struct task *t);

/* End the running task: cancels it and raises at once. */
int task_end(lua_State *L);

/* Let a root and all below it stand still for good, as if their process had been killed:
 * no cleanup runs, and nobody may wait for them. What their stacks hold goes with the
 * next collection. Does not raise. */
void task_abandon(struct task *root);

/* Push the box of a task that is not done. [-0, +1] */
void task_push(lua_State *L, struct task *t);
struct task *task_check(lua_State *L, int index);

/* The box goes: its reference with it. Does not raise. */
void task_unref(struct task *t);

/* Begin and end a deadline for the running task. `s` lies in memory that outlives the
 * call. The first returns HAP_ENOMEM when there is no timer to be had; neither raises. */
int scope_enter(struct scope *s, struct task *t, double seconds);
void scope_leave(struct scope *s);

/* The lua_Hook for interrupt_start(): raises what is due in the running task. */
void task_hook(lua_State *L, lua_Debug *ar);

/* What the primitives act on; the task takes a reference. Does not raise. */
void task_set_target(struct task *t, struct target *target);

#define TASK_BOX "haplua.Task"

#endif
