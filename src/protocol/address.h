/* SPDX-License-Identifier: MIT
 *
 * address.h - HAProxy's own address syntax for a Runtime API socket.
 * Pure: nothing is resolved or opened. Forms: `/path`, `./path`, `unix@/path`,
 * `unix@path`, `abns@name`, `ipv4@host:port`, `ipv6@[host]:port`, `ipv6@host:port`,
 * `tcp@host:port`, `[host]:port`, `host:port`. A bare word with a '/' in it is a path;
 * environment variables are not expanded. */
#ifndef HAP_ADDRESS_H
#define HAP_ADDRESS_H

#include "base/buf.h"

#include <stdbool.h>

enum address_kind { ADDRESS_UNIX, ADDRESS_TCP };
enum address_family { ADDRESS_ANY, ADDRESS_IPV4, ADDRESS_IPV6 };

struct address {
	enum address_kind kind;
	enum address_family family; /* TCP: which the prefix asked for */
	char path[108]; /* unix: NUL-terminated; with the abstract flag, the name */
	bool abstract;  /* unix: abns@, a Linux abstract name */
	char host[256]; /* TCP: name or number, without brackets */
	char port[8];   /* TCP: decimal, 1 to 65535 */
};

/* Read `text` into *out. 0, HAP_EADDRESS, HAP_EPATH (the system has no room for the
 * path), or HAP_ENUL. */
int address_parse(struct address *out, struct span text);

enum { ADDRESS_NUMBER_MAX = 16, ADDRESS_TEXT_MAX = 46 };

/* Read an internet address in numbers, "192.0.2.1" or "2001:db8::1". Returns how many
 * bytes it has, 4 or 16, which are in `bytes`; 0: it is none. */
size_t address_number(struct span text, unsigned char bytes[ADDRESS_NUMBER_MAX]);

/* Write the address of n bytes, 4 or 16, into `out`, IPv6 in its shortest form, which is
 * how HAProxy prints it. NUL-terminated. */
void address_text(char out[ADDRESS_TEXT_MAX], const unsigned char *bytes, size_t n);

/* Is `route` one word that names a process of the master CLI, such as "@1", "@!4711" or
 * "@master"? It is put before each command as it stands. */
bool address_route(struct span route);

#endif
