/* SPDX-License-Identifier: MIT
 *
 * policy.h - run a script as the command line asks, from its start to the exit status. */
#ifndef HAP_POLICY_H
#define HAP_POLICY_H

#include "base/err.h"
#include "sched/host.h"

#include <stdio.h>

/* Run the script for every target, say on standard error what went wrong, and return the
 * exit status (base/err.h). After a signal it does not return: the process ends by it. */
int policy_run(const struct options *options);

/* Runs in a host that runs a script already: what `haplua test` starts. */

/* Make the runs of a script, one for each of the options' sockets. What they tell of
 * errors goes to `err`; policy_stream() gives both. All must outlive the runs. NULL: no
 * memory. */
struct policy *policy_new(struct host *host, const struct options *options, FILE *out,
			  FILE *err);

/* Begin: pushes the boxes of the root tasks, whose end is the end of a run. Raises a
 * string where there is no such script. [-0, +n] */
void policy_start(lua_State *L, struct policy *p);

/* Interrupt them, as signal `signo` would. Does not wait for the end. */
void policy_stop(struct policy *p, int signo);

/* The exit status, once all have ended. */
int policy_status(const struct policy *p);

/* Once all have ended, or never go on. */
void policy_free(struct policy *p);

/* Where the running task's script prints. Raises outside of a task. */
FILE *policy_stream(lua_State *L, bool err);

#endif
