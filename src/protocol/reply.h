/* SPDX-License-Identifier: MIT
 *
 * reply.h - what a whole reply means: success or refusal, and rows and values.
 * Pure: no sockets, no Lua, no clock. Severity alone cannot be trusted: an unknown
 * command has that of a success, a failed `set server addr` that of a warning. So each
 * known command has a row of the grammar that says what its success looks like. */
#ifndef HAP_REPLY_H
#define HAP_REPLY_H

#include "protocol/grammar.h"

#include <stdbool.h>
#include <stdint.h>

/* Judge a reply. `severity`: `set severity-output number` was in force. `whole` comes
 * from frame_last(), and is true for replies of frame_next(). 0: success, and *text is
 * the body without severity prefix and final LF. HAP_EREFUSED, HAP_EDENIED or
 * HAP_EWORKER: *text is what HAProxy said. HAP_EPROTOCOL: the reply is cut or does not
 * match the command's grammar; *text is what came. */
int reply_check(const struct grammar *g, struct span reply, bool whole, bool severity,
		struct span *text);

/* Reading rows; lua/haplua/base/rows.lua reads those of `show info`. All readers take
 * checked text and advance *rest; nothing is copied or allocated. 1: *out is set. 0: no
 * more. HAP_EPROTOCOL: a row does not match. */

/* One entry of `show acl REF` or `show map REF`. A pattern may hold LF: a line that does
 * not begin with "0x<hex> " belongs to the entry before it. `pattern` is all after the
 * first space; for a map, reply_entry_pair() cuts it into key and value. */
struct reply_entry {
	struct span ref; /* "0x55..." */
	struct span pattern;
};
int reply_entry_next(struct span *rest, struct reply_entry *out);
void reply_entry_pair(struct span pattern, struct span *key, struct span *value);

/* One line of `show acl` or `show map`: "ID (FILE) TEXT". Where FILE itself holds ") ",
 * the text decides, which repeats the name. From HAProxy 2.4 on the text ends with the
 * versions and the number of entries. Those are numbers without sign: one from 2^63 on is
 * below zero here, since HAProxy 2.6 prints -1 so after some commits. Lines that begin
 * with '#' are skipped. */
struct reply_list {
	int64_t id;
	struct span file; /* n is 0: it has none */
	struct span text; /* without the versions */
	bool versioned;   /* the numbers below are set */
	int64_t current, upcoming, entries;
};
int reply_list_next(struct span *rest, struct reply_list *out);

/* One record of `get acl` or `get map`, "type=reg, case=sensitive, match=yes, ...". A
 * pattern may hold LF: a record ends before the next line that begins one. */
struct reply_match {
	struct span type; /* "method" where HAProxy shows it as "unknown(...)" */
	struct span sensitivity;
	bool found;
	bool is_map;
	struct span index, pattern; /* where it is found */
	struct span value;          /* likewise, of a map */
};
int reply_match_next(struct span *rest, struct reply_match *out);

/* Columns of `show servers state`, `show servers conn` (space-separated) and `show stat`
 * (CSV). reply_columns() reads the header line(s): for `servers state` the leading format
 * number line too. At most REPLY_COLUMNS_MAX names (HAP_EPROTOCOL over it); an empty
 * text has none (0). A CSV header's closing comma is no column. `show servers conn` has
 * the header words "bkname/svname bkid/svid addr port - purge_delay ...": names are kept
 * as HAProxy prints them ("-" too). */
enum { REPLY_COLUMNS_MAX = 512 };
struct reply_columns {
	size_t n;
	char sep; /* ' ' or ',' */
	struct span name[REPLY_COLUMNS_MAX];
};
int reply_columns(struct span *rest, struct reply_columns *out);

/* The fields of the next row, into fields[REPLY_COLUMNS_MAX]; *n is how many there are
 * (space-separated rows may have fewer or more than the header names: idle_per_thr). An
 * empty line ends the rows. A quoted CSV field has its quotes; reply_unquote() takes them
 * off. */
int reply_row_next(struct span *rest, const struct reply_columns *c, struct span *fields,
		   size_t *n);

/* The field number i, from 0, of the row that `row` begins with. 1: *out is as in
 * reply_row_next(). 0: there is none. */
int reply_field_at(struct span row, char sep, size_t i, struct span *out);

/* Write the value of a CSV field, without quotes, to `out`, which has room for field.n
 * bytes. Returns its length. */
size_t reply_unquote(char *out, struct span field);

/* One line of `show sess`: "0xPTR: key=value key=value ...". `fields` is the rest of the
 * line, to be read with reply_field_next(); lines of `show sess` that have another form
 * are skipped. */
int reply_session_next(struct span *rest, struct span *ref, struct span *fields);
int reply_field_next(struct span *fields, struct span *name, struct span *value);

/* Read a decimal integer that fits int64_t. False: the span holds something else. */
bool reply_integer(struct span s, int64_t *out);

#endif
