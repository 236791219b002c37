/* SPDX-License-Identifier: MIT
 *
 * task.h - the record of a task and the rules that hold for it.
 * A task is a coroutine with a parent. This module keeps the lists that a task is in: the
 * queue of tasks to resume, the waiters of another task, the children of its parent, the
 * failed children that their parent has yet to hear of. It runs no Lua code and raises
 * nothing; scheduler.h resumes tasks, cancel.h ends them early.
 *
 *     scheduler_spawn()
 *           |
 *           v      resume             task_park()
 *         READY ----------> RUNNING --------------> PARKED
 *           |                 |  ^                    |  |
 *           |                 |  +------ resume ------+  |
 *           |                 v                          |
 *           +------------> DONE <------------------------+
 *             abandon                      abandon
 *
 * task_wake() puts a READY or PARKED task into the queue; scheduler_run() takes it out
 * and resumes it. A wake is a hint: the task's continuation looks whether what it waits
 * for is there, and parks again if not.
 *
 * Invariants, which task_assert() tests in a build with -DHAP_DEBUG:
 *   READY    not resumed yet; waits for nobody
 *   RUNNING  is scheduler.running; waits for nobody
 *   PARKED   has a continuation; is in the waiters of one task at most
 *   DONE     waits for nobody; has no child, no deadline, no failed child, no grace timer
 *   not DONE anchored in the registry. DONE: anchored while its parent has yet to hear of
 *            its failure */
#ifndef HAP_TASK_H
#define HAP_TASK_H

#include "os/clock.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct target;

enum task_state { TASK_READY, TASK_RUNNING, TASK_PARKED, TASK_DONE };

/* One task.deadline() in force. Memory of the call that set it. */
struct deadline {
	LIST_ENTRY(deadline) link;
	struct scheduler *s; /* borrowed; NULL: in no list */
	struct task *task;   /* whose list it is in; NULL: the scheduler's, suspended */
	lua_State *L;        /* the coroutine that set it; anchored by its userdata */
	struct timer timer;
	double seconds;     /* as the script gave it, for the message */
	bool fired;         /* the time is over */
	bool raised;        /* and `timeout` was raised for it */
	uint64_t grace_end; /* raised: when cleanups have had their time */
};

LIST_HEAD(task_list, task);
STAILQ_HEAD(task_queue, task);
LIST_HEAD(deadline_list, deadline);

struct task {
	int refs; /* the box, being alive, the queue, a parent's failed_children */
	struct scheduler *s; /* borrowed */
	lua_State *L;        /* borrowed: anchored by the box */
	int anchor;          /* registry reference to the box, or LUA_NOREF */
	enum task_state state;
	bool failed; /* DONE: L holds error and traceback; else it holds the results */
	bool heard;  /* the error was raised in somebody, or is known to the host */

	struct task *parent;       /* borrowed; NULL: a root */
	struct task_list children; /* borrowed: those alive, through `siblings` */
	LIST_ENTRY(task) siblings;
	struct task_queue failed_children; /* counted and anchored, through in_failed */
	STAILQ_ENTRY(task) in_failed;

	lua_KFunction k; /* PARKED: where to go on */
	lua_KContext context;
	unsigned
		unyieldable; /* C calls below that let no wait through; see coroutine.c */
	struct task *waits_for;   /* borrowed: the task whose end it waits for */
	struct task_list waiters; /* borrowed, through `co_waiters` */
	LIST_ENTRY(task) co_waiters;
	STAILQ_ENTRY(task) in_ready; /* the queue, which holds a reference */
	bool queued;

	bool cancelled;    /* by cancel_task(), not by a signal */
	int pending_error; /* to raise at the next wait: HAP_EINTERRUPTED or
			    * HAP_EDEADLOCK; 0: nothing */
	int active_error;  /* HAP_EINTERRUPTED was raised, and ends the task; or 0 */
	uint64_t active_grace_end;
	struct timer grace;             /* set for the first end of a grace */
	struct deadline_list deadlines; /* in force, innermost first */

	struct target *target; /* counted: what the primitives act on */
	void *owner;           /* roots: the run that the task belongs to */
};

struct scheduler {
	lua_State *L;            /* borrowed: the main thread; runs nothing itself */
	struct clock *clock;     /* borrowed */
	struct task_queue ready; /* through in_ready */
	struct task *running;
	struct task_list roots;
	struct task_list abandoned;     /* freed by scheduler_close() */
	struct deadline_list suspended; /* of coroutines that no task runs now */
	size_t alive;
};

/* User values of a task's box. */
enum {
	BOX_THREAD = 1, /* the task's coroutine */
	BOX_TRACE,      /* traceback of BOX_ERROR */
	BOX_ERROR,      /* the last error that began in this task or was raised in it */
	/* What was raised in the parent as well: a failure with it is no news there. */
	BOX_INTERRUPTED, /* the error object of active_error */
	BOX_DEADLOCK,    /* that of the last deadlock */
	BOX_VALUES = BOX_DEADLOCK
};

/* The task that runs in coroutine L, also one of the script's own; NULL: none does. */
struct task *task_current(lua_State *L);

/* Have coroutine L run for `t`; NULL: for no task. */
void task_set_current(lua_State *L, struct task *t);

/* Queue a READY or PARKED task; nothing happens to others. Touches no Lua, so that
 * callbacks of the loop may call it. `task` is a struct task. */
void task_wake(void *task);

/* Have PARKED `t` woken when `ended`, which is not DONE, is. */
void task_wait_for(struct task *t, struct task *ended);

/* Take a task out of its wait, however the wait ends. The waiters' list of what it waited
 * for loses it; a parent that may now have to hear of a failure is woken. */
void task_leave_wait(struct task *t);

/* The first failed child that nobody has heard of and nobody waits for; NULL: none.
 * Those that were heard of leave the list. The caller must call task_drop_failed_child()
 * once it has used the child. */
struct task *task_failed_child(struct task *t);
void task_drop_failed_child(struct task *t, struct task *child);

/* Let the collector have the box, unless something else holds it. */
void task_unanchor(struct task *t);

/* Give up a reference; the last one frees the record. */
void task_unref(struct task *t);

/* Have the primitives of `t` act on `target`; takes a reference. */
void task_set_target(struct task *t, struct target *target);

#ifdef HAP_DEBUG
void task_assert(const struct task *t);
#else
#define task_assert(t) ((void)(t))
#endif

#endif
