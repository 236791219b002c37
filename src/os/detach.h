/* SPDX-License-Identifier: MIT
 *
 * detach.h - start a process that outlives this one, and for which nobody waits.
 * Knows no Lua and no loop. */
#ifndef HAP_DETACH_H
#define HAP_DETACH_H

#include "base/buf.h"

/* Start a program in a session of its own, as a child of process 1. Its folder is "/",
 * its standard input is `input`, however long that is, and its output goes to /dev/null.
 * It gets no other descriptor, no signal mask, and the default action for each signal.
 * `argv` ends with NULL; argv[0] is a path, which is not looked up. 0, or UV_*: no
 * process could be made. That the program cannot be started, nobody learns. */
int detach_start(char **argv, struct span input);

#endif
