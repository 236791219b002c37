#!/bin/sh
# SPDX-License-Identifier: MIT
#
# play.sh - play random histories with what they need around them: a folder, fake HAProxys, limits of time.
# Usage: play.sh HAPLUA FAKE FOLDER virtual|runs|real             the player's process, by HISTORY_SEEDS or HISTORY_FILES
#        play.sh HAPLUA FAKE FOLDER alone FILE...                 each file as a script of its own, ended by SIGTERM
# HISTORY_LOG gets what player.lua says; RUNNER stands before haplua; HISTORY_LIMIT is in seconds.
# Status 99: a checker of memory found something. 137: killed, because it did not end.
set -u

haplua=$1 fake=$2 folder=$3 kind=$4
shift 4
here=$(dirname "$0")
export HISTORY_HOME="$here" HISTORY_FOLDER="$folder"
export ASAN_OPTIONS="exitcode=99:${ASAN_OPTIONS:-}" UBSAN_OPTIONS="exitcode=99:print_stacktrace=1:${UBSAN_OPTIONS:-}"
export LSAN_OPTIONS="exitcode=99:report_objects=1:${LSAN_OPTIONS:-}"
export HAPLUA_CONFIG=none HAPLUA_JOURNAL=none

pids=
serve() {
	rm -f "$folder/$1"
	name=$1
	shift
	"$fake" "$folder/$name" "$@" >/dev/null &
	pids="$pids $!"
	while [ ! -S "$folder/$name" ]; do sleep 0.01; done
}

case $kind in
real | alone)
	trap 'kill $pids 2>/dev/null' EXIT
	serve ok read 'say \nName: HAProxy\n\n'
	serve slow read 'wait 5' 'drip 1 \nName: x\n\n'
	serve hold hold
	serve reset reset
	serve cut read 'say \nName'
	;;
esac

case $kind in
virtual) timeout -s KILL "$HISTORY_LIMIT" ${RUNNER:-} "$haplua" test --seconds 80000 "$here/player.lua" ;;
runs) HISTORY_RUNS=1 timeout -s KILL "$HISTORY_LIMIT" ${RUNNER:-} "$haplua" test --seconds 80000 "$here/player.lua" ;;
real) timeout -s KILL "$HISTORY_LIMIT" ${RUNNER:-} "$haplua" -s "$folder/ok" "$here/player.lua" ;;
alone)
	# what finalizers make while Lua closes its state is finalized no more
	export ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0"
	for file; do
		echo "$file" >>"$HISTORY_LOG"
		status=0
		timeout -s TERM -k 30 "0.$(sed -n '1s/.*after 0\.\([0-9]*\) s.*/\1/p' "$file")" \
			${RUNNER:-} "$haplua" -s "$folder/ok" "$file" </dev/null || status=$?
		case $status in
		99 | 132 | 134 | 135 | 136 | 137 | 139) exit $status ;;
		esac
	done
	echo end >>"$HISTORY_LOG"
	;;
esac
