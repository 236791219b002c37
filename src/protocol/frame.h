/* SPDX-License-Identifier: MIT
 *
 * frame.h - cut the bytes of one answer into whole replies.
 * Pure: no sockets, no Lua, no clock. The bytes may come in any pieces; the frame only
 * keeps its place in them. A reply is a body and one LF, so an empty body is a lone LF
 * and any other body ends at an empty line. The last reply of a request ends at the end
 * of file, and may hold empty lines. Whether another reply holds one can be found out by
 * frame_is_plain(). docs/protocol.md, "Framing". */
#ifndef HAP_FRAME_H
#define HAP_FRAME_H

#include "base/buf.h"

#include <stdbool.h>

struct frame {
	size_t left; /* replies not cut yet, the last one included */
	size_t at;   /* where the next reply begins in the answer */
	size_t seen; /* bytes already searched for the end of that reply */
};

/* Begin: `replies` are expected, at least 1. */
void frame_start(struct frame *f, size_t replies);

/* Cut the next reply that is not the last. `answer` is all that came so far, from its
 * first byte. 1: *reply is its body without the closing empty line (the body's own final
 * LF is kept); it borrows from `answer`. 0: more bytes are needed, or only the last reply
 * is left. */
int frame_next(struct frame *f, struct span answer, struct span *reply);

/* Does the whole answer have just as many empty lines as there are replies? Then no reply
 * holds one or lacks its closing one, and frame_next() cuts all of them rightly. */
bool frame_is_plain(const struct frame *f, struct span answer);

/* The part of the last reply that has come so far; an empty span before frame_next() has
 * returned all other replies. */
struct span frame_tail(const struct frame *f, struct span answer);

/* Take the last reply at the end of file. 0: *reply is its body (the body's own final LF
 * is kept) and *whole tells whether the closing empty line was there. HAP_EPROTOCOL:
 * replies are missing, nothing came for the last one, or it does not end in LF: the
 * answer was cut. */
int frame_last(struct frame *f, struct span answer, struct span *reply, bool *whole);

#endif
