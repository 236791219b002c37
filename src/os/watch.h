/* SPDX-License-Identifier: MIT
 *
 * watch.h - what happens to files, told by the kernel (inotify).
 * A file is watched by its name in its folder, so that one renamed over it is seen, and
 * one that is not there yet. Knows no Lua. Failures are UV_* or HAP_ENOMEM. */
#ifndef HAP_WATCH_H
#define HAP_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

enum watch_what {
	WATCH_OPENED,
	WATCH_CHANGED, /* written to, or cut */
	WATCH_CREATED, /* or moved here, also over another */
	WATCH_REMOVED, /* or moved away */
	WATCH_LOST,    /* its folder is gone, and with it the watch */
	WATCH_WHATS
};

struct watch_name {
	int wd;           /* of its folder; -1: lost */
	char *path;       /* owned: as it was given */
	const char *name; /* borrowed from it: behind the last slash */
};

struct watch_event {
	size_t name; /* its index */
	enum watch_what what;
};

struct watch {
	uv_poll_t poll;
	int fd;
	struct watch_name *names; /* owned */
	size_t n_names;
	/* What has been read and not been taken, each thing once, in the order of its
	 * last time. Owned; there is room for all. The user empties it: n_events = 0. */
	struct watch_event *events;
	size_t n_events;
	bool overflow; /* the kernel dropped events; the user clears it */
	void (*wake)(void *owner);
	void *owner;
};

/* A watch of nothing. 0 or a failure: UV_EMFILE when the user has too many of them. */
int watch_new(struct watch **out, uv_loop_t *loop);

/* Watch a file, too; nothing happens to one that is watched. UV_ENOENT: there is no such
 * folder; UV_EINVAL: the path ends in no name; UV_ENOSPC: the user's limit of watches. */
int watch_add(struct watch *w, const char *path);

/* Read what has happened into `events`. 0 or UV_*. */
int watch_read(struct watch *w);

/* Call `wake` from the loop once there is something to read; once only. 0 or UV_*. */
int watch_arm(struct watch *w, void (*wake)(void *), void *owner);
void watch_disarm(struct watch *w);

/* End it; the loop frees the memory. */
void watch_close(struct watch *w);

#endif
