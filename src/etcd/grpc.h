/* SPDX-License-Identifier: MIT
 *
 * grpc.h - the bytes of gRPC over HTTP/2: messages in frames, and the status in the
 * trailer. Source: PROTOCOL-HTTP2.md of gRPC. A frame is a byte for compression, four
 * bytes of length, the highest first, and the message.
 * Pure: no sockets, no Lua, no clock. */
#ifndef HAP_GRPC_H
#define HAP_GRPC_H

#include "base/buf.h"

/* The longest message that is taken, in bytes. */
#define GRPC_MESSAGE_MAX ((size_t)64 << 20)

/* The status of a call that has none. */
#define GRPC_NONE (-1)

/* Bytes that came, and which of them were taken. {0} is one without bytes. */
struct grpc_frames {
	struct buf in; /* owned */
	size_t taken;
	int rc; /* 0, or the code of the failure that ended it */
};

/* Append the frame of a message. 0 or HAP_ENOMEM. */
int grpc_add_frame(struct buf *out, struct span message);

/* Append bytes of a response, in any chunking. 0; HAP_ELIMIT where more than a longest
 * message waits to be taken; HAP_ENOMEM. After a failure, this one returns it again. */
int grpc_feed(struct grpc_frames *frames, struct span bytes);

/* Take the next whole message. 1: *message is set, and valid until the next call with
 * these frames. 0: more bytes are needed. HAP_EPROTOCOL: the message is compressed, which
 * no request allows. HAP_ELIMIT: it is too long. After a failure, that of every call. */
int grpc_next(struct grpc_frames *frames, struct span *message);

/* True where part of a message is left. */
int grpc_has_rest(const struct grpc_frames *frames);

void grpc_free(struct grpc_frames *frames);

/* The value of a header line, without blanks around it, if its name is `name`, which is
 * in lower case; else a span whose p is NULL. */
struct span grpc_header(struct span line, const char *name);

/* The number of a grpc-status; GRPC_NONE where the text is none. */
int grpc_status(struct span value);

/* Append a grpc-message, whose bytes may be encoded as %XX; other uses of `%` stay as
 * they are. 0 or HAP_ENOMEM. */
int grpc_add_message(struct buf *out, struct span value);

/* The name of a status, such as "Unavailable", which is static; "Unknown" where it has
 * none. */
const char *grpc_status_name(int status);

#endif
