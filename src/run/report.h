/* SPDX-License-Identifier: MIT
 *
 * report.h - how a run ends: its exit status, and what standard error says about it. */
#ifndef HAP_REPORT_H
#define HAP_REPORT_H

#include <lua.h>
#include <stdio.h>

/* The exit status of a run that the error at index `error` has ended. `other` is for what
 * is no error object; `signo` the signal that interrupted the run, where the error names
 * none. Does not raise. */
int report_status(lua_State *L, int error, int other, int signo);

/* The exit status of a run whose script has returned the value at `result`. */
int report_returned(lua_State *L, int result);

/* The exit status for two runs together. */
int report_worse(int a, int b);

/* Print the error at `index`, counted from the bottom. Does not raise, also out of
 * memory.
 */
void report_print(lua_State *L, int index, FILE *to);

#endif
