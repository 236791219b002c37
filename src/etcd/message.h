/* SPDX-License-Identifier: MIT
 *
 * message.h - messages of etcd as Lua tables, by their descriptors (messages.proto).
 * A table has the names of the fields. Numbers are integers, texts byte strings, repeated
 * fields lists. No sockets, no clock. Functions here may raise. */
#ifndef HAP_ETCD_MESSAGE_H
#define HAP_ETCD_MESSAGE_H

#include "base/buf.h"

#include <lua.h>
#include <protobuf-c/protobuf-c.h>

/* Make the metatable of the boxes. [-0, +0] */
void message_open(lua_State *L);

/* Push the bytes of the message that the table at `index` describes. Raises an argument
 * error for a value of another type; names that the message has not are ignored.
 * [-0, +1] */
void message_encode(lua_State *L, int index, const ProtobufCMessageDescriptor *of);

/* Push a box for what protobuf_c_message_unpack() returns. No script gets it. [-0, +1] */
ProtobufCMessage **message_push_box(lua_State *L);

/* Put a table into the place of the box on the top, in which there is a message. A
 * number, text or truth value that is not in the bytes is 0, "" or false; a message is
 * absent, and so is each field of a oneof but the one that is there. [-1, +1] */
void message_push(lua_State *L);

#endif
