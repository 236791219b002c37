#!/bin/sh
# SPDX-License-Identifier: MIT
#
# versions_check.sh BUILD [DIR] - run tests/real on each version of HAProxy that tests/versions.sh has in
# DIR, and write docs/compatibility.md from the results. `make check-versions` calls it.
#
# Status 1 when a test fails. If a version cannot be had, it says so at the end and does not write the
# page; this is no failure. The longest loops run less often than in check-real: KILL_STEP,
# LOAD_REPETITIONS and LOAD_RELOADS say how often.
set -u
build=${1:?usage: versions_check.sh BUILD [DIR]}
shift
folder=$build/compatibility
rm -rf "$folder"
mkdir -p "$folder" || exit 1

sh tests/versions.sh "$@" >"$folder/programs"
failed=''
while read -r version program; do
	echo "HAProxy $version"
	began=$(date +%s)
	HAPROXY=$program COMPATIBILITY_ANEW=1 BUILD=$build TEST_SECONDS=300 KILL_STEP="${KILL_STEP:-29}" \
		LOAD_REPETITIONS="${LOAD_REPETITIONS:-100}" LOAD_RELOADS="${LOAD_RELOADS:-5}" \
		./haplua tests/lua/run.lua tests/real </dev/null >"$folder/$version.log" 2>&1 ||
		failed="$failed $version"
	cat "$folder/$version.log"
	echo "HAProxy $version: $(($(date +%s) - began)) s"
done <"$folder/programs"

count=$(wc -l <"$folder/programs")
if [ -n "$failed" ]; then
	echo "check-versions: FAILED on HAProxy$failed; docs/compatibility.md is not changed" >&2
	exit 1
elif [ "$count" -lt 4 ]; then
	echo "check-versions: NOT COMPLETE: only $count of 4 versions of HAProxy could be had (see above)." >&2
	echo "check-versions: they come from a Debian mirror and are kept. No test has failed." >&2
	exit 0
fi
"${LUA:-lua5.4}" tests/compatibility.lua make "$folder"
