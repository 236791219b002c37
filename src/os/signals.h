/* SPDX-License-Identifier: MIT
 *
 * interrupt.h - how a signal reaches a script, even one that never waits.
 * Signals are the process's, so this module is the one place with static state. A handler
 * only marks, wakes the loop and asks the running coroutine to call a hook at its next
 * instruction, as the `lua` program does. */
#ifndef HAP_INTERRUPT_H
#define HAP_INTERRUPT_H

#include <lua.h>
#include <stdbool.h>
#include <uv.h>

/* Catch SIGINT, SIGTERM and SIGHUP (those that were not ignored when the program began).
 * `on_signal` is called from the loop, once for each signal; `hook` runs inside the
 * running coroutine, and may raise. A second signal of any of these kinds ends the
 * process by that signal. 0 or UV_*. */
int interrupt_start(uv_loop_t *loop, void (*on_signal)(void *owner, int signo),
		    lua_Hook hook, void *owner);

/* Put the handlers back and close the handle; the loop must run once more. */
void interrupt_stop(void);

/* The signal that arrived, or 0. */
int interrupt_signal(void);

/* Tell `on_signal` now, if it has not been told: for the hook, while the loop stands
 * still. */
void interrupt_flush(void);

/* Was it typed at the terminal? Then every process of the foreground group has it. */
bool interrupt_typed(void);

/* Tell which coroutine Lua runs now (NULL: none); returns the one before. Whoever resumes
 * a coroutine says so before, and puts the former back after. */
lua_State *interrupt_running(lua_State *L);

/* Have the hook called in the running coroutine when `seconds` of real time have passed;
 * 0 calls this off. */
void interrupt_alarm(double seconds);

/* Have the hook called in this coroutine after that many instructions; 1: or at the next
 * call; 0: no more. */
void interrupt_again(lua_State *L, int instructions);

/* Within the hook: was it that which called it? Otherwise it was a signal. */
bool interrupt_is_again(lua_State *L, const lua_Debug *ar);

#endif
