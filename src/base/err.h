/* SPDX-License-Identifier: MIT
 *
 * err.h - one int for every failure below the bindings, and the kinds of error objects.
 * 0 or more is success. Negative is either libuv's (UV_*) or one of these, which lie
 * below -10000 so that both fit. What a code means to a script (`kind`), and which exit
 * status a kind gives, is decided here alone.
 * Pure: no sockets, no Lua, no clock; every string is static. */
#ifndef HAP_ERR_H
#define HAP_ERR_H

/* Each code of our own: its number, the `kind` of its error object, and its text. From
 * -10020 on nothing was sent. */
#define ERR_MAP(X)                                                                       \
	X(HAP_ENOMEM, -10001, "memory", "out of memory")                                 \
	X(HAP_EREFUSED, -10002, "refused", "HAProxy refused")                            \
	X(HAP_EDENIED, -10003, "denied",                                                 \
	  "the socket's level does not allow this command")                              \
	X(HAP_EPROTOCOL, -10004, "protocol", "the answer was cut or is not understood")  \
	X(HAP_ETIMEOUT, -10005, "timeout", "no whole answer in time")                    \
	X(HAP_EINTERRUPTED, -10006, "interrupted", "interrupted")                        \
	X(HAP_ELIMIT, -10007, "protocol", "the answer is larger than the limit")         \
	X(HAP_EBARRIER, -10008, "interrupted",                                           \
	  "another target's run ended before the barrier")                               \
	X(HAP_EWORKER, -10012, "unreachable",                                            \
	  "the master process does not reach its worker")                                \
	X(HAP_EDEADLOCK, -10009, "interrupted", "every task waits for another one")      \
	X(HAP_EREADONLY, -10010, "denied",                                               \
	  "--read-only refuses what changes HAProxy or is not known to "                 \
	  "leave it alone; nothing was sent")                                            \
	X(HAP_EONLY, -10011, "denied",                                                   \
	  "--only refuses what is not known to stay within its references; "             \
	  "nothing was sent")                                                            \
	X(HAP_ENEWLINE, -10020, "refused", "a newline cannot be sent")                   \
	X(HAP_ENUL, -10021, "refused", "a NUL byte cannot be sent")                      \
	X(HAP_EEMPTY, -10022, "refused", "an empty word or command cannot be sent")      \
	X(HAP_ELONG, -10023, "refused", "the command is too long")                       \
	X(HAP_EWORDS, -10024, "refused", "the command has too many words")               \
	X(HAP_ESECOND, -10025, "refused",                                                \
	  "an unescaped ';' would begin a second command")                               \
	X(HAP_EMARK, -10026, "refused", "'<<' would make HAProxy wait for a payload")    \
	X(HAP_EESCAPE, -10027, "refused", "a lone backslash ends the command")           \
	X(HAP_EPAYLOAD, -10028, "refused",                                               \
	  "a payload needs lines, none of them empty or ended by CR")                    \
	X(HAP_EPAIRS, -10030, "refused",                                                 \
	  "a line of the payload is not a key, a space and a value")                     \
	X(HAP_ENUMBER, -10031, "refused",                                                \
	  "a number expected at the end; HAProxy would take this for 0")                 \
	X(HAP_ENOLINES, -10032, "refused", "this command takes no payload")              \
	X(HAP_EROUTE, -10029, "refused",                                                 \
	  "a command may not choose its process with '@'")                               \
	X(HAP_EADDRESS, -10040, "refused", "not an address")                             \
	X(HAP_EPATH, -10041, "refused", "the socket path is too long")                   \
	X(HAP_EPROCESS, -10042, "refused",                                               \
	  "a process of the master CLI is a word such as @1 or @!PID")

enum hap_err {
#define CODE(name, number, kind, text) name = (number),
	ERR_MAP(CODE)
#undef CODE
};

/* Exit status of a script; 128 + n after signal n. */
enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_WOULD_CHANGE };

/* One kind of failure: what the field `kind` of an error object may be. */
struct error_kind {
	const char *name;
	const char *meaning; /* one sentence for docs/scripting.md */
	int exit;            /* status of a script that such an error ends */
};

enum { ERROR_KINDS = 11 };

/* Every kind that the host and its library raise; NULL as the name ends the list. */
extern const struct error_kind error_kinds[ERROR_KINDS + 1];

/* The kind of this name, or NULL. */
const struct error_kind *err_kind_find(const char *name);

/* The error object's `kind` for a code that a request ended with; "unreachable" for what
 * libuv and the system report. A code of the group that cannot be encoded, or of a wrong
 * address, is "refused"; bindings raise it as an argument error, without a kind. */
const char *err_kind(int rc);

/* A short English text for any code, libuv's included. */
const char *err_text(int rc);

/* The system's name for one of libuv's codes: "ENOENT". */
const char *err_name(int rc);

/* libuv's code of this name; UV_EIO where there is none. */
int err_code(const char *name);

#endif
