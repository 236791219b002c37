/* SPDX-License-Identifier: MIT
 *
 * file.h - files as a maintenance tool needs them: created with their mode, replaced as a
 * whole, locked for as long as a process lives.
 * Knows no Lua and no loop: these calls are short, and block. Failures are UV_* (the
 * negative errno) or HAP_ENOMEM. */
#ifndef HAP_FILE_H
#define HAP_FILE_H

#include "buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Create an empty file with exactly this mode, whatever the umask. UV_EEXIST: there is
 * one. */
int file_create(const char *path, mode_t mode);

#endif
