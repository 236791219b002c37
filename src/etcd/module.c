/* SPDX-License-Identifier: MIT
 *
 * module.c - the Lua table of the module fleet.so, for lua/haplua/etcd:
 *
 *   open() -> channel          the connections of one client
 *   channel:call(name, message, options) -> call     begins a call of gRPC, waits for
 * nothing call:next(seconds) -> message | nil, "timeout" | nil, "end" call:outcome() ->
 * {sent=, status=, code=, message=, kind=, phase=, tls=, http=} encode(name, table,
 * is_response) -> bytes, decode(name, bytes, is_response) -> table
 *
 * It calls functions of the program (src/curl/exports), and so belongs to the version
 * that it was built with. */
#include "base/err.h"
#include "curl/failure.h"
#include "etcd/message.h"
#include "etcd/messages.pb-c.h"
#include "etcd/stream.h"
#include "luakit/args.h"
#include "luakit/error.h"
#include "luakit/types.h"
#include "sched/host.h"

#define CHANNEL  "haplua.etcd.Channel"
#define CALL     "haplua.etcd.Call"
#define WAIT_BOX "haplua.etcd.Wait"

/* The calls that haplua makes: name, path, types of request and response. */
static const struct method {
	const char *name, *path;
	const ProtobufCMessageDescriptor *request, *response;
} methods[] = {
	{"range", "/etcdserverpb.KV/Range", &etcd__range_request__descriptor,
	 &etcd__range_response__descriptor},
	{"txn", "/etcdserverpb.KV/Txn", &etcd__txn_request__descriptor,
	 &etcd__txn_response__descriptor},
	{"compact", "/etcdserverpb.KV/Compact", &etcd__compaction_request__descriptor,
	 &etcd__compaction_response__descriptor},
	{"watch", "/etcdserverpb.Watch/Watch", &etcd__watch_request__descriptor,
	 &etcd__watch_response__descriptor},
	{"grant", "/etcdserverpb.Lease/LeaseGrant", &etcd__grant_request__descriptor,
	 &etcd__grant_response__descriptor},
	{"revoke", "/etcdserverpb.Lease/LeaseRevoke", &etcd__revoke_request__descriptor,
	 &etcd__revoke_response__descriptor},
	{"keepalive", "/etcdserverpb.Lease/LeaseKeepAlive",
	 &etcd__keep_alive_request__descriptor, &etcd__keep_alive_response__descriptor},
	{"status", "/etcdserverpb.Maintenance/Status", &etcd__status_request__descriptor,
	 &etcd__status_response__descriptor},
	{NULL, NULL, NULL, NULL},
};

struct lcall {
	struct stream *s; /* owned; NULL: closed */
	const struct method *method;
	bool busy;   /* Lua values are made of it: a finalizer may not free it */
	bool closed; /* meanwhile */
};

/* One next() that waits. Its call is in user value 1. */
struct lwait {
	struct lcall *call;  /* NULL: the wait has ended */
	struct clock *clock; /* borrowed */
	struct timer timer;
	struct task *task; /* borrowed: it waits */
	bool over;         /* the time was over */
};

static const struct method *check_method(lua_State *L, int index)
{
	const char *name = luaL_checkstring(L, index);
	const struct method *m = methods;

	while (m->name && strcmp(m->name, name) != 0)
		m++;
	if (!m->name)
		luaL_error(L, "unknown call '%s'", name);
	return m;
}

static int channel_close(lua_State *L)
{
	struct multi **m = luaL_checkudata(L, 1, CHANNEL);

	if (*m)
		multi_unref(*m);
	*m = NULL;
	return 0;
}

static int call_free(lua_State *L)
{
	struct lcall *call = luaL_checkudata(L, 1, CALL);
	struct stream *s = call->s;

	if (!s)
		return 0;
	call->s = NULL;
	if (s->owner)
		task_wake(s->owner); /* its next() returns */
	stream_close(s);
	return 0;
}

static int call_close(lua_State *L)
{
	struct lcall *call = luaL_checkudata(L, 1, CALL);

	call->closed = true;
	return call->busy ? 0 : call_free(L);
}

static int wait_close(lua_State *L)
{
	struct lwait *wait = luaL_checkudata(L, 1, WAIT_BOX);

	if (!wait->call)
		return 0;
	clock_unset(wait->clock, &wait->timer);
	if (wait->call->s)
		wait->call->s->owner = NULL;
	wait->call = NULL;
	return 0;
}

static int channel_open(lua_State *L)
{
	struct multi **m = types_push(L, CHANNEL, sizeof *m, 0);
	int rc = multi_new(m, &host_of(L)->loop);

	return rc < 0 ? error_raise(L, rc, NULL) : 1;
}

static const char *text_option(lua_State *L, const char *name)
{
	const char *text = NULL;

	if (lua_getfield(L, 4, name) == LUA_TSTRING)
		text = lua_tostring(L, -1); /* the table of the options keeps it */
	lua_pop(L, 1);
	return text;
}

static bool is_set(lua_State *L, const char *name)
{
	lua_getfield(L, 4, name);
	bool is = lua_toboolean(L, -1);

	lua_pop(L, 1);
	return is;
}

static double number_option(lua_State *L, const char *name)
{
	lua_getfield(L, 4, name);
	double number = lua_tonumber(L, -1);

	lua_pop(L, 1);
	return number;
}

/* channel:call(name, message, {endpoint=, ca=, cert=, key=, within=, connect=, leader=,
 * fresh=, once=}). The options are the library's, and are not checked again. */
static int channel_call(lua_State *L)
{
	struct multi **m = luaL_checkudata(L, 1, CHANNEL);
	const struct method *method = check_method(L, 2);
	struct stream_plan plan = {0};

	luaL_checktype(L, 3, LUA_TTABLE);
	luaL_checktype(L, 4, LUA_TTABLE);
	lua_settop(L, 4);
	plan.ca = text_option(L, "ca");
	plan.cert = text_option(L, "cert");
	plan.key = text_option(L, "key");
	plan.within = number_option(L, "within");
	plan.connect = number_option(L, "connect");
	plan.leader = is_set(L, "leader");
	plan.fresh = is_set(L, "fresh");
	plan.once = is_set(L, "once");
	lua_getfield(L, 4, "endpoint");
	plan.url = lua_pushfstring(L, "%s%s", luaL_checkstring(L, -1), method->path);
	message_encode(L, 3, method->request);
	plan.message.p = lua_tolstring(L, -1, &plan.message.n);
	struct lcall *call = types_push(L, CALL, sizeof *call, 0);

	call->method = method;
	if (!*m) /* looked at after the last allocation; other tasks may close it */
		return error_raise(L, UV_ECANCELED, NULL);
	int rc = stream_start(&call->s, *m, &plan);

	return rc < 0 ? error_raise(L, rc, NULL) : 1;
}

static void on_over(struct timer *timer)
{
	struct lwait *wait = CONTAINER_OF(timer, struct lwait, timer);

	wait->over = true;
	task_wake(wait->task);
}

/* Push the next message, if it has come whole. [-0, +0 or +1] */
static bool push_next(lua_State *L, struct lcall *call)
{
	if (!call->s || !grpc_has_rest(&call->s->frames))
		return false;
	ProtobufCMessage **box = message_push_box(L);
	struct span bytes;

	/* A finalizer may have closed the call, or taken the message. */
	if (!call->s || grpc_next(&call->s->frames, &bytes) != 1) {
		lua_pop(L, 1);
		return false;
	}
	*box = protobuf_c_message_unpack(call->method->response, NULL, bytes.n,
					 (const uint8_t *)bytes.p);
	if (!*box) {
		call->s->frames.rc = HAP_EPROTOCOL;
		lua_pop(L, 1);
		return false;
	}
	message_push(L);
	return true;
}

/* Stack of next(). */
enum { SLOT_CALL = 1, SLOT_SECONDS, SLOT_WAIT };

static int next_k(lua_State *L, int status, lua_KContext context)
{
	struct lcall *call = lua_touserdata(L, SLOT_CALL);
	struct lwait *wait = lua_touserdata(L, SLOT_WAIT);

	(void)status, (void)context;
	lua_settop(L, SLOT_WAIT);
	if (push_next(L, call))
		return 1;
	if (call->s && !call->s->done && call->s->frames.rc == 0 && !wait->over) {
		call->s->owner = wait->task = task_of(L);
		return task_park(L, 0, next_k);
	}
	bool ended = !call->s || call->s->done || call->s->frames.rc < 0;

	lua_pushnil(L);
	lua_pushstring(L, ended ? "end" : "timeout");
	return 2;
}

/* call:next(seconds): seconds of 0 or less wait for nothing. */
static int call_next(lua_State *L)
{
	struct lcall *call = luaL_checkudata(L, SLOT_CALL, CALL);
	double seconds = luaL_checknumber(L, SLOT_SECONDS);
	struct task *task = task_of(L);

	lua_settop(L, SLOT_SECONDS);
	struct lwait *wait = types_push(L, WAIT_BOX, sizeof *wait, 1);

	lua_pushvalue(L, SLOT_CALL);
	lua_setiuservalue(L, SLOT_WAIT, 1);
	if (call->s && call->s->owner)
		return luaL_error(L, "another task waits for this call");
	wait->clock = &host_of(L)->clock;
	wait->call = call;
	wait->task = task;
	wait->over = !(seconds > 0);
	lua_toclose(L, SLOT_WAIT);
	if (call->s) {
		call->s->wake = task_wake;
		call->s->owner = task;
	}
	if (!wait->over && clock_set(wait->clock, &wait->timer,
				     clock_after(wait->clock, seconds), on_over) < 0)
		return error_raise(L, HAP_ENOMEM, NULL);
	return next_k(L, LUA_OK, 0);
}

/* Set the fields that say how a response ended. [-0, +0] */
static void set_end(lua_State *L, const struct stream *s)
{
	long http = stream_http_status(s);

	if (s->frames.rc < 0 || (s->status == 0 && grpc_has_rest(&s->frames))) {
		types_set_text(L, "kind", "protocol");
		types_set_text(L, "message",
			       err_text(s->frames.rc < 0 ? s->frames.rc : HAP_EPROTOCOL));
		return;
	}
	if (s->done && s->rc != CURLE_OK)
		failure_set(L, s->easy, s->rc, s->text);
	lua_pushinteger(L, http);
	lua_setfield(L, -2, "http");
	lua_pushboolean(L, s->is_grpc);
	lua_setfield(L, -2, "grpc");
	if (s->status == GRPC_NONE)
		return;
	lua_pushinteger(L, s->status);
	lua_setfield(L, -2, "status");
	types_set_text(L, "code", grpc_status_name(s->status));
	lua_pushlstring(L, s->message.p ? s->message.p : "", s->message.n);
	lua_setfield(L, -2, "message");
}

/* call:outcome() -> what is known of its end. sent=: the request may have reached the
 * member. Of a response: http=, grpc=, status=, code=, message=. Of a failure of the
 * connection: kind=, phase=, message=, tls=, code=. A closed call has no field. */
static int call_outcome(lua_State *L)
{
	struct lcall *call = luaL_checkudata(L, 1, CALL);

	lua_createtable(L, 0, 8);
	if (!call->s)
		return 1;
	call->busy = true;
	lua_pushboolean(L, call->s->sent > 0);
	lua_setfield(L, -2, "sent");
	set_end(L, call->s);
	call->busy = false;
	if (call->closed)
		call_free(L);
	return 1;
}

static const ProtobufCMessageDescriptor *check_type(lua_State *L)
{
	const struct method *m = check_method(L, 1);

	return lua_toboolean(L, 3) ? m->response : m->request;
}

/* encode(name, table, is_response) -> bytes */
static int encode(lua_State *L)
{
	const ProtobufCMessageDescriptor *type = check_type(L);

	luaL_checktype(L, 2, LUA_TTABLE);
	message_encode(L, 2, type);
	return 1;
}

/* decode(name, bytes, is_response) -> table */
static int decode(lua_State *L)
{
	const ProtobufCMessageDescriptor *type = check_type(L);
	size_t n;
	const char *bytes = luaL_checklstring(L, 2, &n);
	ProtobufCMessage **box = message_push_box(L);

	*box = protobuf_c_message_unpack(type, NULL, n, (const uint8_t *)bytes);
	if (!*box)
		return error_raise(L, HAP_EPROTOCOL, NULL);
	message_push(L);
	return 1;
}

static const luaL_Reg channel_methods[] = {
	{"call", channel_call},
	{"close", channel_close},
	{"__close", channel_close},
	{"__gc", channel_close},
	{NULL, NULL},
};

static const luaL_Reg call_methods[] = {
	{"next", call_next},     {"outcome", call_outcome}, {"close", call_close},
	{"__close", call_close}, {"__gc", call_free},       {NULL, NULL},
};

static const luaL_Reg functions[] = {
	{"open", channel_open},
	{"encode", encode},
	{"decode", decode},
	{NULL, NULL},
};

/* Of src/main.c. */
extern const char haplua_version[];

__attribute__((visibility("default"))) int luaopen_haplua_fleet(lua_State *L)
{
	if (strcmp(haplua_version, HAPLUA_VERSION) != 0)
		return luaL_error(L, "it belongs to haplua %s, and this is haplua %s",
				  HAPLUA_VERSION, haplua_version);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return luaL_error(L, "libcurl cannot start");
	message_open(L);
	types_object(L, CHANNEL, channel_methods);
	types_object(L, CALL, call_methods);
	types_box(L, WAIT_BOX, wait_close);
	luaL_newlib(L, functions);
	return 1;
}
