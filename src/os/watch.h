/* SPDX-License-Identifier: MIT
 *
 * watch.h - events of files (Linux's inotify).
 * Watches a name in its folder, so that it reports a file that is renamed to this name,
 * and one that is created later. Knows no Lua. Failures are UV_* or HAP_ENOMEM. */
#ifndef HAP_WATCH_H
#define HAP_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

enum watch_what {
	WATCH_OPENED,
	WATCH_CHANGED, /* written to, or truncated */
	WATCH_CREATED, /* or renamed to this name, also over another file */
	WATCH_REMOVED, /* or renamed to another name */
	WATCH_LOST,    /* the folder was removed or renamed, and the watch has ended */
	WATCH_WHATS    /* their number */
};

struct watch_name {
	int wd;           /* the kernel's watch of its folder; -1: lost */
	char *path;       /* owned: as given to watch_add() */
	const char *name; /* borrowed from `path`: behind the last slash */
};

struct watch_event {
	size_t name; /* index into `names` */
	enum watch_what what;
};

struct watch {
	uv_poll_t poll;
	int fd;
	struct watch_name *names; /* owned */
	size_t n_names;
	/* The events that watch_read() has read: equal ones once, in the order of the
	 * last time. Owned. The user takes them, and sets n_events to 0. */
	struct watch_event *events;
	size_t n_events;
	bool overflow; /* the kernel dropped events; the user clears it */
	void (*wake)(void *owner);
	void *owner;
};

/* A watch without names, in *out. 0 or a failure: UV_EMFILE when the user has too many
 * watches. */
int watch_new(struct watch **out, uv_loop_t *loop);

/* Watch `path`, too; for one that is watched already, renew a watch that was lost. 0 or a
 * failure. UV_ENOENT: there is no such folder; UV_EINVAL: the path ends in no name;
 * UV_ENOSPC: the user has reached fs.inotify.max_user_watches. */
int watch_add(struct watch *w, const char *path);

/* Read what has happened into `events`, without waiting. 0 or UV_*. */
int watch_read(struct watch *w);

/* Call `wake` once from the loop when there is something to read. 0 or UV_*. */
int watch_arm(struct watch *w, void (*wake)(void *), void *owner);

/* Call off watch_arm(). */
void watch_disarm(struct watch *w);

/* End the watch. Its memory stays until the loop turns, which frees it. */
void watch_close(struct watch *w);

#endif
