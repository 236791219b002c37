-- SPDX-License-Identifier: MIT
--
--- breaks.lua - the breaks of mutate.lua. Each is one that tests once did not notice, or one of its kind.
-- `old` stands in `file` exactly once, and `new` takes its place; `what` says what is wrong then. `tests` are those that
-- should notice, the fastest first: "test_NAME" of tests/unit, else a file below tests/.

return {

  -- base

  { file = "src/base/buf.c", what = "an overlong UTF-8 sequence is printable",
    old = "first < 0xc2 ||", new = "first < 0xc0 ||", tests = { "test_buf" } },
  { file = "src/base/multiset.c", what = "an entry can be taken more often than it was added",
    old = "	t->texts[slot - 1].left--;\n", new = "", tests = { "test_multiset" } },
  { file = "src/base/err.c", what = "a deadlock is no interruption",
    old = '{HAP_EDEADLOCK, "interrupted",', new = '{HAP_EDEADLOCK, "timeout",', tests = { "test_err", "lua/task_test.lua" } },
  { file = "src/base/typo.c", what = "exchanged neighbours are two edits",
    old = "two_back[k - 2] + 1", new = "two_back[k - 2] + 2", tests = { "test_typo" } },

  -- protocol

  { file = "src/protocol/address.c", what = "port 0",
    old = "if (port == 0 || port > 65535)", new = "if (port > 65535)", tests = { "test_address" } },
  { file = "src/protocol/command.c", what = "a double quote is sent as it is",
    old = "['\"'] = true,", new = "", tests = { "test_command" } },
  { file = "src/protocol/command.c", what = "an escaped blank ends a word",
    old = "i += text.p[i] == '\\\\' ? 2 : 1;", new = "i++;", tests = { "test_command" } },
  { file = "src/protocol/frame.c", what = "an empty line over two pieces of an answer is missed",
    old = "f->seen > 0 ? f->seen - 1 : 0", new = "f->seen", tests = { "test_frame" } },
  { file = "src/protocol/grammar.c", what = "`set map` counts as a command that only reads",
    old = '{"set map", LIST, REPLY_EMPTY, C, NULL, NULL},', new = '{"set map", LIST, REPLY_EMPTY, 0, NULL, NULL},',
    tests = { "test_grammar", "test_permit", "lua/security_test.lua" } },
  { file = "src/protocol/permit.c", what = "--only '#4' lets `disable server #4/o1` through",
    old = "if (!slash && is_number(backend))\n		out->kinds = PERMIT_LIST;",
    new = "if (!slash && is_number(backend))\n		out->kinds = PERMIT_LIST | PERMIT_BACKEND;",
    tests = { "test_permit", "test_only" } },
  { file = "src/protocol/reply_rows.c", what = "the least integer is read wrongly",
    old = "(uint64_t)INT64_MAX + negative", new = "(uint64_t)INT64_MAX", tests = { "test_reply_rows" } },

  -- os

  { file = "src/os/clock.c", what = "timers fire up to a millisecond early",
    old = "wait / MILLISECOND + (wait % MILLISECOND != 0)", new = "wait / MILLISECOND", tests = { "test_clock" } },
  { file = "src/os/clock.c", what = "a timer that goes leaves the heap out of order",
    old = "	if (i > 0 && c->heap[(i - 1) / 2]->at > last->at)\n		sift_up(c, i, last);\n	else\n",
    new = "", tests = { "test_clock" } },
  { file = "src/os/child.c", what = "a child that nobody waits for stays a zombie",
    old = "	child_kill(c, SIGKILL);\n	unref(c);", new = "	if (!c->exited)\n		uv_close((uv_handle_t *)&c->process, on_closed);\n	unref(c);",
    tests = { "test_child", "lua/run_test.lua" } },
  { file = "src/os/file.c", what = "a file that a foreign group may write counts as ours",
    old = "if (!(st.st_mode & S_IWGRP))", new = "if (st.st_mode)", tests = { "test_file", "lua/script_test.lua" } },
  { file = "src/os/file_replace.c", what = "the mode of a replaced file is lost",
    old = "r->existed ? r->before.st_mode & 07777 : mode", new = "mode", tests = { "lua/file_test.lua" } },
  { file = "src/os/signals.c", what = "a handler does not restore errno",
    old = "	handle(signo, info);\n	errno = saved;", new = "	handle(signo, info);\n	(void)saved;",
    tests = { "test_signals", "lua/task_test.lua" } },
  { file = "src/os/watch.c", what = "what happens twice is told twice",
    old = "	if (i < w->n_events) {\n", new = "	if (i < w->n_events && what == WATCH_LOST) {\n", tests = { "lua/watch_test.lua" } },

  -- sched

  { file = "src/sched/scheduler.c", what = "a task that fails does not cancel its children",
    old = "	t->failed = true;\n	cancel_children(t);", new = "	t->failed = true;", tests = { "test_task", "lua/task_test.lua" } },
  { file = "src/sched/task.c", what = "nobody hears of a failure whose waiter gave up",
    old = "	if (ended->failed && !ended->heard && !ended->waiters && ended->parent)\n		task_wake(ended->parent);\n",
    new = "", tests = { "test_task", "lua/task_test.lua" } },
  { file = "src/sched/coroutine.c", what = "a deadline of a coroutine that yielded ends its task's waits",
    old = "		deadline_suspend(co, t);\n", new = "", tests = { "test_task", "lua/task_test.lua" } },
  { file = "src/sched/cancel.c", what = "a signal reaches no child of a task",
    old = "	for (struct task *child = t->children; child; child = child->next)\n		mark(child, rc);\n", new = "",
    tests = { "test_task", "lua/task_test.lua" } },
  { file = "src/sched/cancel.c", what = "the grace after an interruption does not end",
    old = "	if (t->active_error && has_expired(t, t->active_grace_end))\n		return t->active_error;\n", new = "",
    tests = { "test_task", "lua/task_test.lua" } },

  -- net

  { file = "src/net/target.h", what = "64 connections at once instead of 4",
    old = "#define TARGET_CONNECTIONS_MAX 4\n", new = "#define TARGET_CONNECTIONS_MAX 64\n",
    tests = { "test_request", "lua/limits_test.lua", "lua/pipeline_test.lua" } },
  { file = "src/net/request.c", what = "nothing ensures that a command is written in one piece",
    old = "rc = single_write_prepare(c->fd, local, buf_span(&r->out));", new = "rc = local ? 0 : 0;",
    tests = { "test_request", "lua/limits_test.lua", "real/writes_test.lua", "real/tcp_test.lua" } },
  { file = "src/net/request.c", what = "a change is sent again after a reset",
    old = "if (!r->repeatable || rc", new = "if (rc", tests = { "test_request", "lua/doubt_test.lua", "lua/haproxy_test.lua" } },
  { file = "src/net/request.c", what = "the master is not told that a request is over",
    old = "	if (r->target->route[0])\n		shutdown(r->connection.fd, SHUT_WR);\n", new = "",
    tests = { "test_request", "lua/haproxy_test.lua", "real/master_test.lua" } },
  { file = "src/net/connect.c", what = "a socket that is away for a moment is an error",
    old = "#define MISSING_SECONDS 0.05", new = "#define MISSING_SECONDS 0.0",
    tests = { "test_connect", "lua/haproxy_test.lua", "real/reload_test.lua" } },
  { file = "src/net/pipeline.c", what = "changes go out side by side",
    old = "p->changes ? 1 : PIPELINE_WINDOW", new = "PIPELINE_WINDOW", tests = { "test_pipeline", "lua/pipeline_test.lua" } },
  { file = "src/net/pipeline.c", what = "a refusal leaves doubt",
    old = "return rc != HAP_EREFUSED && rc", new = "return rc", tests = { "test_pipeline", "lua/doubt_test.lua" } },

  -- bindings, run

  { file = "src/bindings/haproxy/call.c", what = "after a refusal the rest of a batch is sent",
    old = "		pipeline_stop(&c->pipeline);\n", new = "", tests = { "lua/pipeline_test.lua", "lua/haproxy_test.lua" } },
  { file = "src/bindings/system/process.c", what = "a zombie counts as alive",
    old = "there && state != 'Z' && state != 'X'", new = "there", tests = { "lua/process_test.lua" } },
  { file = "src/bindings/system/sqlite.c", what = "a statement uses a database that a finalizer has closed",
    old = "	while (d->db && rc == SQLITE_OK && (rc", new = "	while (rc == SQLITE_OK && (rc", tests = { "lua/sqlite_test.lua" } },
  { file = "src/run/policy.c", what = "a dry run that held changes back has status 0",
    old = "		run->status = EXIT_WOULD_CHANGE;\n", new = "		run->status = EXIT_DONE;\n",
    tests = { "lua/script_test.lua", "lua/haproxy_test.lua" } },
  { file = "src/run/globals.c", what = "modules of the current folder are found",
    old = '	cut_path(L, "path", ";./?.lua;./?/init.lua");\n', new = "", tests = { "lua/script_test.lua", "lua/security_test.lua" } },

  -- lua: HAProxy's lists and servers

  { file = "lua/haplua/haproxy/list.lua", what = "a version that was filled wrongly is committed",
    old = "if not reply.same(filled, wanted.keys, wanted.values) then", new = "if false then",
    tests = { "lua/haproxy_test.lua", "lua/doubt_test.lua" } },
  { file = "lua/haplua/haproxy/list.lua", what = "a version in doubt is cleared after its commit",
    old = "if not committing or is_refused(problem) then", new = "if true then", tests = { "lua/haproxy_test.lua", "lua/doubt_test.lua" } },
  { file = "lua/haplua/haproxy/list_file.lua", what = "the comments at the top of a list's file are lost",
    old = "head(text) .. table", new = "head(nil) .. table", tests = { "lua/listfile_test.lua" } },
  { file = "lua/haplua/haproxy/server.lua", what = "server_set() does not read the port back",
    old = '{ "admin", "srv_uweight", "srv_addr", "srv_port" }', new = '{ "admin", "srv_uweight", "srv_addr" }',
    tests = { "lua/server_test.lua", "lua/haproxy_test.lua" } },
  { file = "lua/haplua/haproxy/switch.lua", what = "the lists of a switch change in one order, on and off",
    old = "#wanted.patterns > 0 and first or last", new = "first", tests = { "lua/maintenance_test.lua", "real/page_test.lua" } },
  { file = "lua/haplua/haproxy/switch.lua", what = "what failed half-way is not undone",
    old = "    roll_back(undo, problem)\n", new = "", tests = { "lua/maintenance_test.lua", "real/page_test.lua", "real/maintenance_test.lua" } },
  { file = "lua/haplua/server.lua", what = "a drain ignores the queue",
    old = "row.scur + (row.qcur or 0) == 0", new = "row.scur == 0",
    tests = { "lua/server_test.lua", "real/server_policies_test.lua" } },

  -- lua: maintenance, journal, keeper, windows

  { file = "lua/haplua/apply/during.lua", what = "during() undoes what somebody else has done meanwhile",
    old = "if is_ours(result, state, wanted) then", new = "if true then",
    tests = { "lua/maintenance_test.lua", "real/maintenance_test.lua" } },
  { file = "lua/haplua/apply/plan.lua", what = "an end that nobody would bring about is accepted",
    old = "elseif not c.journal:kept(c.name) then", new = "elseif false then",
    tests = { "lua/maintenance_test.lua", "real/maintenance_test.lua", "real/keep_test.lua" } },
  { file = "lua/haplua/store/config.lua", what = "a missing /etc/haplua/config.lua is an error",
    old = "if not chosen and code == 2 then", new = "if false then", tests = { "lua/config_test.lua", "real/setup_test.lua" } },
  { file = "lua/haplua/store/journal.lua", what = "who waits for a lock gives up at once",
    old = "local latest = task.now() + (timeout or 10)\n", new = "local latest = task.now() - 1 - (timeout or 10)\n",
    tests = { "lua/journal_test.lua" } },
  { file = "lua/haplua/store/journal.lua", what = "an error does not roll a transaction back",
    old = '        self.db:run("ROLLBACK")\n', new = "", tests = { "lua/journal_test.lua" } },
  { file = "lua/haplua/keep/keeper.lua", what = "a maintenance is taken from the process that ends it itself",
    old = "return process.alive(wanted.pid) and", new = "return false and",
    tests = { "lua/maintenance_test.lua", "real/keep_test.lua" } },
  { file = "lua/haplua/keep/keeper.lua", what = "the keeper does not end what is over",
    old = "    expire(c, state, wanted)\n", new = "", tests = { "lua/year_test.lua", "real/keep_test.lua" } },
  { file = "lua/haplua/keep/window_run.lua", what = "a window that was ended early is entered again",
    old = 'return "was ended early"', new = "return nil", tests = { "lua/year_test.lua", "real/window_test.lua" } },

  -- lua: time, command line

  { file = "lua/haplua/time/civil.lua", what = "2000 was no leap year",
    old = "(year % 100 ~= 0 or year % 400 == 0)", new = "year % 100 ~= 0", tests = { "lua/zone_test.lua", "lua/window_test.lua" } },
  { file = "lua/haplua/time/posix_tz.lua", what = "the fifth Sunday of a month is not its last",
    old = "rule.week < 5 and rule.week or -1", new = "rule.week", tests = { "lua/zone_test.lua" } },
  { file = "lua/haplua/time/reader.lua", what = "30m30m is an hour",
    old = "elseif units[unit] >= before then", new = "elseif units[unit] > before then",
    tests = { "lua/instant_test.lua", "lua/window_test.lua" } },
  { file = "lua/haplua/time/zone.lua", what = "a time that the clocks jump over is not moved to the end of the gap",
    old = "return i > 0 and instant < at[i] and at[i] or instant", new = "return instant",
    tests = { "lua/zone_test.lua", "lua/window_test.lua" } },
  { file = "lua/haplua/ical/recurrence.lua", what = "COUNT lets one time too many through",
    old = "last = first + rule.count - n - 1", new = "last = first + rule.count - n", tests = { "lua/window_test.lua", "lua/calendar_test.lua" } },
  { file = "lua/haplua/base/options.lua", what = "a list with a hole is a list",
    old = "    return n == #value\n", new = "    return true\n", tests = { "lua/options_test.lua", "lua/arguments_test.lua" } },
}
