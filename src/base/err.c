/* SPDX-License-Identifier: MIT
 *
 * err.c - the kinds of errors; the kind and the text of each code. */
#include "base/err.h"

#include <stddef.h>
#include <string.h>
#include <uv.h>

const struct error_kind error_kinds[ERROR_KINDS + 1] = {
	{"refused", "HAProxy said no, or haplua did before it sent anything.",
	 EXIT_FAILED},
	{"denied",
	 "The level of the socket is too low for this command; or `--read-only` or "
	 "`--only` forbids it, then there is no `reply`, and nothing was sent.",
	 EXIT_FAILED},
	{"protocol",
	 "The answer was cut, is too large, or is not one that this command has; or a "
	 "change is not there when it is read back.",
	 EXIT_FAILED},
	{"unreachable",
	 "There is no socket, no permission or no such host; the connection was refused "
	 "or reset; a master does not reach its worker; or the system would cut the "
	 "request in pieces (`EMSGSIZE`: nothing was sent).",
	 EXIT_UNREACHABLE},
	{"timeout", "No whole answer came in time, or a deadline passed.",
	 EXIT_UNREACHABLE},
	{"interrupted",
	 "A signal came (then the exit status is 128 + its number), the task was "
	 "cancelled, the run for another target failed before a barrier, or every task "
	 "waits for another one.",
	 EXIT_FAILED},
	{"memory", "There is not enough memory.", EXIT_FAILED},
	{"file",
	 "The file that holds the entries of a list cannot be read or replaced; `code` "
	 "says why.",
	 EXIT_FAILED},
	{"journal",
	 "There is no journal, or it cannot be read or written; `code` says why, where "
	 "SQLite or the system gave a reason.",
	 EXIT_FAILED},
	{"ambiguous",
	 "Several maintenances are there, and the call does not say which it means. "
	 "Nothing was changed.",
	 EXIT_USAGE},
	{"doubt",
	 "A change of a fleet's store was sent, and nobody knows whether it was made: "
	 "the "
	 "connection ended, or the time, before the answer.",
	 EXIT_UNREACHABLE},
	{NULL, NULL, 0},
};

const struct error_kind *err_kind_find(const char *name)
{
	const struct error_kind *kind = error_kinds;

	while (kind->name && strcmp(kind->name, name) != 0)
		kind++;
	return kind->name ? kind : NULL;
}

static const struct {
	int code;
	const char *kind, *text;
} codes[] = {
#define CODE(name, number, kind, text) {name, kind, text},
	ERR_MAP(CODE){UV_ENOMEM, "memory", "not enough memory"},
	{UV_EAI_MEMORY, "memory", "out of memory"},
};

/* uv_strerror() and uv_err_name() would allocate, and lose, a text for a code that they
 * do not know. */
static const struct {
	int code;
	const char *name, *text;
} system_codes[] = {
#define SYSTEM(name, text) {UV_##name, #name, text},
	UV_ERRNO_MAP(SYSTEM)};

enum {
	CODES = sizeof codes / sizeof *codes,
	SYSTEM_CODES = sizeof system_codes / sizeof *system_codes
};

const char *err_kind(int rc)
{
	for (size_t i = 0; i < CODES; i++)
		if (codes[i].code == rc)
			return codes[i].kind;
	return "unreachable";
}

const char *err_text(int rc)
{
	if (rc >= 0)
		return "no error";
	for (size_t i = 0; i < CODES; i++)
		if (codes[i].code == rc)
			return codes[i].text;
	for (size_t i = 0; i < SYSTEM_CODES; i++)
		if (system_codes[i].code == rc)
			return system_codes[i].text;
	return "unknown error";
}

const char *err_name(int rc)
{
	if (rc == HAP_ENOMEM)
		return "ENOMEM";
	for (size_t i = 0; i < SYSTEM_CODES; i++)
		if (system_codes[i].code == rc)
			return system_codes[i].name;
	return "UNKNOWN";
}

int err_code(const char *name)
{
	for (size_t i = 0; i < SYSTEM_CODES; i++)
		if (strcmp(system_codes[i].name, name) == 0)
			return system_codes[i].code;
	return UV_EIO;
}
