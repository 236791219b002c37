/* SPDX-License-Identifier: MIT
 *
 * watch.c - inotify behind a uv_poll_t. libuv's own uv_fs_event_t does not report files
 * that are opened. */
#include "os/watch.h"
#include "base/err.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* IN_EXCL_UNLINK: no events of a file that was deleted or renamed over, and so has lost
 * its name. */
#define MASK                                                                             \
	(IN_OPEN | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |     \
	 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)
/* Reads in one turn: a busy folder must not hold up the loop. */
#define READS_MAX 64

int watch_new(struct watch **out, uv_loop_t *loop)
{
	struct watch *w = calloc(1, sizeof *w);

	if (!w)
		return HAP_ENOMEM;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int rc = w->fd < 0 ? -errno : uv_poll_init(loop, &w->poll, w->fd);

	if (rc < 0) {
		if (w->fd >= 0)
			close(w->fd);
		free(w);
		return rc;
	}
	w->poll.data = w;
	*out = w;
	return 0;
}

/* Have the kernel tell of the folder around PATH. Returns the watch's number or UV_*. */
static int add_folder(const struct watch *w, const char *path, size_t n)
{
	char folder[PATH_MAX];

	if (n >= sizeof folder)
		return -ENAMETOOLONG;
	memcpy(folder, path, n);
	folder[n] = '\0';
	int wd = inotify_add_watch(w->fd, n ? folder : ".", MASK);

	return wd < 0 ? -errno : wd;
}

/* Add a name, and room for all that can happen to it. */
static int add_name(struct watch *w, const char *path)
{
	size_t n = w->n_names + 1;
	struct watch_name *names = realloc(w->names, n * sizeof *names);

	if (!names)
		return HAP_ENOMEM;
	w->names = names;
	struct watch_event *events = realloc(w->events, n * WATCH_WHATS * sizeof *events);

	if (!events)
		return HAP_ENOMEM;
	w->events = events;
	names[n - 1].path = strdup(path);
	if (!names[n - 1].path)
		return HAP_ENOMEM;
	w->n_names = n;
	return 0;
}

int watch_add(struct watch *w, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t i = 0;

	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return UV_EINVAL;
	/* A folder that is watched for no name does no harm. */
	int wd = add_folder(w, path, (size_t)(name - path));

	if (wd < 0)
		return wd;
	while (i < w->n_names && strcmp(w->names[i].path, path) != 0)
		i++;
	if (i == w->n_names && add_name(w, path) < 0)
		return HAP_ENOMEM;
	w->names[i].wd = wd;
	w->names[i].name = w->names[i].path + (name - path);
	return 0;
}

/* Write down what happened; the same a second time takes the place of the first. */
static void note(struct watch *w, size_t name, enum watch_what what)
{
	size_t i = 0;

	while (i < w->n_events &&
	       (w->events[i].name != name || w->events[i].what != what))
		i++;
	if (i < w->n_events) {
		w->n_events--;
		memmove(w->events + i, w->events + i + 1,
			(w->n_events - i) * sizeof *w->events);
	}
	w->events[w->n_events++] = (struct watch_event){name, what};
}

static void note_named(struct watch *w, const struct inotify_event *e)
{
	static const struct {
		uint32_t mask;
		enum watch_what what;
	} whats[] = {
		{IN_OPEN, WATCH_OPENED},
		{IN_MODIFY, WATCH_CHANGED},
		{IN_CREATE | IN_MOVED_TO, WATCH_CREATED},
		{IN_DELETE | IN_MOVED_FROM, WATCH_REMOVED},
	};

	for (size_t i = 0; i < w->n_names; i++) {
		if (w->names[i].wd != e->wd || strcmp(w->names[i].name, e->name) != 0)
			continue;
		for (size_t k = 0; k < sizeof whats / sizeof *whats; k++)
			if (e->mask & whats[k].mask)
				note(w, i, whats[k].what);
	}
}

static void take(struct watch *w, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW)
		w->overflow = true;
	/* The kernel's watch moves along with the folder, but the paths do not. The
	 * removal makes another event, IN_IGNORED. */
	if (e->mask & IN_MOVE_SELF)
		inotify_rm_watch(w->fd, e->wd);
	if (e->mask & IN_IGNORED)
		for (size_t i = 0; i < w->n_names; i++)
			if (w->names[i].wd == e->wd) {
				w->names[i].wd = -1;
				note(w, i, WATCH_LOST);
			}
	/* Whoever lists a folder opens it: that is no event of a name. */
	if (e->len > 0 && (e->mask & (IN_OPEN | IN_ISDIR)) != (IN_OPEN | IN_ISDIR))
		note_named(w, e);
}

int watch_read(struct watch *w)
{
	_Alignas(struct inotify_event) char bytes[4096];

	for (int reads = 0; reads < READS_MAX; reads++) {
		ssize_t n = read(w->fd, bytes, sizeof bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno != EAGAIN ? -errno : 0;
		for (char *p = bytes; p < bytes + n;) {
			const struct inotify_event *e = (void *)p;

			take(w, e);
			p += sizeof *e + e->len;
		}
	}
	return 0;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;

	(void)status, (void)events; /* watch_read() finds out */
	uv_poll_stop(poll);
	w->wake(w->owner);
}

int watch_arm(struct watch *w, void (*wake)(void *), void *owner)
{
	w->wake = wake;
	w->owner = owner;
	return uv_poll_start(&w->poll, UV_READABLE, on_readable);
}

void watch_disarm(struct watch *w)
{
	uv_poll_stop(&w->poll);
}

static void on_closed(uv_handle_t *handle)
{
	struct watch *w = handle->data;

	for (size_t i = 0; i < w->n_names; i++)
		free(w->names[i].path);
	free(w->names);
	free(w->events);
	free(w);
}

void watch_close(struct watch *w)
{
	uv_close((uv_handle_t *)&w->poll, on_closed);
	close(w->fd);
}
