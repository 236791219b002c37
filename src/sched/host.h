/* SPDX-License-Identifier: MIT
 *
 * host.h - what is there before a script is: the loop, the clock, the Lua state, the
 * tasks. Bindings reach it through host_of(). */
#ifndef HAP_HOST_H
#define HAP_HOST_H

#include "base/arena.h"
#include "os/clock.h"
#include "protocol/permit.h"
#include "sched/scheduler.h"

#include <lua.h>
#include <stdbool.h>
#include <uv.h>

struct host;
struct request;

/* What the command line asks for. All strings are borrowed and outlive the host. */
struct options {
	const char **sockets; /* -s; at least one */
	int n_sockets;
	const char *route; /* --via, or "" */
	double timeout;    /* -t, seconds; 0: the default */
	size_t max_reply;  /* --max-reply, bytes; 0: the default */
	struct permit permit;
	bool dry_run, trace;
	const char *chunk;   /* -e code, or NULL */
	const char *script;  /* path, bare name, or "-"; NULL: -e, or the prompt */
	const char *builtin; /* module that runs in the place of a script, or NULL */
	bool test;           /* it is that of `haplua test` */
	const char *version; /* of haplua, or NULL */
	char **args;         /* for the script */
	int n_args;
};

/* What takes the place of time and HAProxy under `haplua test` (lua_test.c). */
struct host_test {
	/* Answer what is to be answered; after each round of tasks. */
	void (*serve)(struct host *host);
	/* Nothing is ready and no I/O is under way: returns whether it changed that. */
	bool (*still)(struct host *host);
	void (*fake_transport)(struct request *r); /* of every target */
};

struct host {
	uv_loop_t loop;
	uv_prepare_t before_sleep; /* has the loop turn when a timer has woken a task */
	struct clock clock;
	struct scheduler scheduler;
	struct arena arena;            /* of Lua's objects */
	lua_State *L;                  /* owned */
	const struct options *options; /* borrowed */
	bool would_change;             /* a dry run held something back */
	struct task *session; /* borrowed: the prompt's task, which SIGINT does not end;
			       * or NULL */
	const struct host_test *test; /* borrowed from the registry; NULL: no test */
};

/* Make loop, clock, Lua state and scheduler. 0, UV_* or HAP_ENOMEM; after a failure
 * nothing is left. The struct must not be moved afterwards. */
int host_start(struct host *host, const struct options *options);

/* Turn until no task is alive; signals interrupt the tasks. 0 or UV_*. */
int host_loop(struct host *host);

/* Close everything: the Lua state first, whose boxes close what they hold. Its memory may
 * be left to the end of the process, which must follow. */
void host_stop(struct host *host);

/* The host of a Lua state. Does not raise. */
struct host *host_of(lua_State *L);

#endif
