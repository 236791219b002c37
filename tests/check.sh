#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check.sh FOLDER STEP... - run targets of the Makefile one after the other, also when one has failed; `make check` is this.
# It says at its start how long that takes, and ends with one line: what was counted, the seconds, what failed. FOLDER is
# for built files, and keeps how long the steps took. $MAKE is make. Status 1 when a step has failed, 130 after Ctrl-C.
set -u
folder=$1
shift
began=$(date +%s)
counts=$(mktemp) || exit 1
trap 'rm -f "$counts"' EXIT
trap 'exit 130' INT TERM HUP
export COUNTS="$counts"

# Print seconds as people say them.
about() {
	if [ "$1" -lt 90 ]; then
		echo "$1 seconds"
	else
		echo "$((($1 + 30) / 60)) minutes"
	fi
}

took=$(cat "$folder/check.seconds" 2>/dev/null) || took=
if [ -n "$took" ]; then
	echo "check: $# steps; the last time they took $(about "$took")"
else
	echo "check: $# steps, about 15 minutes on two cores"
fi
number=0 failed=''
for step; do
	number=$((number + 1)) from=$(date +%s)
	echo "== step $number of $#: $step"
	if ${MAKE:-make} --no-print-directory "$step"; then
		echo "== $step: $(about $(($(date +%s) - from)))"
	else
		echo "== $step has FAILED after $(about $(($(date +%s) - from)))"
		failed="$failed, $step"
	fi
done
seconds=$(($(date +%s) - began))
[ -n "$failed" ] || echo "$seconds" >"$folder/check.seconds"
tests=$(awk '{ passed += $1; failed += $3 + $5; skipped += $7 }
	END { printf "%d tests passed, %d failed, %d skipped", passed, failed, skipped }' "$counts")
if [ -n "$failed" ]; then
	echo "check: FAILED: ${failed#, }; $tests, in $(about $seconds)"
	exit 1
fi
echo "check: good: all $# steps; $tests, in $(about $seconds)"
