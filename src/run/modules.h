/* SPDX-License-Identifier: MIT
 *
 * modules.h - the Lua modules that the build compiled into the program.
 * build/modules.c defines the list; src/run/modules.lua writes it from lua/ and from
 * lua-argparse. Compiled ahead, a module costs a third of what it does from its source.
 */
#ifndef HAP_MODULES_H
#define HAP_MODULES_H

#include <stddef.h>

struct module {
	const char *name; /* as require() takes it */
	const char *code; /* what string.dump() gave */
	size_t size;
};

/* Ends with a module without a name. */
extern const struct module modules[];

#endif
