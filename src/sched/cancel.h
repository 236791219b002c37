/* SPDX-License-Identifier: MIT
 *
 * cancel.h - what ends a task from outside: a signal, cancel_task(), a deadline.
 * Others mark the task and wake it. The task itself raises the error: at its next wait,
 * or, where it computes without waiting for CANCEL_COMPUTE_NS, at its next instruction.
 *
 * From the raise on, cleanups have CANCEL_GRACE_SECONDS. After that every wait and every
 * instruction of the task raises the error again, until the task has ended or has left
 * the deadline. The time is all that counts: a script that swallows the error goes on
 * until then. Each cause (the cancellation, each deadline) has a grace of its own. */
#ifndef HAP_CANCEL_H
#define HAP_CANCEL_H

#include "sched/task.h"

#define CANCEL_GRACE_SECONDS 5.0

/* A task that computes has so long to reach its next wait before the error is raised
 * between two instructions. Most tasks do: so an error seldom falls between a change of
 * HAProxy and the variable that would undo it. */
#define CANCEL_COMPUTE_NS (INT64_C(100) * 1000 * 1000)

/* Have `t` raise `interrupted`; its children follow when it fails. Nothing happens to a
 * task that was cancelled before. Does not wait and does not raise. */
void cancel_task(struct task *t);

/* Have every living task raise `rc` (HAP_E*), but for the roots, which are the host's
 * own. Does not raise. */
void cancel_all(struct scheduler *s, int rc);

/* Have `t` raise `interrupted`, as a signal does, but not its children. */
void cancel_interrupt(struct task *t);

/* `t`, the running task, goes on after an `interrupted` that it has caught and SIGINT has
 * caused: the next one raises again, and a signal counts as the first. Returns whether
 * SIGINT was the cause. [-0, +0] */
bool cancel_forgive(lua_State *L, struct task *t);

/* Cancel the running task and raise at once. */
int cancel_self(lua_State *L);

/* Push the error that is to be raised in `t`, the task that runs on L, if there is one.
 * Returns whether. May raise out of memory. [-0, +(0|1)] */
bool cancel_push(lua_State *L, struct task *t);

/* Give cleanups of `t` their whole time again, after a wait that nothing may break off.
 */
void cancel_renew_grace(struct task *t);

/* Set the timer for the first end of a grace among those in force, or unset it: whenever
 * the causes in force have changed. */
void cancel_arm_grace(struct task *t);

/* `t` has ended: nothing is raised in it any more. */
void cancel_forget(struct task *t);

/* Lua goes on in coroutine L of `t`. Where the grace is over, its next instruction
 * raises. */
void cancel_enter(lua_State *L, const struct task *t);

/* Have a signal come when the next deadline or grace of `t` or of its parents ends, in
 * case `t` does not wait before. For real time only. */
void cancel_watch(const struct task *t);

/* Name the coroutine that Lua runs now (NULL: none), so that a signal finds it. Returns
 * the one before, which the caller names again afterwards. */
lua_State *cancel_set_running(lua_State *L);

/* Stop the running coroutine at its next instruction and look what is to be raised. For
 * signal handlers: lua_sethook() is the one function of Lua that they may call. */
void cancel_stop_running(void);

#endif
