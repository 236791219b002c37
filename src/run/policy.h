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

/* Runs in a host that runs a script already, for `haplua test`. */

/* Make the runs of a script, one for each of the options' sockets. Scripts print to `out`
 * (policy_stream()), errors go to `err`. Everything is borrowed, and must outlive the
 * runs. NULL: no memory. */
struct policy *policy_new(struct host *host, const struct options *options, FILE *out,
			  FILE *err);

/* Start the runs. Pushes the box of each root task, which ends when its run ends. Raises
 * a string where there is no such script. [-0, +n] */
void policy_start(lua_State *L, struct policy *p);

/* Interrupt the runs as signal `signo` would. Does not wait for their end. */
void policy_stop(struct policy *p, int signo);

/* The exit status, once all runs have ended. */
int policy_status(const struct policy *p);

/* Free the runs: once all have ended, or were abandoned. */
void policy_free(struct policy *p);

/* The stream that the script of the running task prints to. Raises outside of a task. */
FILE *policy_stream(lua_State *L, bool err);

#endif
