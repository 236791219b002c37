/* SPDX-License-Identifier: MIT
 *
 * task_due.h - what task.c needs of task_due.c; everybody else includes task.h. */
#ifndef HAP_TASK_DUE_H
#define HAP_TASK_DUE_H

#include "sched/task.h"

/* User values of a box. */
enum { BOX_THREAD = 1, BOX_TRACE, BOX_ERROR, BOX_VALUES = BOX_ERROR };

/* Push what is to be raised in the running task, if anything, and count it as told.
 * Returns whether. [-0, +(0|1)] */
bool task_push_due(lua_State *L, struct task *t);

/* Push the error that `ended` failed with, to be raised in `t`, and give `t` its
 * traceback. [-0, +1] */
void task_push_error_of(lua_State *L, struct task *t, struct task *ended);

/* A wait that nothing may break off is over: what comes after it has the whole time
 * again. Does not raise. */
void task_renew_grace(struct task *t);

/* The task has got over what was raised. Does not raise. */
void task_end_grace(struct task *t);

/* `t` is about to run: have the hook called should it go on past its deadline. Does not
 * raise. */
void task_watch(const struct task *t);

#endif
