#!/bin/sh
# SPDX-License-Identifier: MIT
#
# oom.sh - run haplua again and again, each time with another allocation failing.
# Usage: BUILD=build HAPLUA=./haplua JOBS=1 tests/oom.sh [STEP]
# Each run must end by itself, not by a signal; with status 0 only if its output is right, and
# otherwise with a message. STEP 7 tries every seventh allocation only. JOBS sweeps run at a time.
set -u

build=${BUILD:-build}
haplua=${HAPLUA:-./haplua}
# HAPLUA_FREE: each object of Lua's is an allocation, which may fail
export HAPLUA_JOURNAL=none HAPLUA_CONFIG=none HAPLUA_FREE=1
step=${1:-1}
dir=$(mktemp -d)
fakes=
trap 'kill $fakes 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP PIPE

# An absolute path: it is preloaded.
oom=$(cd "$(dirname "$build/oom.so")" && pwd)/oom.so
[ -f "$oom" ] || ${CC:-cc} -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -shared -fPIC -o "$oom" tests/oom.c || exit 1

# Each of several jobs is this script with a PART of the sweeps.
jobs=${JOBS:-1}
if [ "$jobs" -gt 1 ] && [ -z "${PART:-}" ]; then
	seq 0 $((jobs - 1)) | xargs -P "$jobs" -I N env PART=N sh "$0" "$step"
	exit
fi
sweeps=0

# Start a fake HAProxy that gives this answer to everything; its socket is $dir/NAME.
fake() {
	: >"$dir/$1.log"
	"$build/fake" "$dir/$1" read "say $2" >"$dir/$1.log" &
	fakes="$fakes $!"
	until grep -q ready "$dir/$1.log"; do sleep 0.01; done
}

bad=0
fault() { # N, what
	bad=$((bad + 1))
	echo "$name: allocation $1: $2"
	sed 's/^/    /' "$dir/err" | head -5
}

# N ARGUMENT...: run with allocation N failing; 0: none.
starved() {
	at=$1
	shift
	timeout -s KILL 20 env LD_PRELOAD="$oom" OOM_AT="$at" OOM_FD=3 "$haplua" "$@" \
		</dev/null >"$dir/out" 2>"$dir/err" 3>"$dir/total"
}

# NAME EXPECTED-OUTPUT ARGUMENT...: fail one allocation after the other.
sweep() {
	name=$1
	right=$2
	shift 2
	sweeps=$((sweeps + 1))
	[ $((sweeps % jobs)) = "${PART:-0}" ] || return 0
	starved 0 "$@"
	[ "$(cat "$dir/out")" = "$right" ] || fault 0 "wrong without a failure: $(cat "$dir/out")"
	read -r total <"$dir/total"
	failed=0
	n=1
	while [ "$n" -le "$total" ]; do
		starved $n "$@"
		status=$?
		if [ $status = 137 ]; then
			fault $n "hangs"
		elif [ $status -ge 128 ]; then
			fault $n "ended with status $status"
		elif [ $status = 0 ] && [ "$(cat "$dir/out")" != "$right" ]; then
			fault $n "false success: $(cat "$dir/out")"
		elif [ $status = 2 ]; then
			fault $n "is taken for a usage error"
		elif [ $status != 0 ] && ! [ -s "$dir/err" ]; then
			fault $n "status $status and no message"
		fi
		[ $status = 0 ] || failed=$((failed + 1))
		n=$((n + step))
	done
	[ $failed -gt 0 ] || fault 0 "none of $total matters"
	echo "oom: $name: $total allocations, $failed runs failed as they should"
}

dump='\nName: HAProxy\nVersion: 2.6.12\n\n'
rows='\n1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n3 app 1 a1 127.0.0.1 2 0 1\n\n'
fake info "$dump"
fake rows "$rows"
fake empty '\n\n\n\n'
fake refused '\n[3]: No such backend.\n\n'

sweep nothing "" -e ''
sweep print "1	x" -e 'print(...)' 1 x
sweep send "$(printf 'Name: HAProxy\nVersion: 2.6.12')" -s "$dir/info" -e 'print(send("show info"))'
sweep info 2.6.12 -s "$dir/info" -e 'print((haproxy.version()))'
sweep servers a1 -s "$dir/rows" -e 'for _, row in ipairs(servers()) do print(row.srv_name) end'
sweep add 3 -s "$dir/empty" -e 'print(acl_add("#1", "a", "b", "c"))'
sweep refused "" -s "$dir/refused" -e 'send("show servers state x")'
sweep unreachable "" -s "$dir/none" -e 'send("show info")'
sweep caught false -s "$dir/none" -e 'print((pcall(send, "show info")))'
sweep tcp "" -s 127.0.0.1:1 -e 'send("show info")'
sweep targets "$(printf '%s: ok\n%s: ok' "$dir/info" "$dir/info")" -s "$dir/info" -s "$dir/info" \
	-e 'send("show info") haproxy.barrier() print("ok")'
sweep tasks "1 2 3" -e '
	local got = task.all({ 1, 2, 3 }, function(n) task.sleep(0.001) return n end)
	print(table.concat(got, " "))'
sweep close "$(printf 'timeout\nclosed\nend')" -e '
	do
	  local _ <close> = setmetatable({}, { __close = function() task.sleep(0) print("closed") end })
	  local ok, err = pcall(task.deadline, 0.001, task.sleep, 60)
	  if err.kind ~= "timeout" then error(err) end
	  print(err.kind)
	end
	local t = task.spawn(function() coroutine.wrap(function() task.sleep(0) end)() return "end" end)
	print(t:wait())'
sweep run "$(printf '3\tout\nerr')" -e '
	local status, out, err = run{ "sh", "-c", "read x; echo $x; echo err >&2; exit 3", stdin = "out\n",
	  stdout = "capture", stderr = "capture", env = { A = "b" } }
	io.write(status, "\t", out, err)'

sweep regex "$(printf 'true\tfalse\nis invalid (error=missing closing parenthesis, erroffset=1)')" -e '
	local regex = require("haplua.regex")
	local r = assert(regex.compile("^(a+)+$", true))
	print(r:matches("aA"), r:matches("ab"))
	print((select(2, regex.compile("("))))'
sweep sqlite 'a	3' -e '
	os.remove(...)
	local db <close> = assert(require("haplua.sqlite").open(...))
	assert(db:script("create table t (a, b)"))
	for i, a in ipairs({ "x", "y", "a" }) do assert(db:run("insert into t values (?, ?)", a, i)) end
	local row = assert(db:run("select a, b from t order by a"))[1]
	print(row.a, row.b)' "$dir/db"
sweep file 'text	true	BUSY' -e '
	local file = require("haplua.file")
	assert(file.replace(..., "old"))
	assert(file.replace(..., "text"))
	local lock <close> = assert(file.lock(... .. ".lock", 1))
	local _, _, code = file.lock(... .. ".lock", 1)
	print(assert(file.read(...)), assert(file.real(...)) == ..., code)' "$dir/file"
: >"$dir/watched"
: >"$dir/watched3"
sweep watch 'opened	created' -e '
	local w <close> = assert(require("haplua.watch").open())
	os.remove(... .. 2)
	assert(w:add(...))
	assert(w:add(... .. 2))
	io.open(...):close()
	os.rename(... .. 3, ... .. 2)
	local events = w:wait(1)
	os.rename(... .. 2, ... .. 3)
	print(events[1].what, events[2].what)' "$dir/watched"

[ $bad = 0 ] || { echo "oom: $bad faults"; exit 1; }
