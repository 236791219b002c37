/* SPDX-License-Identifier: MIT
 *
 * test_task.c - tasks, deadlines and cancellation, in time turned by hand.
 * Each test runs a Lua chunk as the function of a root task, and looks at the records of
 * its tasks while they live. After each test no timer may be set and no task alive. */
#include "unit.h"
#include "base/err.h"
#include "luakit/error.h"
#include "luakit/types.h"
#include "net/target.h"
#include "sched/cancel.h"
#include "sched/deadline.h"
#include "sched/host.h"

#include <lauxlib.h>
#include <lualib.h>

static struct host host;
static lua_State *L;
static struct scheduler *s;

/* record(task) -> light userdata: what the C side of a test looks at */
static int record(lua_State *l)
{
	lua_pushlightuserdata(l, task_check(l, 1));
	return 1;
}

static int interrupt(lua_State *l)
{
	(void)l;
	cancel_all(s, HAP_EINTERRUPTED);
	return 0;
}

static int abandon(lua_State *l)
{
	scheduler_abandon(task_check(l, 1));
	return 0;
}

/* timers() -> how many are set */
static int timers(lua_State *l)
{
	lua_pushinteger(l, (lua_Integer)host.clock.n);
	return 1;
}

static int begin(void **state)
{
	static const struct options options = {.n_sockets = 1};

	(void)state;
	assert_int_equal(host_start(&host, &options), 0);
	L = host.L;
	s = &host.scheduler;
	clock_manual(&host.clock, CLOCK_SECOND, 0);
	luaL_openlibs(L);
	luaopen_haplua_coroutine(L);
	luaL_requiref(L, "haplua.error", luaopen_haplua_error, 0);
	luaL_requiref(L, "task", luaopen_haplua_task, 1);
	lua_register(L, "record", record);
	lua_register(L, "interrupt", interrupt);
	lua_register(L, "abandon", abandon);
	lua_register(L, "timers", timers);
	lua_settop(L, 0);
	assert_int_equal(
		luaL_dostring(L, "function kind(f, ...) local ok, e = pcall(f, ...) "
				 "return not ok and (e.kind or e) end"),
		LUA_OK);
	return 0;
}

static int end(void **state)
{
	(void)state;
	assert_int_equal(s->alive, 0);
	assert_true(STAILQ_EMPTY(&s->ready));
	assert_int_equal(host.clock.n, 0);
	lua_gc(L, LUA_GCCOLLECT);
	lua_gc(L, LUA_GCCOLLECT);
	assert_true(LIST_EMPTY(&s->suspended));
	host_stop(&host);
	return 0;
}

static struct task *spawn(const char *chunk)
{
	if (luaL_loadstring(L, chunk) != LUA_OK)
		fail_msg("%s", lua_tostring(L, -1));
	return scheduler_spawn(L, s, NULL, 0);
}

/* One round of the tasks that are queued; then time goes on to the next timer. */
static void turn(void)
{
	scheduler_run(s);
	if (STAILQ_EMPTY(&s->ready) && s->alive > 0) {
		assert_int_not_equal(clock_next(&host.clock), CLOCK_NEVER);
		clock_advance(&host.clock, clock_next(&host.clock));
	}
}

/* Run a chunk to its end: its first result as text, or its error. */
static const char *result_of(const char *chunk)
{
	struct task *t = spawn(chunk);

	for (int turns = 0; t->state != TASK_DONE; turns++) {
		assert_true(turns < 10000); /* else tasks wake each other for ever */
		turn();
	}
	const char *text = lua_gettop(t->L) > 0 ? luaL_tolstring(t->L, 1, NULL) : "";

	if (t->failed)
		print_message("failed: %s\n", text);
	assert_false(t->failed);
	return text;
}

static struct task *global(const char *name)
{
	lua_getglobal(L, name);
	struct task *t =
		lua_islightuserdata(L, -1) ? lua_touserdata(L, -1) : task_check(L, -1);

	lua_pop(L, 1);
	return t;
}

static void goes_through_its_states(void **state)
{
	(void)state;
	struct task *t = spawn("task.sleep(1) return 'x'");

	assert_int_equal(t->state, TASK_READY);
	assert_true(t->queued);
	assert_int_equal(t->refs, 3); /* box, alive, queue */
	scheduler_run(s);
	assert_int_equal(t->state, TASK_PARKED);
	assert_non_null(t->k);
	assert_false(t->queued);
	assert_int_equal(t->refs, 2);
	task_wake(t); /* a wake is a hint: it parks again */
	task_wake(t);
	assert_int_equal(t->refs, 3);
	scheduler_run(s);
	assert_int_equal(t->state, TASK_PARKED);
	clock_advance(&host.clock, clock_next(&host.clock));
	scheduler_run(s);
	assert_int_equal(t->state, TASK_DONE);
	assert_false(t->failed);
	assert_int_equal(t->anchor, LUA_NOREF);
	assert_int_equal(t->refs, 1);
	task_wake(t); /* nothing happens to one that is done */
	assert_true(STAILQ_EMPTY(&s->ready));
}

static void leaves_a_wait_by_deadline_and_cancel(void **state)
{
	(void)state;
	spawn("a = task.spawn(task.sleep, 60) "
	      "b = task.spawn(pcall, task.deadline, 1, a.wait, a) "
	      "c = task.spawn(pcall, a.wait, a) "
	      "task.sleep(2) c:cancel() task.sleep(1) a:cancel()");
	turn();
	turn();
	struct task *a = global("a"), *b = global("b"), *c = global("c");

	assert_ptr_equal(b->waits_for, a);
	assert_ptr_equal(c->waits_for, a);
	assert_false(LIST_EMPTY(&a->waiters));
	while (b->state != TASK_DONE)
		turn();
	assert_ptr_equal(LIST_FIRST(&a->waiters), c);
	while (c->state != TASK_DONE)
		turn();
	assert_true(LIST_EMPTY(&a->waiters));
	while (s->alive > 0)
		turn();
}

static void abandoned_tasks_leave_their_waits(void **state)
{
	(void)state;
	spawn("target = task.spawn(task.sleep, 9) task.sleep(1) abandon(other) "
	      "target:cancel()");
	lua_setglobal(L, "root");
	spawn("task.sleep(0.5) task.deadline(5, function() "
	      "task.spawn(function() target:wait() end) target:wait() end)");
	lua_setglobal(L, "other");
	for (int i = 0; i < 3; i++)
		turn();
	assert_false(LIST_EMPTY(&global("target")->waiters));
	while (s->alive > 0)
		turn();
	assert_true(LIST_EMPTY(&global("target")->waiters));
	assert_int_equal(global("other")->state, TASK_DONE);
}

static void a_wait_that_lua_cannot_yield_is_refused_before_it_begins(void **state)
{
	(void)state;
	assert_string_equal(
		result_of("local a = task.spawn(task.sleep, 1) "
			  "local ok, e = pcall(string.gsub, 'x', 'x', function() "
			  "  coroutine.wrap(function() a:wait() end)() end) "
			  "assert(not ok and e:find('callback of C'), e) "
			  "ok, e = pcall(table.sort, {1, 2}, function() "
			  "  return coroutine.wrap(task.sleep)(1) end) "
			  "assert(not ok and e:find('callback of C'), e) "
			  "assert(timers() == 0, timers()) "
			  "collectgarbage() task.sleep(2) return 'fine'"),
		"fine");
}

static void a_deadline_belongs_to_its_coroutine(void **state)
{
	(void)state;
	/* its task has ended: it can fire nowhere */
	assert_string_equal(
		result_of("task.spawn(function() co = coroutine.create(function() "
			  "  task.deadline(1, coroutine.yield) end) coroutine.resume(co) "
			  "end):wait() assert(timers() == 0) task.sleep(2) "
			  "co = nil collectgarbage() return 'fine'"),
		"fine");
	/* closed: it is over */
	assert_string_equal(
		result_of("local co = coroutine.create(function() "
			  "  task.deadline(1, coroutine.yield) end) "
			  "coroutine.resume(co) coroutine.close(co) task.sleep(2) "
			  "return 'fine'"),
		"fine");
	/* suspended: what the script does meanwhile is not its concern */
	assert_string_equal(
		result_of("local co = coroutine.wrap(function() "
			  "  return kind(task.deadline, 1, function() coroutine.yield() "
			  "    task.sleep(1) end) end) "
			  "co() task.sleep(2) return co()"),
		"timeout");
	/* resumed by another task: raised there */
	assert_string_equal(
		result_of("local co = coroutine.wrap(function() "
			  "  return kind(task.deadline, 3, function() coroutine.yield() "
			  "    task.sleep(60) end) end) "
			  "co() local t = task.spawn(co) task.sleep(20) return t:wait()"),
		"timeout");
}

static void a_deadline_that_is_over_leaves_no_timer(void **state)
{
	(void)state;
	assert_string_equal(result_of("task.deadline(8, task.sleep, 1) "
				      "assert(timers() == 0, timers()) return 'fine'"),
			    "fine");
}

static void every_failure_of_a_child_is_heard_once(void **state)
{
	(void)state;
	/* nobody holds the boxes, and the collector runs in between */
	assert_string_equal(
		result_of("local heard = {} "
			  "for _, name in ipairs{'a', 'b', 'c'} do "
			  "  task.spawn(error, name, 0) end "
			  "for i = 1, 3 do collectgarbage() collectgarbage() "
			  "  heard[i] = kind(task.sleep, 0) end "
			  "task.sleep(1) table.sort(heard) return table.concat(heard)"),
		"abc");
	/* who waits hears it, and then nobody else */
	assert_string_equal(result_of("local t = task.spawn(function() task.sleep(1) "
				      "error('x', 0) end) "
				      "local w = task.spawn(kind, t.wait, t) "
				      "task.sleep(2) return w:wait()"),
			    "x");
	/* who has given up waiting hears nothing: the parent does */
	assert_string_equal(
		result_of("local t = task.spawn(function() task.sleep(2) error('x', 0) "
			  "end) "
			  "assert(kind(task.deadline, 1, t.wait, t) == 'timeout') "
			  "return kind(task.sleep, 60)"),
		"x");
	/* whose wait was broken off by something else in the same moment */
	assert_string_equal(
		result_of("local t = task.spawn(function() task.sleep(1) error('x', 0) "
			  "end) "
			  "local w w = task.spawn(function() "
			  "  task.spawn(function() task.sleep(1) w:cancel() end) "
			  "  return kind(t.wait, t) end) "
			  "local mine = kind(task.sleep, 60) "
			  "return (mine or '') .. (w:wait() or '')"),
		"xinterrupted");
}

static void what_a_parent_knows_is_no_news(void **state)
{
	(void)state;
	assert_string_equal(
		result_of("local t = task.spawn(task.sleep, 60) task.sleep(0) t:cancel() "
			  "task.sleep(9) assert(t:done()) return 'fine'"),
		"fine");
	/* an error of its own, wherever it lies in memory, is */
	assert_string_equal(
		result_of("for i = 1, 50 do "
			  "  task.spawn(function() "
			  "    pcall(task.deadline, 0.1, task.sleep, 1) collectgarbage() "
			  "    error({}) end) "
			  "  assert(kind(task.sleep, 5)) end return 'fine'"),
		"fine");
	assert_string_equal(result_of("task.spawn(task.deadline, 1, task.sleep, 60) "
				      "return kind(task.sleep, 60)"),
			    "timeout");
}

static void a_grace_is_time_alone(void **state)
{
	(void)state;
	/* raised once; five seconds later again, wherever the task is */
	assert_string_equal(
		result_of("n = 0 local t = task.spawn(function() "
			  "  while true do if kind(task.sleep, 1) then n = n + 1 end end "
			  "end) "
			  "task.sleep(0.5) local from = task.now() t:cancel() "
			  "return kind(t.wait, t) .. task.now() - from .. n"),
		"interrupted5.01");
	/* deadlines that come and go within it do not make it longer */
	assert_string_equal(
		result_of(
			"local t = task.spawn(function() "
			"  while true do kind(task.deadline, 1, task.sleep, 2) end end) "
			"task.sleep(0.5) local from = task.now() t:cancel() "
			"return kind(t.wait, t) .. task.now() - from"),
		"interrupted5.0");
	/* who has returned has its children cancelled then */
	assert_string_equal(
		result_of("local t = task.spawn(function() "
			  "  task.spawn(task.sleep, 60) pcall(task.sleep, 1) end) "
			  "task.sleep(0.5) local from = task.now() t:cancel() "
			  "return kind(t.wait, t) .. task.now() - from"),
		"interrupted5.0");
	/* who has left the deadline is free again */
	assert_string_equal(
		result_of("pcall(task.deadline, 1, function() pcall(task.sleep, 2) "
			  "  task.sleep(60) end) task.sleep(60) return 'fine'"),
		"fine");
}

static void an_interruption_reaches_all_but_the_roots(void **state)
{
	(void)state;
	assert_string_equal(result_of("local deep local t = task.spawn(function() "
				      "  deep = task.spawn(kind, task.sleep, 60) return "
				      "kind(task.sleep, 60) "
				      "end) task.sleep(1) interrupt() "
				      "return t:wait() .. deep:wait()"),
			    "interruptedinterrupted");
}

static void a_quiet_wait_is_not_broken_off_and_renews_the_grace(void **state)
{
	(void)state;
	assert_string_equal(
		result_of("local t = task.spawn(function() "
			  "  local child <close> = task.spawn(function() "
			  "    local _ <close> = setmetatable({}, {__close = function() "
			  "      task.sleep(4.5) end}) task.sleep(60) end) "
			  "  local _ <close> = setmetatable({}, {__close = function() "
			  "    child:cancel() task.sleep(4) end}) "
			  "  task.sleep(60) end) "
			  "task.sleep(1) t:cancel() return kind(t.wait, t)"),
		"interrupted");
}

static void a_parent_that_closes_a_failed_child_sleeps_until_it_is_done(void **state)
{
	(void)state;
	assert_string_equal(
		result_of("local p = task.spawn(function() task.spawn(function() "
			  "  pcall(task.sleep, 9) task.sleep(2) end) end) "
			  "task.spawn(task.sleep, 0.1) task.sleep(0) "
			  "local from = task.now() do local _ <close> = p end "
			  "return task.now() - from"),
		"2.0");
}

static void a_task_that_failed_keeps_its_error_for_all(void **state)
{
	(void)state;
	assert_string_equal(
		result_of("local t = task.spawn(error, 'x', 0) local w = {} "
			  "for i = 1, 3 do w[i] = task.spawn(kind, t.wait, t) end "
			  "return kind(t.wait, t) .. w[1]:wait() .. w[2]:wait() .. "
			  "w[3]:wait()"),
		"xxxx");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(goes_through_its_states),
		TEST(leaves_a_wait_by_deadline_and_cancel),
		TEST(abandoned_tasks_leave_their_waits),
		TEST(a_wait_that_lua_cannot_yield_is_refused_before_it_begins),
		TEST(a_deadline_belongs_to_its_coroutine),
		TEST(a_deadline_that_is_over_leaves_no_timer),
		TEST(every_failure_of_a_child_is_heard_once),
		TEST(what_a_parent_knows_is_no_news),
		TEST(a_grace_is_time_alone),
		TEST(an_interruption_reaches_all_but_the_roots),
		TEST(a_quiet_wait_is_not_broken_off_and_renews_the_grace),
		TEST(a_parent_that_closes_a_failed_child_sleeps_until_it_is_done),
		TEST(a_task_that_failed_keeps_its_error_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
