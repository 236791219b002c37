#!/bin/sh
# SPDX-License-Identifier: MIT
#
# parallel.sh JOBS COMMAND PATH... - run COMMAND on each test, in a process of its own, JOBS at a time. A path is a test file,
# a test program, or a folder: then all *_test.lua in it. COMMAND may be empty, for programs.
#
# When a process has ended, it prints which of how many it was, its tests and its seconds; before that, all of its output
# if it failed, and what was skipped if it did not. On a terminal a line at the bottom says how far it has come, and the
# lines of files without a failure are left out. At the end it prints the sums of all counts, or of C programs; it adds them
# to the file $COUNTS if that is set. Status 1 when one has failed.
set -u
jobs=$1 command=$2
shift 2
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP
mkdir "$dir/logs"

# Backwards: year_test, which takes the longest, is among the first then.
for path; do
	if [ -d "$path" ]; then
		printf '%s\n' "$path"/*_test.lua
	else
		printf '%s\n' "$path"
	fi
done | sort -r >"$dir/files"
of=$(wc -l <"$dir/files")
[ ! -t 1 ] || terminal=1

# The counts of logs, in one line: "12 passed, 1 failed, 0 broken, 0 skipped".
cat >"$dir/count.awk" <<'AWK'
/^lua: [0-9]+ passed,/ { passed += $2; failed += $4; broken += $6; skipped += $8 }
/^\[  PASSED  \]/ { passed += $4 }
/^\[  FAILED  \] [0-9]+ test/ { failed += $4 }
/^\[  SKIPPED \] [0-9]+ test/ { skipped += $4 }
END { printf "%d passed, %d failed, %d broken, %d skipped\n", passed, failed, broken, skipped }
AWK

# one FILE: run it, and report under a lock, so that reports are whole and numbered.
cat >"$dir/one" <<'END'
dir=$1 command=$2 of=$3 terminal=$4 file=$5
log=$dir/logs/$(echo "$file" | tr / _) began=$(date +%s)
case $file in */*) ;; *) file=./$file ;; esac
[ -z "$terminal" ] || flock "$dir" printf '\r\033[K%s of %s done, now %.60s\r' "$(wc -l <"$dir/done")" "$of" "$file"
$command "$file" >"$log" 2>&1
status=$?
[ $status = 0 ] || echo "FAILED: $file: status $status" >>"$log"
exec 9<"$dir"
flock 9
echo "$file" >>"$dir/done"
[ -z "$terminal" ] || printf '\r\033[K'
if [ $status != 0 ]; then
	cat "$log"
	echo "$file" >>"$dir/failed"
else
	grep -v -e '^lua: [0-9]* passed' -e '^\[[ =A-Z-]*\]' "$log"
fi
counts=$(awk -f "$dir/count.awk" "$log" | sed 's/, 0 [a-z]*//g')
line=$(printf '[%d/%d] %s: %s, %d s' "$(wc -l <"$dir/done")" "$of" "$file" "$counts" $(($(date +%s) - began)))
if [ -z "$terminal" ]; then
	printf '%s\n' "$line"
else
	printf '%.78s\r' "$line"
fi
exit "$status"
END
: >"$dir/done"

xargs -P "$jobs" -I FILE sh "$dir/one" "$dir" "$command" "$of" "${terminal-}" FILE <"$dir/files" || status=1
[ -z "${terminal-}" ] || printf '\r\033[K'
counts=$(cat "$dir"/logs/* | awk -f "$dir/count.awk")
[ -z "${COUNTS-}" ] || echo "$counts" >>"$COUNTS"
[ ! -e "$dir/failed" ] || sort "$dir/failed" | sed 's/^/FAILED: /'
case $command in
*run.lua*) echo "lua: $counts" ;;
*) echo "unit: $counts" ;;
esac
exit "${status:-0}"
