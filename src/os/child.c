/* SPDX-License-Identifier: MIT
 *
 * child.c - uv_spawn() with input and captured output. */
#include "os/child.h"
#include "base/err.h"

#include <signal.h>
#include <stdlib.h>

#define READ_MIN    4096
#define CAPTURE_MAX (256u << 20)

static void unref(struct child *c)
{
	if (--c->refs > 0)
		return;
	for (int i = 0; i < 3; i++)
		buf_free(&c->got[i]);
	free(c);
}

static void on_closed(uv_handle_t *handle)
{
	unref(handle->data);
}

static void close_pipe(struct child *c, int i)
{
	if (!c->used[i])
		return;
	c->used[i] = false;
	uv_close((uv_handle_t *)&c->pipe[i], on_closed);
}

static void wake_owner(struct child *c)
{
	if (c->wake)
		c->wake(c->owner);
}

static int index_of(const struct child *c, const uv_stream_t *stream)
{
	return (int)((const uv_pipe_t *)stream - c->pipe);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
	struct child *c = handle->data;
	struct buf *b = &c->got[index_of(c, (uv_stream_t *)handle)];

	(void)suggested;
	*room = uv_buf_init(NULL, 0);
	if (buf_reserve(b, READ_MIN) == 0)
		*room = (uv_buf_t){b->p + b->n, b->cap - b->n};
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *room)
{
	struct child *c = stream->data;
	int i = index_of(c, stream);

	(void)room;
	if (n > 0)
		c->got[i].n += (size_t)n;
	if (c->got[i].n > CAPTURE_MAX)
		c->rc = HAP_ELIMIT;
	else if (n < 0 && n != UV_EOF)
		c->rc = n == UV_ENOBUFS ? HAP_ENOMEM : (int)n;
	if (n < 0 || c->rc < 0)
		close_pipe(c, i);
	wake_owner(c);
}

static void on_written(uv_write_t *write, int status)
{
	struct child *c = write->data;

	(void)status; /* a child need not read its input */
	close_pipe(c, 0);
}

static void on_exited(uv_process_t *process, int64_t status, int signo)
{
	struct child *c = process->data;

	c->exited = true;
	c->status = status;
	c->signal = signo;
	uv_close((uv_handle_t *)process, on_closed);
	wake_owner(c);
}

static int open_pipe(struct child *c, uv_loop_t *loop, int i, uv_stdio_container_t *io)
{
	int rc = uv_pipe_init(loop, &c->pipe[i], 0);

	if (rc < 0)
		return rc;
	c->pipe[i].data = c;
	c->used[i] = true;
	c->refs++;
	io->flags = UV_CREATE_PIPE | (i == 0 ? UV_READABLE_PIPE : UV_WRITABLE_PIPE);
	io->data.stream = (uv_stream_t *)&c->pipe[i];
	return 0;
}

static int open_streams(struct child *c, uv_loop_t *loop, const struct child_options *o,
			uv_stdio_container_t io[3])
{
	enum child_stream want[3] = {o->has_input ? CHILD_CAPTURE : CHILD_INHERIT, o->out,
				     o->err};
	int rc = 0;

	for (int i = 0; i < 3 && rc == 0; i++) {
		io[i].flags = UV_IGNORE;
		if (want[i] == CHILD_INHERIT) {
			io[i].flags = UV_INHERIT_FD;
			io[i].data.fd = i;
		} else if (want[i] == CHILD_CAPTURE) {
			rc = open_pipe(c, loop, i, &io[i]);
		}
	}
	return rc;
}

/* Begin to write the input and to read the output. 0 or UV_*. */
static int use_streams(struct child *c, struct span input)
{
	int rc = 0;

	for (int i = 1; i < 3 && rc == 0; i++)
		if (c->used[i])
			rc = uv_read_start((uv_stream_t *)&c->pipe[i], on_room, on_read);
	if (rc == 0 && c->used[0]) {
		/* uv_buf_init() takes the length as an unsigned int. */
		uv_buf_t bytes = {(char *)input.p, input.n};

		c->write.data = c;
		rc = uv_write(&c->write, (uv_stream_t *)&c->pipe[0], &bytes, 1,
			      on_written);
	}
	return rc;
}

int child_start(struct child **out, uv_loop_t *loop, const struct child_options *options)
{
	uv_stdio_container_t io[3];
	uv_process_options_t o = {
		.file = options->argv[0],
		.args = options->argv,
		.env = options->env,
		.cwd = options->cwd,
		.stdio = io,
		.stdio_count = 3,
		.flags = options->group ? UV_PROCESS_DETACHED : 0,
		.exit_cb = on_exited,
	};
	struct child *c = calloc(1, sizeof *c);

	if (!c)
		return HAP_ENOMEM;
	c->refs = 1;
	c->group = options->group;
	c->process.data = c;
	int rc = open_streams(c, loop, options, io);

	if (rc == 0) {
		rc = uv_spawn(loop, &c->process, &o);
		c->refs++; /* for the handle, which must be closed after a failure, too */
		if (rc < 0)
			uv_close((uv_handle_t *)&c->process, on_closed);
	}
	if (rc == 0)
		rc = use_streams(c, options->input);
	if (rc < 0) {
		child_drop(c);
		return rc;
	}
	*out = c;
	return 0;
}

bool child_ended(const struct child *c)
{
	return c->exited && !c->used[1] && !c->used[2];
}

void child_kill(struct child *c, int signo)
{
	if (!c->exited && uv_is_active((uv_handle_t *)&c->process))
		uv_kill(c->group ? -c->process.pid : c->process.pid, signo);
}

void child_drop(struct child *c)
{
	c->wake = NULL;
	for (int i = 0; i < 3; i++)
		close_pipe(c, i);
	/* on_exited() closes the handle of the process, which holds a reference. Closed
	 * earlier, it would leave a zombie. */
	child_kill(c, SIGKILL);
	unref(c);
}
