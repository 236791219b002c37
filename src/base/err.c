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
	{HAP_ENOMEM, "memory", "out of memory"},
	{HAP_EREFUSED, "refused", "HAProxy refused"},
	{HAP_EDENIED, "denied", "the socket's level does not allow this command"},
	{HAP_EPROTOCOL, "protocol", "the answer was cut or is not understood"},
	{HAP_ETIMEOUT, "timeout", "no whole answer in time"},
	{HAP_EINTERRUPTED, "interrupted", "interrupted"},
	{HAP_ELIMIT, "protocol", "the answer is larger than the limit"},
	{HAP_EBARRIER, "interrupted", "another target's run ended before the barrier"},
	{HAP_EWORKER, "unreachable", "the master process does not reach its worker"},
	{HAP_EDEADLOCK, "interrupted", "every task waits for another one"},
	{HAP_EREADONLY, "denied",
	 "--read-only refuses what changes HAProxy or is not known to leave it alone; "
	 "nothing was sent"},
	{HAP_EONLY, "denied",
	 "--only refuses what is not known to stay within its references; nothing was "
	 "sent"},
	{HAP_ENEWLINE, "refused", "a newline cannot be sent"},
	{HAP_ENUL, "refused", "a NUL byte cannot be sent"},
	{HAP_EEMPTY, "refused", "an empty word or command cannot be sent"},
	{HAP_ELONG, "refused", "the command is too long"},
	{HAP_EWORDS, "refused", "the command has too many words"},
	{HAP_ESECOND, "refused", "an unescaped ';' would begin a second command"},
	{HAP_EMARK, "refused", "'<<' would make HAProxy wait for a payload"},
	{HAP_EESCAPE, "refused", "a lone backslash ends the command"},
	{HAP_EPAYLOAD, "refused",
	 "a payload needs lines, none of them empty or ended by CR"},
	{HAP_EPAIRS, "refused",
	 "a line of the payload is not a key, a space and a value"},
	{HAP_ENUMBER, "refused",
	 "a number expected at the end; HAProxy would take this for 0"},
	{HAP_ENOLINES, "refused", "this command takes no payload"},
	{HAP_EROUTE, "refused", "a command may not choose its process with '@'"},
	{HAP_EADDRESS, "refused", "not an address"},
	{HAP_EPATH, "refused", "the socket path is too long"},
	{HAP_EPROCESS, "refused",
	 "a process of the master CLI is a word such as @1 or @!PID"},
	{UV_ENOMEM, "memory", "not enough memory"},
	{UV_EAI_MEMORY, "memory", "out of memory"},
};

static const size_t count = sizeof codes / sizeof *codes;

const char *err_kind(int rc)
{
	for (size_t i = 0; i < count; i++)
		if (codes[i].code == rc)
			return codes[i].kind;
	return "unreachable";
}

/* uv_strerror() leaks the text that it makes for a code it does not know. */
static const char *uv_text(int rc)
{
	switch (rc) {
#define TEXT(name, text)                                                                 \
	case UV_##name:                                                                  \
		return text;
		UV_ERRNO_MAP(TEXT)
#undef TEXT
	default:
		return "unknown error";
	}
}

const char *err_text(int rc)
{
	if (rc >= 0)
		return "no error";
	for (size_t i = 0; i < count; i++)
		if (codes[i].code == rc)
			return codes[i].text;
	return uv_text(rc);
}

/* uv_err_name() leaks, too. */
const char *err_name(int rc)
{
	switch (rc) {
	case HAP_ENOMEM:
		return "ENOMEM";
#define NAME(name, text)                                                                 \
	case UV_##name:                                                                  \
		return #name;
		UV_ERRNO_MAP(NAME)
#undef NAME
	default:
		return "UNKNOWN";
	}
}
