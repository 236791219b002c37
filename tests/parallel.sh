#!/bin/sh
# SPDX-License-Identifier: MIT
#
# parallel.sh JOBS COMMAND PATH... - run COMMAND on each test file, in a process of its own, JOBS at a time. A path is a
# test file, or a folder: then all *_test.lua in it.
#
# What a process prints comes when it has ended; then its file, its seconds, and at the end the sums of all counts.
# Status 1 when one has failed.
set -u
jobs=$1 command=$2
shift 2
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP

# Backwards: year_test, which takes the longest, is among the first then.
for path; do
	if [ -d "$path" ]; then
		printf '%s\n' "$path"/*_test.lua
	else
		printf '%s\n' "$path"
	fi
done | sort -r | xargs -P "$jobs" -I FILE sh -c '
	began=$(date +%s) log=$3/$(basename "$2")
	$1 "$2" >"$log" 2>&1
	status=$?
	[ $status = 0 ] || echo "FAILED: status $status" >>"$log"
	{ cat "$log"; echo "  $2: $(($(date +%s) - began)) s"; } | flock "$3" cat
	[ $status = 0 ]
' sh "$command" FILE "$dir" || status=1
sed -n 's/^lua: //p' "$dir"/* | awk '
	{ passed += $1; failed += $3; broken += $5; skipped += $7 }
	END { printf "lua: %d passed, %d failed, %d broken, %d skipped\n", passed, failed, broken, skipped }'
exit "${status:-0}"
