/* SPDX-License-Identifier: MIT
 *
 * scheduler.h - coroutines with structured lifetimes: spawn, park, join.
 * A task lives no longer than its parent: a task that returns waits for its children
 * first, one that fails cancels them. A task that fails has its parent fail, unless
 * somebody waits for its result. Owns the only lua_resume of a task's coroutine.
 * Functions that take a lua_State may raise. */
#ifndef HAP_SCHEDULER_H
#define HAP_SCHEDULER_H

#include "sched/task.h"

/* The metatable of a task's box, a userdata that holds a struct task pointer. */
#define TASK_BOX "haplua.Task"

void scheduler_init(struct scheduler *s, lua_State *L, struct clock *clock);

/* Free the tasks that never ended. After lua_close() and clock_close(). */
void scheduler_close(struct scheduler *s);

/* Resume every queued task, and those that are queued meanwhile at the next call. Does
 * not raise. */
void scheduler_run(struct scheduler *s);

/* Make a task that calls the function on the stack of L, below its n arguments; pops
 * them, and pushes the task's box. `parent` may be NULL; the target is the parent's
 * unless set later. The task begins when the running one waits. */
struct task *scheduler_spawn(lua_State *L, struct scheduler *s, struct task *parent,
			     int n);

/* The task that runs on L. Raises where none does. */
struct task *task_of(lua_State *L);

/* Can the task that runs on L wait here? Not inside a callback of C or a finalizer. Does
 * not raise. */
bool task_can_wait(lua_State *L);

/* Park the running task, and go on in k(L, LUA_YIELD, context) once it was woken. What is
 * to be raised (cancellation, deadline, a failed child) is raised before parking and
 * before k. Raises, too, where Lua cannot yield: inside a callback of C or a finalizer.
 * Use as `return task_park(...)`. */
int task_park(lua_State *L, lua_KContext context, lua_KFunction k);

/* Park in a cleanup that must not be broken off: nothing is raised but where Lua cannot
 * yield. `ended` may be NULL. */
int task_park_quietly(lua_State *L, struct task *ended, lua_KContext context,
		      lua_KFunction k);

/* Wait until `t` is done, then push its results or raise its error. The caller keeps the
 * box of `t` on its stack. [-0, +n] */
int task_join(lua_State *L, struct task *t);

/* Let a root and all below it stand still for good, as if their process had been killed:
 * no cleanup runs, and nobody may wait for them. The collector takes what their stacks
 * hold. Does not raise. */
void scheduler_abandon(struct task *root);

/* The task in the box at `index`; raises for anything else, and in a finalizer that runs
 * after the box's own. */
struct task *task_check(lua_State *L, int index);

#endif
