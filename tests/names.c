/* SPDX-License-Identifier: MIT
 *
 * names.c - preloaded: a resolver that never answers for names of the zone never.test. A
 * process that waits for such a look-up waits for ever. "localhost" is 127.0.0.1 also
 * where /etc/hosts does not say so. */
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		struct addrinfo **found)
{
	int (*next)(const char *, const char *, const struct addrinfo *,
		    struct addrinfo **);
	const char *zone = host ? strstr(host, "never.test") : NULL;

	*(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
	if (!next)
		abort();
	while (zone && !(hints && hints->ai_flags & AI_NUMERICHOST))
		pause();
	if (host && strcmp(host, "localhost") == 0 &&
	    !(hints && hints->ai_flags & AI_NUMERICHOST))
		host = "127.0.0.1";
	return next(host, service, hints, found);
}
