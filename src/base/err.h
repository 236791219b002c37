/* SPDX-License-Identifier: MIT
 *
 * err.h - one int for every failure below the bindings, and the kinds of error objects.
 * 0 or more is success. Negative is either libuv's (UV_*) or one of these, which lie
 * below -10000 so that both fit. What a code means to a script (`kind`), and which exit
 * status a kind gives, is decided here alone.
 * Pure: no sockets, no Lua, no clock; every string is static. */
#ifndef HAP_ERR_H
#define HAP_ERR_H

enum hap_err {
	HAP_ENOMEM = -10001,    /* out of memory */
	HAP_EREFUSED = -10002,  /* HAProxy answered with a refusal */
	HAP_EDENIED = -10003,   /* HAProxy answered that this socket's level is too low */
	HAP_EPROTOCOL = -10004, /* the answer was cut, or is not one of this command */
	HAP_ETIMEOUT = -10005,  /* the deadline passed */
	HAP_EINTERRUPTED = -10006, /* a signal or a cancelled task ended the wait */
	HAP_ELIMIT = -10007,       /* the answer is larger than the limit */
	HAP_EBARRIER = -10008,     /* another target's run ended before the barrier */
	HAP_EDEADLOCK = -10009,    /* every task waits for another one */
	HAP_EREADONLY = -10010,    /* --read-only; nothing was sent */
	HAP_EONLY = -10011,        /* not known to stay within --only; nothing was sent */
	HAP_EWORKER = -10012, /* the master answered that it cannot reach its worker */

	/* Words and commands that cannot be encoded; nothing was sent. */
	HAP_ENEWLINE = -10020, /* a word holds LF, which no version takes safely */
	HAP_ENUL = -10021,     /* a word holds NUL, which separates commands on 3.2 */
	HAP_EEMPTY = -10022,  /* an empty word or command: there is no way to write one */
	HAP_ELONG = -10023,   /* the command is over HAP_COMMAND_MAX bytes */
	HAP_EWORDS = -10024,  /* the command has over 64 words; HAProxy drops the rest */
	HAP_ESECOND = -10025, /* an unescaped ';' would begin a second command */
	HAP_EMARK = -10026,   /* HAProxy would wait for a payload */
	HAP_EESCAPE = -10027, /* a lone backslash ends the command */
	HAP_EPAYLOAD = -10028, /* a payload with an empty line inside or with no line */
	HAP_EPAIRS = -10030,   /* a payload line of `add map` that is not "KEY VALUE" */
	HAP_ENUMBER = -10031,  /* no number; HAProxy would take it for 0 in silence */
	HAP_ENOLINES = -10032, /* a payload for a command that takes none */
	HAP_EROUTE = -10029,   /* '@' would choose another process of the master CLI */

	/* Addresses. */
	HAP_EADDRESS = -10040, /* none of the forms that address.h lists */
	HAP_EPATH = -10041,    /* a socket path longer than the system's limit */
	HAP_EPROCESS = -10042  /* a route that is no process of the master CLI */
};

/* Exit status of a script; 128 + n after signal n. */
enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_WOULD_CHANGE };

/* One kind of failure: what the field `kind` of an error object may be. */
struct error_kind {
	const char *name;
	const char *meaning; /* one sentence for docs/scripting.md */
	int exit;            /* status of a script that such an error ends */
};

enum { ERROR_KINDS = 9 };

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

#endif
