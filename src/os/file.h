/* SPDX-License-Identifier: MIT
 *
 * file.h - files as a maintenance tool needs them: created with their mode, replaced as a
 * whole, locked while a process lives.
 * Knows no Lua and no loop: these calls block for a short time. Failures are UV_* (the
 * negative errno) or HAP_ENOMEM. */
#ifndef HAP_FILE_H
#define HAP_FILE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* The largest slot that can be locked. */
#define FILE_SLOT_MAX (INT64_MAX - 1)

/* Does the path exist, and may nobody but root and the user of this process write to it?
 * One of the two owns it, and the link, where it is one. It is not writable for others,
 * nor by an access list, nor for a group; except for the private group of its owner or of
 * the user: the primary group, of the same name, without other members. */
bool file_is_ours(const char *path);

/* Create an empty file (S_IFREG) or a folder (S_IFDIR) with exactly this mode, whatever
 * the umask. UV_EEXIST: there is one. */
int file_create(const char *path, mode_t type, mode_t mode);

/* Append the names in a folder to `names`, each with its NUL, in no order; "." and ".."
 * are left out. After a failure `names` holds nothing of value; the caller always frees
 * it. */
int file_list(const char *path, struct buf *names);

/* Append the content of a regular file to `out`. 0 or a failure. UV_EFBIG: the file has
 * more than `limit` bytes; UV_EISDIR, UV_EINVAL: it is no regular file. After a failure
 * `out` holds nothing of value; the caller always frees it. */
int file_read(const char *path, size_t limit, struct buf *out);

/* Replace the content of a file, whole or not at all, also where the machine stops.
 * Follows symbolic links. Keeps owner, group and mode, or fails; a new file gets `mode`.
 * 0 or a failure. UV_EBUSY: another process replaces it. *what becomes a static string
 * that names the step that failed, or NULL. */
int file_replace(const char *path, struct span text, mode_t mode, const char **what);

/* Lock byte `slot` of a file, which is created where it is missing (and must stay: a lock
 * on a deleted file locks nobody out). Takes the right to read an empty file from those
 * who may not write it: they could lock it, too. Returns a descriptor, which holds the
 * lock until it is closed; or UV_EBUSY where the slot is locked, also by this process; or
 * a failure.
 */
int file_lock(const char *path, int64_t slot);

/* Is the slot locked? 1, 0 (also when there is no such file), or a failure. Does not need
 * the right to read the file. */
int file_locked(const char *path, int64_t slot);

#endif
