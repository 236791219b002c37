#!/bin/sh
# SPDX-License-Identifier: MIT
#
# coverage.sh - print the line coverage of each file of src/, from the counts of an instrumented build.
# Usage: coverage.sh FOLDER LEAST [MODULE...]
# FOLDER holds the objects. It gets a .gcov file for each source, in which "#####" marks a line that did
# not run. With MODULEs only these are printed. Status 1 when less than LEAST percent of all lines ran.
# A line that cannot run has a comment that begins with "unreached:" and gives the reason. It is not
# counted; if it did run, that is an error.
set -eu
folder=$1
least=$2
shift 2
if [ $# = 0 ]; then
	for f in $(find src -name '*.c' | sort); do
		m=${f#src/}
		set -- "$@" "${m%.c}"
	done
fi

for m in "$@"; do
	# gcov prints the lines of headers, too: leave them out
	gcov --stdout -o "$folder/$m.o" "src/$m.c" 2>"$folder/gcov.log" | awk -v source="Source:src/$m.c" '
		/:Source:/ { mine = substr($0, length($0) - length(source) + 1) == source }
		mine' >"$folder/$m.c.gcov"
	[ -s "$folder/$m.c.gcov" ] || { echo "coverage.sh: no coverage of src/$m.c" >&2; exit 2; }
	set -- "$@" "$folder/$m.c.gcov"
	shift
done

awk -v least="$least" -F: '
	function row(name, run, all) {
		printf "%-24s %5d of %5d lines  %6.2f %%\n", name, run, all, all ? 100 * run / all : 100
	}
	FNR == 1 {
		if (name)
			row(name, run, all)
		name = FILENAME
		sub(/.*\//, "", name)
		sub(/\.gcov$/, "", name)
		run = all = 0
	}
	$1 ~ /-$/ { next }
	/unreached:/ {
		if ($1 !~ /[#=]/) {
			print name ":" $2 + 0 ": the comment says unreached, but the line did run"
			bad = 1
		}
		next
	}
	{ all++; sum_all++ }
	$1 !~ /[#=]/ { run++; sum_run++ }
	END {
		row(name, run, all)
		row("total", sum_run, sum_all)
		if (!sum_all || 100 * sum_run < least * sum_all) {
			print "coverage.sh: less than " least " %"
			bad = 1
		}
		exit bad
	}' "$@"
