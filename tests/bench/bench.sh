#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bench.sh BUILD - measure ./haplua against bare C programs; `make bench` calls it.
# BUILD is a folder for what it compiles. The tables go to docs/performance.md, between its
# two marks. HAPROXY names another HAProxy to measure against.
# shellcheck disable=SC2016 # backticks between single quotes are Markdown
set -eu
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
build=${1:?usage: bench.sh BUILD}
haproxy=${HAPROXY:-haproxy}
page=docs/performance.md
dir=$(mktemp -d /tmp/haplua-bench.XXXXXX)

clean()
{
	status=$?
	trap '' INT TERM HUP
	jobs -p >"$dir/jobs"
	while read -r pid; do
		kill "$pid" 2>/dev/null || :
	done <"$dir/jobs"
	wait
	rm -rf "$dir"
	exit "$status"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

for program in bare pairs; do
	"${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -o "$build/$program" "tests/bench/$program.c"
done

# A HAProxy of its own: name $1, with what standard input adds to the configuration.
start_haproxy()
{
	{
		cat <<-END
			global
			    stats socket $dir/$1.sock mode 600 level admin
			defaults
			    mode http
			    timeout connect 5s
			    timeout client 5s
			    timeout server 5s
		END
		cat
	} >"$dir/$1.cfg"
	"$haproxy" -db -f "$dir/$1.cfg" >"$dir/$1.log" 2>&1 &
	pid=$!
	until "$build/bare" "$dir/$1.sock" "show info" 2>/dev/null; do
		kill -0 "$pid" 2>/dev/null || { cat "$dir/$1.log" >&2; exit 1; }
		sleep 0.05
	done
}

# The commands that replace the list $1 by 10,000 patterns, whose names begin with $2, as
# lines for `bare`; each line is what haplua also puts on one.
commands()
{
	echo "prepare acl $1"
	awk -v list="$1" -v name="$2" 'BEGIN {
		for (i = 1; i <= 10000; i++) {
			command = "add acl @0000000 " list " ^/" name "/" i
			if (length(line) + length(command) >= 14900) {
				print line
				line = ""
			}
			line = line (line == "" ? "" : ";") command
		}
		print line
	}'
	echo "commit acl @0000000 $1"
}

table()
{
	printf '\n%s\n\n' "$1"
	echo "| what | median | ratio of medians | median of ratios | peak memory |"
	echo "| --- | ---: | ---: | ---: | ---: |"
	shift
	"$build/pairs" "$@"
}

measure_start()
{
	socat='echo "clear acl #9999" | socat stdio "unix-connect:$1"
		echo "add acl #9999 ^.*\$" | socat stdio "unix-connect:$1"'
	table "Start to exit, ${runs:-50} turns. Bar for \`on\`: 2.0." "${runs:-50}" \
		-- 'bare C: `clear acl #9999;add acl #9999 ^.*$`' \
		"$build/bare" "$sock" 'clear acl #9999;add acl #9999 ^.*$' \
		-- - "$build/bare" "$sock" 'clear acl #9999' \
		-- '`haplua scripts/maint.lua on`' \
		./haplua -s "$sock" scripts/maint.lua on \
		-- 'the same again: nothing to change' \
		./haplua -s "$sock" scripts/maint.lua on \
		-- '`scripts/maint.lua off`' ./haplua -s "$sock" scripts/maint.lua off \
		-- '`scripts/maint.lua status`' ./haplua -s "$sock" scripts/maint.lua status \
		-- 'shell script: `clear`, then `add`, through `socat`' \
		sh -c "$socat" sh "$sock" \
		-- '`haplua -e ""`: start and exit only' ./haplua -e ""
}

measure_replace()
{
	for list in 8001 9999; do
		commands "#$list" bare >"$dir/commands"
		table "\`acl_replace\` with 10,000 patterns, $1 turns, \
$([ $list = 9999 ] && echo 'regular expressions (`-m reg`)' || echo 'strings (`-m str`)'). \
Bar: 1.3." "$1" \
			-- 'bare C: the same commands, no answer looked at' \
			"$build/bare" "$sock" -f "$dir/commands" \
			-- '`haproxy.acl_replace`' \
			./haplua -s "$sock" tests/bench/replace.lua "#$list"
	done
}

measure_servers()
{
	table "\`servers()\` with 20,000 servers, $1 turns. Bar: 1.5." "$1" \
		-- 'bare C: `show servers state` read into nothing' \
		"$build/bare" "$dir/big.sock" "show servers state" \
		-- '`servers()`' ./haplua -s "$dir/big.sock" -e 'assert(#servers() == 20000)'
}

report()
{
	echo "Measured on $(date -u +%F) by \`make bench\`, one run:" \
		"$(nproc) cores of $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)," \
		"$(uname -s) $(uname -r | cut -d. -f1,2)," \
		"$("$haproxy" -v | sed -n '1s/ -.*//p')," \
		"$(./haplua --version | head -n 1), $("${CC:-cc}" --version | head -n 1)."
	echo "Each turn runs every row once, one after the other, as a process of its own;" \
		"a ratio is to the first row."
	measure_start
	measure_replace 15
	measure_servers 15
}

# Put the file $1 between the marks of the page.
publish()
{
	[ -e "$page" ] || printf '# Performance\n\n<!-- bench -->\n<!-- /bench -->\n' >"$page"
	awk -v report="$1" '
		/^<!-- \/bench -->/ { inside = 0 }
		!inside { print }
		/^<!-- bench -->/ {
			inside = 1
			while ((getline line < report) > 0)
				print line
		}' "$page" >"$dir/page"
	cat "$dir/page" >"$page"
}

start_haproxy small <<-END
	frontend frontend-http
	    bind unix@$dir/http.sock
	    acl strings path -u 8001 -m str
	    acl maintenance path -i -u 9999 -m reg
	    use_backend maintenance if maintenance || strings
	backend maintenance
	    server maintenance-nginx 127.0.0.1:1
END
start_haproxy big <<-END
	frontend frontend-http
	    bind unix@$dir/http2.sock
	    default_backend many
	backend many
	    server-template server 1-20000 127.0.0.1:1
END
sock=$dir/small.sock
report | tee "$dir/report"
publish "$dir/report"
