/* SPDX-License-Identifier: MIT
 *
 * child.h - one child process and the pipes to it.
 * Knows no Lua. No shell: the words are the arguments. Counted inside: memory goes when
 * the caller has let go and the last handle is closed. Failures are UV_* or HAP_ENOMEM.
 */
#ifndef HAP_CHILD_H
#define HAP_CHILD_H

#include "base/buf.h"

#include <stdbool.h>
#include <uv.h>

enum child_stream { CHILD_INHERIT, CHILD_NULL, CHILD_CAPTURE };

struct child_options {
	char **argv;       /* NULL-terminated; argv[0] is looked up in PATH */
	char **env;        /* NULL-terminated; NULL: the environment of this process */
	const char *cwd;   /* NULL: the folder of this process */
	struct span input; /* written to its standard input, which is then closed;
			    * borrowed until child_drop() */
	bool has_input;    /* false: standard input is inherited */
	enum child_stream out, err;
	bool group; /* in a session of its own: signals reach all that it has started */
};

struct child {
	int refs; /* the caller, and each open handle */
	uv_process_t process;
	uv_pipe_t pipe[3]; /* standard input, output, error; those that are `used` */
	bool used[3];
	uv_write_t write;
	struct buf got[3]; /* owned: what was captured; [0] is not used */
	int rc;            /* 0, or why the output could not be read to its end */
	bool group;
	bool exited; /* `status` and `signal` are set */
	int64_t status;
	int signal;
	void (*wake)(void *owner); /* called from the loop when bytes came or the process
				    * ended; NULL at the start, the user sets it */
	void *owner;
};

/* Start a process. 0 and the caller's reference in *out, or a failure (UV_ENOENT: no such
 * program). */
int child_start(struct child **out, uv_loop_t *loop, const struct child_options *options);

/* Has the child exited, and is all its output read? */
bool child_ended(const struct child *c);

/* Send a signal, unless the child has exited; with `group`, to its process group. */
void child_kill(struct child *c, int signo);

/* Let go of the caller's reference. Closes the pipes, and kills a child that still runs
 * with SIGKILL; the loop stays alive until it has waited for it. */
void child_drop(struct child *c);

#endif
