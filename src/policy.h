/* SPDX-License-Identifier: MIT
 *
 * policy.h - run a script as the command line asks, from its start to the exit status. */
#ifndef HAP_POLICY_H
#define HAP_POLICY_H

#include "host.h"

/* Exit status; 128 + n after signal n. */
enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_WOULD_CHANGE };

/* Run the script for every target, tell on standard error what went wrong, and return the
 * exit status. After a signal it does not return: the process ends by it. */
int policy_run(const struct options *options);

#endif
