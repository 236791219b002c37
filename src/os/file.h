/* SPDX-License-Identifier: MIT
 *
 * file.h - files as a maintenance tool needs them: created with their mode, replaced as a
 * whole, locked for as long as a process lives.
 * Knows no Lua and no loop: these calls are short, and block. Failures are UV_* (the
 * negative errno) or HAP_ENOMEM. */
#ifndef HAP_FILE_H
#define HAP_FILE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* The largest slot that can be locked. */
#define FILE_SLOT_MAX (INT64_MAX - 1)

/* Does the path exist, and may only root and the user of this process write to it? Owned
 * by one of the two, also where it is a link; not writable for all, nor through an access
 * list, nor for a group, but for the private one of the owner or the user: that user's
 * primary group, of the same name, without other members. */
bool file_is_ours(const char *path);

/* Create an empty file (S_IFREG) or a folder (S_IFDIR) with exactly this mode, whatever
 * the umask. UV_EEXIST: there is one. */
int file_create(const char *path, mode_t type, mode_t mode);

/* Append the names in a folder to `names`, each with its NUL, in no order; "." and ".."
 * are left out. After a failure `names` holds nothing of value; the caller always frees
 * it. */
int file_list(const char *path, struct buf *names);

/* Read a regular file. UV_EFBIG: it is over `limit` bytes; UV_EISDIR, UV_EINVAL: it is
 * not a regular one. After a failure `out` holds nothing of value; the caller always
 * frees it. */
int file_read(const char *path, size_t limit, struct buf *out);

/* Replace what a file holds: whole or not at all, also if the machine stops. Symbolic
 * links are followed. Owner, group and mode stay, or it fails; a file that was not there
 * gets `mode`. UV_EBUSY: another process replaces it. *what becomes a static string that
 * names the step that failed, or NULL. */
int file_replace(const char *path, struct span text, mode_t mode, const char **what);

/* Lock byte `slot` of a file, which is created if need be (and must stay: a lock on a
 * deleted file locks nobody out). Returns the descriptor that holds the lock until it is
 * closed, or UV_EBUSY when it is locked, by this process, too. */
int file_lock(const char *path, int64_t slot);

/* Is the slot locked? 1, 0 (also when there is no such file), or a failure. */
int file_locked(const char *path, int64_t slot);

#endif
