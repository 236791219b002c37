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
#include <sys/types.h>

/* The largest slot that can be locked. */
#define FILE_SLOT_MAX (INT64_MAX - 1)

/* Create an empty file, or a folder, with exactly this mode, whatever the umask.
 * UV_EEXIST: there is one. */
int file_create(const char *path, mode_t mode);
int file_folder(const char *path, mode_t mode);

/* Read a regular file. UV_EFBIG: it is over `limit` bytes; UV_EISDIR, UV_EINVAL: it is
 * not a regular one. After a failure `out` holds nothing that counts; the caller frees it
 * always. */
int file_read(const char *path, size_t limit, struct buf *out);

/* Replace what a file holds: whole or not at all, also if the machine stops. Symbolic
 * links are followed. Owner, group and mode stay, or it fails; a file that was not there
 * gets `mode`. UV_EBUSY: another process is at it. *what becomes a static string that
 * says what could not be done, or NULL. */
int file_replace(const char *path, struct span text, mode_t mode, const char **what);

/* Lock byte `slot` of a file, which is created if need be (and must stay: a lock on a
 * deleted file locks nobody out). Returns the descriptor that holds the lock until it is
 * closed, or UV_EBUSY when it is locked, by this process, too. */
int file_lock(const char *path, int64_t slot);

/* Is the slot locked? 1, 0 (also when there is no such file), or a failure. */
int file_locked(const char *path, int64_t slot);

#endif
