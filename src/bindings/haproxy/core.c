/* SPDX-License-Identifier: MIT
 *
 * core.c - the table `haplua.core`: targets, and what the library needs besides.
 * lua/haproxy.lua makes the module `haproxy` of it. */
#include "bindings/haproxy/call.h"
#include "base/err.h"
#include "sched/host.h"
#include "luakit/args.h"
#include "luakit/error.h"
#include "luakit/types.h"
#include "bindings/haproxy/words.h"

#include <stdio.h>

static int ltarget_gc(lua_State *L)
{
	struct target **box = lua_touserdata(L, 1);

	if (*box)
		target_unref(*box);
	*box = NULL;
	return 0;
}

static int ltarget_tostring(lua_State *L)
{
	struct target *t = call_target(L, 1);

	lua_pushfstring(L, "%s%s%s", t->name, t->route[0] ? " via " : "", t->route);
	return 1;
}

/* A target holds nothing open. <close> shows where a script's use of it ends. */
static int ltarget_close(lua_State *L)
{
	(void)L;
	return 0;
}

/* target:address() -> the address as given, the route behind a master CLI or nil */
static int ltarget_address(lua_State *L)
{
	struct target *t = call_target(L, 1);

	lua_pushstring(L, t->name);
	if (t->route[0])
		lua_pushstring(L, t->route);
	else
		lua_pushnil(L);
	return 2;
}

/* Two boxes may stand for one target. */
static int ltarget_eq(lua_State *L)
{
	lua_pushboolean(L, call_target(L, 1) == call_target(L, 2));
	return 1;
}

/* For -v. An empty line is shown, too: it is what ends a reply. */
static void trace(const struct target *t, enum target_way way, struct span bytes)
{
	struct span line;

	while (bytes.n > 0) {
		span_word(&bytes, '\n', &line);
		fprintf(stderr, "%s %s ", t->name, way == TARGET_SENT ? ">" : "<");
		while (line.n > 0) {
			size_t n = span_printable(line);

			if (n > 0)
				fwrite(line.p, 1, n, stderr);
			else
				fprintf(stderr, "\\x%02x", (unsigned char)*line.p);
			n += n == 0;
			line = (struct span){line.p + n, line.n - n};
		}
		fputc('\n', stderr);
	}
}

struct target *core_open(lua_State *L, struct span address, struct span route)
{
	struct host *host = host_of(L);
	struct target **box = types_push(L, TARGET_BOX, sizeof *box, 0);
	int rc = target_new(box, address, route, &host->options->permit, &host->clock,
			    &host->loop);

	if (rc == HAP_ENOMEM)
		error_raise(L, rc, NULL);
	if (rc < 0)
		error_misuse(L, "'%s': %s", rc == HAP_EPROCESS ? route.p : address.p,
			     err_text(rc));
	if (host->options->timeout > 0)
		(*box)->timeout = host->options->timeout;
	if (host->options->max_reply > 0)
		(*box)->answer_max = host->options->max_reply;
	if (host->options->trace)
		(*box)->trace = trace;
	if (host->test)
		(*box)->fake_transport = host->test->fake_transport;
	return *box;
}

/* open(address [, via [, timeout [, max_reply]]]) -> Target; opens nothing yet */
static int lcore_open(lua_State *L)
{
	struct span address = args_text(L, 1), route;

	route.p = luaL_optlstring(L, 2, "", &route.n);
	lua_Number timeout = luaL_optnumber(L, 3, 0);
	lua_Integer max_reply = luaL_optinteger(L, 4, 0);

	luaL_argcheck(L, timeout >= 0, 3, "a timeout over 0 expected");
	luaL_argcheck(L, max_reply >= 0, 4, "a number of bytes expected");
	struct target *t = core_open(L, address, route);

	if (timeout > 0)
		t->timeout = timeout;
	if (max_reply > 0)
		t->answer_max = (size_t)max_reply;
	return 1;
}

/* current() -> the Target of the running task */
static int lcore_current(lua_State *L)
{
	struct target **box = types_push(L, TARGET_BOX, sizeof *box, 0);

	/* Not before the box is there: a finalizer may have called use(). */
	*box = target_ref(task_of(L)->target);
	return 1;
}

/* use(target): make it the target of the running task's calls */
static int lcore_use(lua_State *L)
{
	task_set_target(task_of(L), call_target(L, 1));
	return 0;
}

/* dry_run() -> is this a dry run? */
static int lcore_dry_run(lua_State *L)
{
	lua_pushboolean(L, host_of(L)->options->dry_run);
	return 1;
}

/* restricted() -> is this a run with --read-only or --only? */
static int lcore_restricted(lua_State *L)
{
	const struct permit *p = &host_of(L)->options->permit;

	lua_pushboolean(L, p->read_only || p->n_only > 0);
	return 1;
}

/* line_max(target) -> the most bytes of a request that joins what could be sent apart */
static int lcore_line_max(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)call_target(L, 1)->line_max);
	return 1;
}

/* would(target, text): print a dry run's line for a change that is not sent */
static int lcore_would(lua_State *L)
{
	call_would(L, call_target(L, 1), args_text(L, 2));
	return 0;
}

static const luaL_Reg library[] = {
	{"check", lwords_check},
	{"current", lcore_current},
	{"dry_run", lcore_dry_run},
	{"encode", lwords_encode},
	{"line_max", lcore_line_max},
	{"lines", lwords_lines},
	{"open", lcore_open},
	{"ref", lwords_ref},
	{"permit", lcall_permit},
	{"restricted", lcore_restricted},
	{"use", lcore_use},
	{"would", lcore_would},
	{NULL, NULL},
};

static const luaL_Reg methods[] = {
	{"send", lcall_send}, {"batch", lcall_batch},
	{"each", lcall_each}, {"address", ltarget_address},
	{"__gc", ltarget_gc}, {"__close", ltarget_close},
	{"__eq", ltarget_eq}, {"__tostring", ltarget_tostring},
	{NULL, NULL},
};

int luaopen_haplua_core(lua_State *L)
{
	types_object(L, TARGET_BOX, methods);
	call_types(L);
	words_types(L);
	luaL_newlib(L, library);
	luaL_getmetatable(L, TARGET_BOX);
	lua_getfield(L, -1, "__index");
	lua_setfield(L, -3, "methods"); /* lua/haproxy.lua adds its own */
	lua_pop(L, 1);
	return 1;
}
