/* SPDX-License-Identifier: MIT
 *
 * err.c - what each code means to a script, and its text. */
#include "base/err.h"

#include <stddef.h>
#include <uv.h>

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
	{HAP_ENEWLINE, "misuse", "a newline cannot be sent"},
	{HAP_ENUL, "misuse", "a NUL byte cannot be sent"},
	{HAP_EEMPTY, "misuse", "an empty word or command cannot be sent"},
	{HAP_ELONG, "misuse", "the command is too long"},
	{HAP_EWORDS, "misuse", "the command has too many words"},
	{HAP_ESECOND, "misuse", "an unescaped ';' would begin a second command"},
	{HAP_EMARK, "misuse", "'<<' would make HAProxy wait for a payload"},
	{HAP_EESCAPE, "misuse", "a lone backslash ends the command"},
	{HAP_EPAYLOAD, "misuse",
	 "a payload needs lines, none of them empty or ended by CR"},
	{HAP_EPAIRS, "misuse", "a line of the payload is not a key, a space and a value"},
	{HAP_ENUMBER, "misuse",
	 "a number expected at the end; HAProxy would take this for 0"},
	{HAP_ENOLINES, "misuse", "this command takes no payload"},
	{HAP_EROUTE, "misuse", "a command may not choose its process with '@'"},
	{HAP_EADDRESS, "misuse", "not an address"},
	{HAP_EPATH, "misuse", "the socket path is too long"},
	{HAP_EPROCESS, "misuse",
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

/* uv_strerror() would allocate, and lose, a text for a code that it does not know. */
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

/* Nor does uv_err_name() free the name that it makes for such a code. */
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
