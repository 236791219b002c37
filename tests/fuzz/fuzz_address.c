/* SPDX-License-Identifier: MIT
 *
 * fuzz_address.c - what is read fits its fields, and written out again reads the same.
 * Input: an address. */
#include "fuzz.h"
#include "protocol/address.h"
#include "base/err.h"

static void check_again(const struct address *a)
{
	static const char *const prefixes[] = {"tcp@", "ipv4@", "ipv6@"};
	bool number = strchr(a->host, ':') != NULL;
	struct address b;
	char text[400];
	int n;

	if (a->kind == ADDRESS_UNIX)
		n = snprintf(text, sizeof text, "%s%s", a->abstract ? "abns@" : "unix@",
			     a->path);
	else
		n = snprintf(text, sizeof text, "%s%s%s%s:%s", prefixes[a->family],
			     number ? "[" : "", a->host, number ? "]" : "", a->port);
	CHECK(n > 0 && (size_t)n < sizeof text);
	CHECK(address_parse(&b, (struct span){text, (size_t)n}) == 0);
	CHECK(a->kind == b.kind && a->family == b.family && a->abstract == b.abstract);
	CHECK(strcmp(a->path, b.path) == 0 && strcmp(a->host, b.host) == 0);
	CHECK(strcmp(a->port, b.port) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct address a;
	int rc = address_parse(&a, (struct span){(const char *)data, n});

	CHECK(rc == 0 || rc == HAP_EADDRESS || rc == HAP_EPATH || rc == HAP_ENUL);
	if (rc < 0)
		return 0;
	CHECK(memchr(a.path, 0, sizeof a.path) && memchr(a.host, 0, sizeof a.host));
	CHECK(memchr(a.port, 0, sizeof a.port));
	if (a.kind == ADDRESS_UNIX) {
		CHECK(a.path[0] && !a.host[0] && !a.port[0]);
	} else {
		CHECK(a.host[0] && !a.path[0] && !a.abstract);
		CHECK(atoi(a.port) >= 1 && atoi(a.port) <= 65535);
	}
	check_again(&a);
	return 0;
}
