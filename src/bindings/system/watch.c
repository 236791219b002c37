/* SPDX-License-Identifier: MIT
 *
 * watch.c - the table `haplua.watch`: wait for events of files. */
#include "base/err.h"
#include "sched/host.h"
#include "luakit/args.h"
#include "luakit/error.h"
#include "luakit/types.h"
#include "os/watch.h"

#define WATCH_BOX "haplua.Watch"
#define WAIT_BOX  "haplua.WatchWait"

enum { SLOT_SELF = 1, SLOT_SECONDS, SLOT_WAIT };

struct lwatch {
	struct watch *watch; /* owned; NULL: closed */
	struct task *waiter; /* borrowed: the task that waits, or NULL */
};

/* A call of wait(). Lies in a userdata that is closed when the call ends, whichever way.
 */
struct wait {
	struct lwatch *of;   /* borrowed: in SLOT_SELF; NULL: the wait is over */
	struct clock *clock; /* borrowed */
	struct timer timer;
	bool over;
};

/* The open watch in argument 1. Called last: any conversion or allocation may run a
 * finalizer that closes it. */
static struct lwatch *check_open(lua_State *L)
{
	struct lwatch *lw = luaL_checkudata(L, SLOT_SELF, WATCH_BOX);

	luaL_argcheck(L, lw->watch, SLOT_SELF, "the watch is closed");
	return lw;
}

/* open() -> Watch | nil, message, code */
static int lwatch_open(lua_State *L)
{
	struct lwatch *lw = types_push(L, WATCH_BOX, sizeof *lw, 0);
	int rc = watch_new(&lw->watch, &host_of(L)->loop);

	if (rc == 0 && host_of(L)->clock.manual) /* virtual time does not wait for it */
		uv_unref((uv_handle_t *)&lw->watch->poll);
	return rc < 0 ? args_failure(L, rc, "inotify") : 1;
}

/* Wakes the task that waits, which raises. */
static int lwatch_close(lua_State *L)
{
	struct lwatch *lw = luaL_checkudata(L, 1, WATCH_BOX);

	if (!lw->watch)
		return 0;
	watch_close(lw->watch);
	lw->watch = NULL;
	if (lw->waiter)
		task_wake(lw->waiter);
	return 0;
}

/* watch:add(path) -> true | nil, message, code */
static int lwatch_add(lua_State *L)
{
	const char *path = args_path(L, 2);
	int rc = watch_add(check_open(L)->watch, path);

	if (rc == UV_ENOSPC)
		path = lua_pushfstring(L, "%s: fs.inotify.max_user_watches is reached",
				       path);
	if (rc < 0)
		return args_failure(L, rc, path);
	lua_pushboolean(L, true);
	return 1;
}

static void push_event(lua_State *L, const char *path, const char *what)
{
	lua_createtable(L, 0, 2);
	types_set_text(L, "path", path);
	types_set_text(L, "what", what);
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* Push the list of the events that were read. Returns whether there are any. A finalizer
 * may close the watch meanwhile; its memory stays until the loop turns. [-0, +(0|1)] */
static bool push_events(lua_State *L, struct watch *w)
{
	static const char *const names[] = {"opened", "changed", "created", "removed",
					    "lost"};

	if (w->n_events == 0 && !w->overflow)
		return false;
	lua_createtable(L, (int)w->n_events + 1, 0);
	if (w->overflow)
		push_event(L, NULL, "lost");
	for (size_t i = 0; i < w->n_events; i++)
		push_event(L, w->names[w->events[i].name].path, names[w->events[i].what]);
	w->n_events = 0;
	w->overflow = false;
	return true;
}

static void on_over(struct timer *timer)
{
	struct wait *wait = CONTAINER_OF(timer, struct wait, timer);

	wait->over = true;
	task_wake(wait->of->waiter);
}

static int wait_close(lua_State *L)
{
	struct wait *wait = luaL_checkudata(L, 1, WAIT_BOX);

	if (!wait->of)
		return 0;
	clock_unset(wait->clock, &wait->timer);
	if (wait->of->watch)
		watch_disarm(wait->of->watch);
	wait->of->waiter = NULL;
	wait->of = NULL; /* the collector must not end a wait that came after this one */
	return 0;
}

static int lwatch_wait_k(lua_State *L, int status, lua_KContext context)
{
	struct wait *wait = lua_touserdata(L, SLOT_WAIT);
	struct watch *w = wait->of->watch;

	(void)status, (void)context;
	if (!w)
		return error_misuse(L, "the watch was closed");
	int rc = watch_read(w);

	if (rc == 0 && push_events(L, w))
		return 1;
	if (rc == 0 && wait->over) {
		lua_pushnil(L);
		return 1;
	}
	if (rc == 0)
		rc = watch_arm(w, task_wake, wait->of->waiter);
	return rc < 0 ? error_raise(L, rc, NULL) : task_park(L, 0, lwatch_wait_k);
}

/* watch:wait([seconds]) -> {{path=, what=}...}, or nil when the time is over. Always
 * parks: events that never end must not keep other tasks from their turn. */
static int lwatch_wait(lua_State *L)
{
	lua_Number seconds = luaL_optnumber(L, SLOT_SECONDS, -1);
	bool timed = !lua_isnoneornil(L, SLOT_SECONDS);
	struct task *t = task_of(L);

	luaL_argcheck(L, !timed || seconds >= 0, SLOT_SECONDS,
		      "seconds, 0 or more, expected");
	lua_settop(L, SLOT_SECONDS);
	struct wait *wait = types_push(L, WAIT_BOX, sizeof *wait, 0);

	wait->clock = &host_of(L)->clock;
	lua_toclose(L, SLOT_WAIT);
	struct lwatch *lw = check_open(L);

	if (lw->waiter)
		return error_misuse(L, "another task waits for this watch");
	wait->of = lw;
	lw->waiter = t;
	if (timed && clock_set(wait->clock, &wait->timer,
			       clock_after(wait->clock, seconds), on_over) < 0)
		return error_raise(L, HAP_ENOMEM, NULL);
	int rc = watch_arm(lw->watch, task_wake, t);

	return rc < 0 ? error_raise(L, rc, NULL) : task_park(L, 0, lwatch_wait_k);
}

static const luaL_Reg library[] = {{"open", lwatch_open}, {NULL, NULL}};

static const luaL_Reg methods[] = {
	{"add", lwatch_add},       {"wait", lwatch_wait},  {"close", lwatch_close},
	{"__close", lwatch_close}, {"__gc", lwatch_close}, {NULL, NULL},
};

int luaopen_haplua_watch(lua_State *L)
{
	types_object(L, WATCH_BOX, methods);
	types_box(L, WAIT_BOX, wait_close);
	luaL_newlib(L, library);
	return 1;
}
