/* SPDX-License-Identifier: MIT
 *
 * module.c - the Lua table of the module curl.so, which lua/haplua/visit/curl.lua loads:
 * ask(options), for lua/haplua/visit/visitor.lua. It calls functions of the program
 * (exports), and so belongs to the version that it was built with. */
#include "base/err.h"
#include "curl/failure.h"
#include "curl/transfer.h"
#include "luakit/args.h"
#include "luakit/error.h"
#include "luakit/types.h"
#include "sched/host.h"

#define LOOP_BOX "haplua.curl.Loop"
#define ASK_BOX  "haplua.curl.Ask"

/* Stack of ask(): the options, their values, the box. */
enum {
	SLOT_OPTIONS = 1,
	SLOT_URL,
	SLOT_METHOD,
	SLOT_TARGET,
	SLOT_SOURCE,
	SLOT_CA,
	SLOT_CERT,
	SLOT_KEY,
	SLOT_VERSION,
	SLOT_HEADERS,
	SLOT_CONNECT,
	SLOT_INSECURE,
	SLOT_FOLLOW,
	SLOT_PROXIED,
	SLOT_WITHIN,
	SLOT_BOX
};

static const struct args_option known[] = {
	{"url", ARGS_STRING},      {"method", ARGS_STRING},    {"target", ARGS_STRING},
	{"source", ARGS_STRING},   {"ca", ARGS_STRING},        {"cert", ARGS_STRING},
	{"key", ARGS_STRING},      {"version", ARGS_STRING},   {"headers", ARGS_TABLE},
	{"connect", ARGS_STRING},  {"insecure", ARGS_BOOLEAN}, {"follow", ARGS_BOOLEAN},
	{"proxied", ARGS_BOOLEAN}, {"within", ARGS_NUMBER},    {NULL, 0},
};

struct lask {
	struct transfer *t;  /* owned; NULL: closed */
	struct clock *clock; /* borrowed */
	struct timer timer;
	bool over; /* the time was over first */
};

static int loop_close(lua_State *L)
{
	struct multi **m = luaL_checkudata(L, 1, LOOP_BOX);

	if (*m)
		multi_unref(*m);
	*m = NULL;
	return 0;
}

static int ask_close(lua_State *L)
{
	struct lask *ask = luaL_checkudata(L, 1, ASK_BOX);

	if (!ask->t)
		return 0;
	clock_unset(ask->clock, &ask->timer);
	transfer_close(ask->t);
	ask->t = NULL;
	return 0;
}

static void on_over(struct timer *timer)
{
	struct lask *ask = CONTAINER_OF(timer, struct lask, timer);

	ask->over = true;
	task_wake(ask->t->owner);
}

/* Push how the transfer ended: head=, seconds=, source=, or kind=, phase=, message=,
 * tls=, code=. No script has the box, so no finalizer closes it meanwhile. [-0, +1] */
static int push_outcome(lua_State *L, const struct lask *ask)
{
	const struct transfer *t = ask->t;
	CURLcode rc = t->done ? t->rc : CURLE_OPERATION_TIMEDOUT;
	curl_off_t microseconds = 0;
	char *source = NULL;

	lua_createtable(L, 0, 4);
	if (rc != CURLE_OK) {
		failure_set(L, t->easy, rc, t->text);
		if (rc == CURLE_URL_MALFORMAT && t->head.n > 0) /* of a redirect */
			types_set_text(L, "kind", "protocol");
		return 1;
	}
	lua_pushlstring(L, t->head.p ? t->head.p : "", t->head.n);
	lua_setfield(L, -2, "head");
	curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &microseconds);
	lua_pushnumber(L, (lua_Number)microseconds / 1e6);
	lua_setfield(L, -2, "seconds");
	curl_easy_getinfo(t->easy, CURLINFO_LOCAL_IP, &source);
	types_set_text(L, "source", source && *source ? source : NULL);
	return 1;
}

static int ask_k(lua_State *L, int status, lua_KContext context)
{
	struct lask *ask = lua_touserdata(L, SLOT_BOX);

	(void)status, (void)context;
	lua_settop(L, SLOT_BOX);
	if (!ask->t->done && !ask->over) {
		ask->t->owner = task_of(L);
		return task_park(L, 0, ask_k);
	}
	return push_outcome(L, ask);
}

/* libcurl's number for the option `version`. */
static long http_version(lua_State *L)
{
	const char *version = lua_tostring(L, SLOT_VERSION);

	if (!version)
		return CURL_HTTP_VERSION_2TLS;
	switch (*version == '1' ? version[2] : *version) {
	case '0':
		return CURL_HTTP_VERSION_1_0;
	case '1':
		return CURL_HTTP_VERSION_1_1;
	default:
		return CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
	}
}

static CURLcode set_strings(lua_State *L, CURL *easy)
{
	static const struct {
		int slot;
		CURLoption option;
	} strings[] = {
		{SLOT_URL, CURLOPT_URL},
		{SLOT_METHOD, CURLOPT_CUSTOMREQUEST},
		{SLOT_TARGET, CURLOPT_REQUEST_TARGET},
		{SLOT_SOURCE, CURLOPT_INTERFACE},
		{SLOT_CA, CURLOPT_CAINFO},
		{SLOT_CERT, CURLOPT_SSLCERT},
		{SLOT_KEY, CURLOPT_SSLKEY},
	};
	CURLcode rc = CURLE_OK;

	for (size_t i = 0; rc == CURLE_OK && i < sizeof strings / sizeof *strings; i++)
		if (!lua_isnil(L, strings[i].slot)) /* libcurl copies the string */
			rc = curl_easy_setopt(easy, strings[i].option,
					      lua_tostring(L, strings[i].slot));
	return rc;
}

/* Give the transfer its options. The strings are without NUL: visitor.lua has checked
 * that. */
static CURLcode set_options(lua_State *L, struct transfer *t)
{
	CURLcode rc = set_strings(L, t->easy);
	bool is_head = !lua_isnil(L, SLOT_METHOD) &&
		       strcmp(lua_tostring(L, SLOT_METHOD), "HEAD") == 0;

	if (rc == CURLE_OK)
		rc = curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, http_version(L));
	curl_easy_setopt(t->easy, CURLOPT_NOBODY, (long)is_head);
	curl_easy_setopt(t->easy, CURLOPT_FOLLOWLOCATION,
			 (long)lua_toboolean(L, SLOT_FOLLOW));
	curl_easy_setopt(t->easy, CURLOPT_HAPROXYPROTOCOL,
			 (long)lua_toboolean(L, SLOT_PROXIED));
	if (lua_toboolean(L, SLOT_INSECURE)) {
		curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (!lua_isnil(L, SLOT_CONNECT) &&
	    transfer_add(&t->connect, lua_tostring(L, SLOT_CONNECT)) < 0)
		rc = CURLE_OUT_OF_MEMORY;
	for (int i = 1; !lua_isnil(L, SLOT_HEADERS); i++) {
		if (lua_rawgeti(L, SLOT_HEADERS, i) != LUA_TSTRING)
			break;
		if (transfer_add(&t->headers, lua_tostring(L, -1)) < 0)
			rc = CURLE_OUT_OF_MEMORY;
		lua_pop(L, 1);
	}
	lua_settop(L, SLOT_BOX);
	return rc;
}

/* Push the box of a call, with a transfer in it. [-0, +1] */
static struct lask *push_ask(lua_State *L)
{
	struct lask *ask = types_push(L, ASK_BOX, sizeof *ask, 0);
	struct multi **m = lua_touserdata(L, lua_upvalueindex(1));

	lua_toclose(L, SLOT_BOX);
	ask->clock = &host_of(L)->clock;
	/* The first call makes it. */
	int rc = *m ? 0 : multi_new(m, &host_of(L)->loop);

	if (rc == 0)
		rc = transfer_new(&ask->t, *m);
	if (rc < 0)
		error_raise(L, rc, NULL);
	return ask;
}

/* ask{url=, ...} -> how it ended (push_outcome()). Raises for a wrong argument, and what
 * ends a wait of the task. */
static int ask(lua_State *L)
{
	task_of(L); /* raises outside of a task */
	lua_settop(L, SLOT_OPTIONS);
	args_push_options(L, SLOT_OPTIONS, known, 0);
	if (!task_can_wait(L))
		return task_park(L, 0, ask_k); /* raises, before there is a transfer */
	struct lask *ask = push_ask(L);
	CURLcode rc = set_options(L, ask->t);

	ask->t->wake = task_wake;
	ask->t->owner = task_of(L);
	if (clock_set(ask->clock, &ask->timer,
		      clock_after(ask->clock, lua_tonumber(L, SLOT_WITHIN)), on_over) < 0)
		return error_raise(L, HAP_ENOMEM, NULL);
	if (rc == CURLE_OK)
		rc = transfer_start(ask->t);
	if (rc != CURLE_OK) {
		ask->t->done = true;
		ask->t->rc = rc;
	}
	return ask_k(L, LUA_OK, 0);
}

/* Of src/main.c. */
extern const char haplua_version[];

__attribute__((visibility("default"))) int luaopen_haplua_curl(lua_State *L)
{
	if (strcmp(haplua_version, HAPLUA_VERSION) != 0)
		return luaL_error(L, "it belongs to haplua %s, and this is haplua %s",
				  HAPLUA_VERSION, haplua_version);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return luaL_error(L, "libcurl cannot start");
	types_box(L, LOOP_BOX, loop_close);
	types_box(L, ASK_BOX, ask_close);
	lua_newtable(L);
	types_push(L, LOOP_BOX, sizeof(struct multi *), 0);
	lua_pushcclosure(L, ask, 1);
	lua_setfield(L, -2, "ask");
	lua_pushstring(L, curl_version());
	lua_setfield(L, -2, "version");
	return 1;
}
