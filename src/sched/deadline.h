/* SPDX-License-Identifier: MIT
 *
 * deadline.h - time limits on what a task does: task.deadline().
 * A deadline belongs to the coroutine that set it and is in force while a task runs that
 * coroutine. Where the coroutine yields to its script, its deadlines are suspended: their
 * time goes on, but they raise nothing until a task resumes the coroutine. */
#ifndef HAP_DEADLINE_H
#define HAP_DEADLINE_H

#include "sched/task.h"

/* Begin a deadline of `seconds` (0 or more) for the task that runs coroutine L. `d` lies
 * in memory that stays until deadline_leave(), and keeps L from being collected. 0 or
 * HAP_ENOMEM; then `d` is in no list. Does not raise. */
int deadline_enter(struct deadline *d, lua_State *L, double seconds);

/* End it, in force or suspended; nothing happens to one that has ended. The task has got
 * over a `timeout` that was raised for it. Does not raise. */
void deadline_leave(struct deadline *d);

/* Task `t` resumes coroutine L, or L goes back to its script: put the coroutine's
 * deadlines in force, or suspend them. */
void deadline_resume(lua_State *L, struct task *t);
void deadline_suspend(lua_State *L, struct task *t);

/* The task has ended, or stands still for good: end what is left of its deadlines. */
void deadline_leave_all(struct task *t);

#endif
