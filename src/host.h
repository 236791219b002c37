/* SPDX-License-Identifier: MIT
 *
 * host.h - one run of haplua: owns the loop, the clock, the Lua state and the tasks.
 * Bindings reach it through host_of(). */
#ifndef HAP_HOST_H
#define HAP_HOST_H

#include "clock.h"
#include "task.h"

#include <lua.h>
#include <stdbool.h>
#include <uv.h>

/* Exit status; 128 + n after signal n. */
enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_WOULD_CHANGE };

/* What the command line asks for. All strings are borrowed and outlive the host. */
struct options {
	const char **sockets; /* -s; at least one */
	int n_sockets;
	const char *route; /* --via, or "" */
	double timeout;    /* -t, seconds; 0: the default */
	bool dry_run, trace;
	const char *chunk; /* -e code, or NULL */
	const char
		*script; /* a path, a bare name, or "-"; NULL with -e and at the prompt */
	char **args;     /* for the script */
	int n_args;
};

/* One target's run of the script: a root task of the host's that spawns the script's. */
struct run {
	struct host *host;
	const char *socket;
	struct task *script;  /* borrowed: the box lies on the root's stack */
	int status;           /* exit status: once ended, or what os.exit() was given */
	bool ended, exited;   /* exited: by os.exit() */
	bool untold;          /* it failed, or so it seems, and nobody has said why */
	struct task *waiting; /* in haproxy.barrier(), or NULL */
	size_t round;         /* barriers passed */
};

struct host {
	uv_loop_t loop;
	uv_prepare_t before_sleep;
	struct clock clock;
	struct scheduler scheduler;
	lua_State *L;
	const struct options *options;
	struct run *runs;  /* owned; options->n_sockets of them */
	bool would_change; /* a dry run held something back */
};

/* Run what the options ask for and return the exit status. */
int host_main(const struct options *options);

/* The host of a Lua state. Does not raise. */
struct host *host_of(lua_State *L);

/* os.exit([status]): ends the run of the calling task, cleanups first. */
int host_exit(lua_State *L);

/* haproxy.barrier(): wait until every target's run has come to it. */
int host_barrier(lua_State *L);

#endif
