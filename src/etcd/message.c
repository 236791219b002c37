/* SPDX-License-Identifier: MIT
 *
 * message.c - protobuf-c's structs from Lua tables, and back.
 * A descriptor says where in its struct each field is. The memory of a message that is
 * made of a table is userdata and strings, which a list on the stack keeps. */
#include "etcd/message.h"
#include "base/err.h"
#include "luakit/error.h"
#include "luakit/types.h"

#define MESSAGE_BOX "haplua.etcd.Message"
/* More elements of a list are refused: etcd takes no more than 128 by default. */
#define LIST_MAX 100000

typedef const ProtobufCFieldDescriptor field_t;
typedef const ProtobufCMessageDescriptor type_t;

static void *at(const void *message, unsigned offset)
{
	return (char *)(uintptr_t)message + offset;
}

static size_t size_of(field_t *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
		return sizeof(int32_t);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(ProtobufCMessage *);
	default: /* INT64, UINT64: messages.proto has no others */
		return sizeof(int64_t);
	}
}

/* From a table to a message. The list that keeps its memory is at index `keeper`. */

static ProtobufCMessage *build(lua_State *L, type_t *of, int keeper);

/* Have the list keep the value on the top. [-1, +0] */
static void keep(lua_State *L, int keeper)
{
	lua_rawseti(L, keeper, (lua_Integer)lua_rawlen(L, keeper) + 1);
}

/* Memory of `n` bytes that the list keeps. */
static void *take(lua_State *L, size_t n, int keeper)
{
	void *p = lua_newuserdatauv(L, n, 0);

	keep(L, keeper);
	return p;
}

static void wrong(lua_State *L, field_t *field, const char *expected)
{
	luaL_error(L, "%s: %s expected, got %s", field->name, expected,
		   luaL_typename(L, -1));
}

/* Set *to from the value on the top. [-0, +0] */
static void set_value(lua_State *L, field_t *field, void *to, int keeper)
{
	int is_integer = 0;
	lua_Integer n = 0;

	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)to = lua_toboolean(L, -1);
		return;
	case PROTOBUF_C_TYPE_BYTES: {
		ProtobufCBinaryData *bytes = to;

		if (lua_type(L, -1) != LUA_TSTRING)
			wrong(L, field, "string");
		bytes->data = (uint8_t *)(uintptr_t)lua_tolstring(L, -1, &bytes->len);
		lua_pushvalue(L, -1);
		keep(L, keeper);
		return;
	}
	case PROTOBUF_C_TYPE_MESSAGE:
		if (!lua_istable(L, -1))
			wrong(L, field, "table");
		*(ProtobufCMessage **)to = build(L, field->descriptor, keeper);
		return;
	default:
		n = lua_tointegerx(L, -1, &is_integer);
		if (!is_integer)
			wrong(L, field, "integer");
		if (field->type == PROTOBUF_C_TYPE_INT32)
			*(int32_t *)to = (int32_t)n;
		else
			*(int64_t *)to = n;
	}
}

/* Set a repeated field from the list on the top. [-0, +0] */
static void set_list(lua_State *L, field_t *field, ProtobufCMessage *message, int keeper)
{
	size_t n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0, size = size_of(field);

	if (!lua_istable(L, -1) || n > LIST_MAX)
		wrong(L, field, "list");
	if (n == 0)
		return;
	char *elements = take(L, n * size, keeper);

	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		set_value(L, field, elements + i * size, keeper);
		lua_pop(L, 1);
	}
	*(void **)at(message, field->offset) = elements;
	*(size_t *)at(message, field->quantifier_offset) = n;
}

/* The message that the table on the top describes. [-0, +0] */
static ProtobufCMessage *build(lua_State *L, type_t *of, int keeper)
{
	ProtobufCMessage *message = take(L, of->sizeof_message, keeper);

	luaL_checkstack(L, 8, "messages in messages");
	protobuf_c_message_init(of, message);
	for (unsigned i = 0; i < of->n_fields; i++) {
		field_t *field = &of->fields[i];

		lua_pushstring(L, field->name);
		if (lua_rawget(L, -2) == LUA_TNIL) {
			lua_pop(L, 1);
			continue;
		}
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			set_list(L, field, message, keeper);
		} else {
			set_value(L, field, at(message, field->offset), keeper);
			if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
				*(uint32_t *)at(message, field->quantifier_offset) =
					field->id;
		}
		lua_pop(L, 1);
	}
	return message;
}

void message_encode(lua_State *L, int index, type_t *of)
{
	index = lua_absindex(L, index);
	lua_newtable(L);
	int keeper = lua_gettop(L);

	lua_pushvalue(L, index);
	ProtobufCMessage *message = build(L, of, keeper);
	/* No script has this memory, so a finalizer changes nothing in it. */
	size_t n = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = lua_newuserdatauv(L, n, 0);

	protobuf_c_message_pack(message, bytes);
	lua_pushlstring(L, (const char *)bytes, n);
	lua_replace(L, keeper);
	lua_settop(L, keeper);
}

/* From a message to a table. */

static void push_message(lua_State *L, const ProtobufCMessage *message);

static void push_value(lua_State *L, field_t *field, const void *from)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		lua_pushboolean(L, *(const protobuf_c_boolean *)from);
		return;
	case PROTOBUF_C_TYPE_BYTES: {
		const ProtobufCBinaryData *bytes = from;

		lua_pushlstring(L, bytes->data ? (const char *)bytes->data : "",
				bytes->len);
		return;
	}
	case PROTOBUF_C_TYPE_MESSAGE: {
		const ProtobufCMessage *message = *(ProtobufCMessage *const *)from;

		if (message)
			push_message(L, message);
		else
			lua_pushnil(L);
		return;
	}
	case PROTOBUF_C_TYPE_INT32:
		lua_pushinteger(L, *(const int32_t *)from);
		return;
	default:
		lua_pushinteger(L, *(const int64_t *)from);
	}
}

static void push_list(lua_State *L, field_t *field, const ProtobufCMessage *message)
{
	size_t n = *(size_t *)at(message, field->quantifier_offset);
	const char *elements = *(char **)at(message, field->offset);

	lua_createtable(L, n < LIST_MAX ? (int)n : 0, 0);
	for (size_t i = 0; i < n; i++) {
		push_value(L, field, elements + i * size_of(field));
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

static void push_message(lua_State *L, const ProtobufCMessage *message)
{
	type_t *of = message->descriptor;

	luaL_checkstack(L, 8, "messages in messages");
	lua_createtable(L, 0, (int)of->n_fields);
	for (unsigned i = 0; i < of->n_fields; i++) {
		field_t *field = &of->fields[i];

		if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
		    *(uint32_t *)at(message, field->quantifier_offset) != field->id)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			push_list(L, field, message);
		else
			push_value(L, field, at(message, field->offset));
		lua_setfield(L, -2, field->name);
	}
}

static int message_close(lua_State *L)
{
	ProtobufCMessage **message = lua_touserdata(L, 1);

	if (*message)
		protobuf_c_message_free_unpacked(*message, NULL);
	*message = NULL;
	return 0;
}

void message_open(lua_State *L)
{
	types_box(L, MESSAGE_BOX, message_close);
}

ProtobufCMessage **message_push_box(lua_State *L)
{
	return types_push(L, MESSAGE_BOX, sizeof(ProtobufCMessage *), 0);
}

void message_push(lua_State *L)
{
	ProtobufCMessage **box = lua_touserdata(L, -1);

	push_message(L, *box);
	protobuf_c_message_free_unpacked(*box, NULL);
	*box = NULL;
	lua_remove(L, -2);
}
