/* SPDX-License-Identifier: MIT
 *
 * typo.h - the distance between two names, for messages that ask which name was meant.
 * Pure: no sockets, no Lua, no clock; takes no memory. */
#ifndef HAP_TYPO_H
#define HAP_TYPO_H

#include "base/buf.h"

#include <stdint.h>

#define TYPO_FAR SIZE_MAX

/* How many single edits make `meant` of `typed`: a letter that is added, left out or
 * replaced, or two neighbours that are exchanged. Case does not count, and '-' is '_'.
 * TYPO_FAR: more than a third of the longer name's letters, so that it is another name
 * and no typing error; or one of them is empty or over 64 bytes. */
size_t typo_distance(struct span typed, struct span meant);

/* `names` is an array of entries of `size` bytes. Each begins with a pointer to its name;
 * NULL ends the array. */

/* The entry of this very name, or NULL. */
const void *typo_exact(const char *name, const void *names, size_t size);

/* The name nearest to `typed`, the first of several that are equally near, or NULL. */
const char *typo_nearest(const char *typed, const void *names, size_t size);

#endif
