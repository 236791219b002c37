/* SPDX-License-Identifier: MIT
 *
 * address.c - the forms of addresses. A prefix decides how the rest is read. */
#include "protocol/address.h"
#include "base/err.h"

#include <arpa/inet.h>
#include <stdio.h>

static const struct form {
	const char *prefix;
	enum address_kind kind;
	enum address_family family;
	bool abstract;
} forms[] = {
	{"unix@", ADDRESS_UNIX, ADDRESS_ANY, false},
	{"abns@", ADDRESS_UNIX, ADDRESS_ANY, true},
	{"ipv4@", ADDRESS_TCP, ADDRESS_IPV4, false},
	{"ipv6@", ADDRESS_TCP, ADDRESS_IPV6, false},
	{"tcp@", ADDRESS_TCP, ADDRESS_ANY, false},
};

static const struct form bare_path = {"", ADDRESS_UNIX, ADDRESS_ANY, false};
static const struct form bare_host = {"", ADDRESS_TCP, ADDRESS_ANY, false};

static const struct form *find_form(struct span text)
{
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		if (span_begins(text, forms[i].prefix))
			return &forms[i];
	return memchr(text.p, '/', text.n) ? &bare_path : &bare_host;
}

static int parse_path(struct address *out, struct span text)
{
	if (text.n == 0)
		return HAP_EADDRESS;
	if (text.n >= sizeof out->path)
		return HAP_EPATH;
	memcpy(out->path, text.p, text.n);
	return 0;
}

static int parse_port(struct address *out, struct span text)
{
	unsigned port = 0;

	if (text.n == 0 || text.n > 5)
		return HAP_EADDRESS;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return HAP_EADDRESS;
		port = port * 10 + (unsigned)(text.p[i] - '0');
	}
	if (port == 0 || port > 65535)
		return HAP_EADDRESS;
	snprintf(out->port, sizeof out->port, "%u", port);
	return 0;
}

size_t address_number(struct span text, unsigned char bytes[ADDRESS_NUMBER_MAX])
{
	char copy[ADDRESS_TEXT_MAX];

	if (text.n >= sizeof copy || memchr(text.p, '\0', text.n))
		return 0;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	return inet_pton(AF_INET, copy, bytes) == 1    ? 4
	       : inet_pton(AF_INET6, copy, bytes) == 1 ? 16
						       : 0;
}

void address_text(char out[ADDRESS_TEXT_MAX], const unsigned char *bytes, size_t n)
{
	inet_ntop(n == 4 ? AF_INET : AF_INET6, bytes, out, ADDRESS_TEXT_MAX);
}

/* Is `host` an IPv6 number, with or without a %zone? */
static bool is_ipv6(const char *host)
{
	unsigned char bytes[ADDRESS_NUMBER_MAX];
	size_t n = strcspn(host, "%");

	if (host[n] == '%' && host[n + 1] == '\0')
		return false;
	return address_number((struct span){host, n}, bytes) == 16;
}

static int parse_host(struct address *out, struct span text, bool brackets)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._:%";

	if (text.n == 0 || text.n >= sizeof out->host)
		return HAP_EADDRESS;
	memcpy(out->host, text.p, text.n);
	if (strspn(out->host, plain) != text.n)
		return HAP_EADDRESS;
	if (!brackets && !strpbrk(out->host, ":%"))
		return 0;
	if (!is_ipv6(out->host) || out->family == ADDRESS_IPV4)
		return HAP_EADDRESS;
	/* Without brackets or prefix the port looks like a part of the number. */
	if (!brackets && out->family != ADDRESS_IPV6)
		return HAP_EADDRESS;
	out->family = ADDRESS_IPV6;
	return 0;
}

static int parse_tcp(struct address *out, struct span text)
{
	const char *colon = memrchr(text.p, ':', text.n);

	if (!colon)
		return HAP_EADDRESS;
	struct span host = {text.p, (size_t)(colon - text.p)};
	struct span port = {colon + 1, text.n - host.n - 1};
	bool brackets = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';

	if (brackets)
		host = (struct span){host.p + 1, host.n - 2};
	int rc = parse_host(out, host, brackets);

	return rc < 0 ? rc : parse_port(out, port);
}

int address_parse(struct address *out, struct span text)
{
	if (text.n == 0)
		return HAP_EADDRESS;
	if (memchr(text.p, '\0', text.n))
		return HAP_ENUL;
	const struct form *form = find_form(text);
	size_t skip = strlen(form->prefix);

	*out = (struct address){
		.kind = form->kind,
		.family = form->family,
		.abstract = form->abstract,
	};
	text = (struct span){text.p + skip, text.n - skip};
	return form->kind == ADDRESS_UNIX ? parse_path(out, text) : parse_tcp(out, text);
}

bool address_route(struct span route)
{
	if (route.n == 0 || *route.p != '@')
		return false;
	for (size_t i = 0; i < route.n; i++)
		if (route.p[i] <= ' ' || route.p[i] > '~' ||
		    memchr(";\\<\"'", route.p[i], 5))
			return false;
	return true;
}
