#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bench.sh BUILD [keep|growth|fleet] - compare the times of ./haplua with those of small C programs, a shell
# script with socat, Python, and what is installed of these: Python's library haproxyadmin, lua5.4 with
# luasocket. With `keep`, measure the resident policy; with `growth`, how time and memory grow with the
# length of lists; with `fleet`, fleets on etcd. `make bench`, `bench-keep`, `bench-growth` and `bench-fleet` call it.
# It compiles into the folder BUILD. It writes the tables into docs/performance.md, each between two
# marks, and the picture beside that page. HAPROXY names another HAProxy, PYTHON another Python. The
# short rows run runs=50 times, the others in proportion.
# shellcheck disable=SC2016 # backticks between single quotes are Markdown
set -eu
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
build=${1:?usage: bench.sh BUILD [keep]}
haproxy=${HAPROXY:-haproxy}
python=${PYTHON:-/usr/bin/python3}
runs=${runs:-50}
page=docs/performance.md
# shellcheck source=tests/processes.sh
. tests/processes.sh
make_folder bench
# the policies write only there
export HAPLUA_CONFIG="$dir/config.lua" HAPLUA_JOURNAL="$dir/journal.db"
echo 'return {}' >"$HAPLUA_CONFIG"

for program in bare fleet leak pairs; do
	"${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -o "$build/$program" "tests/bench/$program.c"
done

# Start a HAProxy with the name $1. $2 is a line of the section global; standard input is the end of the
# configuration.
start_haproxy()
{
	{
		cat <<-END
			global
			    stats socket $dir/$1.sock mode 600 level admin
			    ${2:-}
			defaults
			    mode http
			    timeout connect 5s
			    timeout client 5s
			    timeout server 5s
		END
		cat
	} >"$dir/$1.cfg"
	"$haproxy" -db -f "$dir/$1.cfg" >"$dir/$1.log" 2>&1 &
	echo $! >"$dir/$1.pid"
}

await_haproxy()
{
	until "$build/bare" "$dir/$1.sock" "show info" 2>/dev/null; do
		kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null || { cat "$dir/$1.log" >&2; exit 1; }
		sleep 0.05
	done
}

# Print $1 percent of $runs, at least 3.
turns()
{
	echo $((runs * $1 / 100 > 3 ? runs * $1 / 100 : 3))
}

# Print the commands that replace the list $2 of the kind $1 by the lines of the file $3, as lines for
# `bare`. They are as long as haplua's lines.
commands()
{
	echo "prepare $1 $2"
	awk -v kind="$1" -v list="$2" '{
			command = "add " kind " @0000000 " list " " $0
			if (length(line) + length(command) >= 14900) {
				print line
				line = ""
			}
			line = line (line == "" ? "" : ";") command
		}
		END { print line }' "$3"
	echo "commit $1 @0000000 $2"
}

# Write $2 entries of a list of the kind $1 into a file, and print its name. $3 is a part of each entry.
entries()
{
	awk -v kind="$1" -v count="$2" -v part="$3" 'BEGIN {
		for (i = 1; i <= count; i++)
			print "^/" part "/" i (kind == "map" ? " backend" i : "")
	}' >"$dir/$1-$2-$3"
	echo "$dir/$1-$2-$3"
}

# Print a table: $1 turns, the title $2, the bar $3, the name $4 in the picture (empty: not in the
# picture), then the words for `pairs`. Print the title to standard error, too.
table()
{
	n=$1
	echo "$2" >&2
	printf '\n%s, %s turns.%s\n\n' "$2" "$n" "${3:+ Bar: $3.}"
	[ -z "$4" ] || printf '<!-- plot: %s -->\n\n' "$4"
	shift 4
	echo "| what | median | ratio of medians | median of ratios | peak memory |"
	echo "| --- | ---: | ---: | ---: | ---: |"
	"$build/pairs" "$n" "$@"
}

# Shell scripts; the first one is for each of the sockets $@.
socat_switch='for s; do
	echo "clear acl #9999" | socat stdio "unix-connect:$s"
	echo "add acl #9999 ^.*\$" | socat stdio "unix-connect:$s"
done'
socat_replace='{
	echo "prompt"
	echo "clear acl $2"
	awk -v list="$2" -v n="$3" "BEGIN { for (; i < n; i++) print \"add acl \" list \" ^/socat/\" i }"
	echo "quit"
} | socat stdio "unix-connect:$1"'
socat_servers='echo "show servers state" | socat stdio "unix-connect:$1" |
	awk "NR > 2 && NF > 5 { state[\$2 \"/\" \$4] = \$7; n++ } END { exit n < 1000 }"'

# Print a table with a last row for haproxyadmin: $1 is the row's label, $2 the words for its client. The
# other arguments are those of `table`.
table_with_haproxyadmin()
{
	does=$1 words=$2
	shift 2
	# shellcheck disable=SC2086 # a list
	! "$python" -c 'import haproxyadmin' 2>/dev/null ||
		set -- "$@" -- "haproxyadmin: $does" "$python" tests/bench/haproxyadmin_client.py $words
	table "$@"
}

measure_start()
{
	set -- -- 'bare C: `clear acl #9999;add acl #9999 ^.*$`' \
		"$build/bare" "$sock" 'clear acl #9999;add acl #9999 ^.*$' \
		-- - "$build/bare" "$sock" 'clear acl #9999'
	set -- "$@" -- 'haplua: `maint on --no-journal`' ./haplua -s "$sock" scripts/maint.lua on $quiet \
		-- - "$build/bare" "$sock" 'clear acl #9999' \
		-- '`maint on`, with the journal' ./haplua -s "$sock" scripts/maint.lua on
	! "${LUA:-lua5.4}" -e 'require("socket.unix")' 2>/dev/null ||
		set -- "$@" -- - "$build/bare" "$sock" 'clear acl #9999' \
			-- 'lua5.4 with luasocket: looks, adds and proves' \
			"${LUA:-lua5.4}" tests/bench/luasocket_client.lua "$sock"
	table_with_haproxyadmin '`clear_acl`, then `add_acl`' "switch $sock" \
		"$runs" "Start to exit" "2.0 for \`on\`; with the journal 4.0, and half of socat" \
		"1 HAProxy switched" "$@" \
		-- 'the same again: nothing to change' ./haplua -s "$sock" scripts/maint.lua on $quiet \
		-- '`maint off`' ./haplua -s "$sock" scripts/maint.lua off $quiet \
		-- '`maint status`' ./haplua -s "$sock" scripts/maint.lua status \
		-- 'socat: `clear`, then `add`, from a shell script' sh -c "$socat_switch" sh "$sock" \
		-- 'Python: `clear`, then `add`' "$python" tests/bench/client.py switch "$sock"
	table "$runs" "Start and exit alone" "" "" -- '`true`' true \
		-- '`haplua -e ""`' ./haplua -e '' \
		-- '`lua5.4 -e ""`' "${LUA:-lua5.4}" -e '' \
		-- "\`$(basename "$python") -c ''\`" "$python" -c ''
}

# Measure in $1 turns how the ACL $2, of the kind $3, gets $4 patterns. $5 is that number for the title,
# $6 the name in the picture.
measure_replace()
{
	commands acl "$2" "$(entries acl "$4" bare)" >"$dir/commands"
	table "$1" "\`acl_replace\` with $5 patterns, $3" 1.3 "$6" \
		-- 'bare C: prepare, add, commit; no answer looked at' \
		"$build/bare" "$sock" -f "$dir/commands" \
		-- 'haplua: `haproxy.acl_replace`' \
		./haplua -s "$sock" tests/bench/replace.lua acl "$2" "$(entries acl "$4" haplua)" \
		-- 'socat: `clear`, then `add` by `add`, not in one step' \
		sh -c "$socat_replace" sh "$sock" "$2" "$4" \
		-- 'Python: prepare, add, commit' "$python" tests/bench/client.py replace "$sock" "$2" "$4"
	rm "$dir/acl-$4"-*
}

# Measure in $1 turns how a map gets $2 entries. $3 is that number for the title.
measure_map()
{
	commands map "$dir/small.map" "$(entries map "$2" bare)" >"$dir/commands"
	table "$1" "\`map_replace\` with $3 entries" "" "" \
		-- 'bare C: prepare, add, commit, as commands; no answer looked at' \
		"$build/bare" "$sock" -f "$dir/commands" \
		-- 'haplua: `haproxy.map_replace`' ./haplua -s "$sock" tests/bench/replace.lua map \
		"$dir/small.map" "$(entries map "$2" haplua)"
	"$build/bare" "$sock" "clear map $dir/small.map"
	rm "$dir/map-$2"-*
}

measure_stat()
{
	socket=$dir/servers20000.sock
	table "$1" '`stat()` with 20,000 servers' "a quarter of Python's csv" "" \
		-- 'bare C: `show stat` read into nothing' "$build/bare" "$socket" "show stat" \
		-- 'haplua: `stat()`' ./haplua -s "$socket" -e "assert(#haproxy.stat() > 20000)" \
		-- 'haplua: two fields of each row' ./haplua -s "$socket" -e '
			local n = 0
			for _, row in ipairs(haproxy.stat()) do
				n = n + (row.svname and row.status and 1 or 0)
			end
			assert(n > 20000)' \
		-- "Python's csv: a dictionary for each" "$python" tests/bench/client.py stat "$socket"
}

# Measure in $1 turns `sessions()` while a HAProxy has $2 sessions, $3 in the title. Each takes two
# descriptors: where there are too few, nothing is measured.
measure_sessions()
{
	[ "$(ulimit -n)" -ge $(($2 * 2 + 500)) ] || return 0
	start_haproxy held "maxconn $(($2 + 100))" <<-END
		listen held
		    mode tcp
		    bind unix@$dir/held-http.sock
		    tcp-request inspect-delay 1h
		    tcp-request content accept if { req.len gt 100 }
		    server none 127.0.0.1:1
	END
	await_haproxy held
	"$python" tests/bench/client.py hold "$dir/held-http.sock" "$2" >"$dir/holding" &
	echo $! >"$dir/holding.pid"
	until grep -q ready "$dir/holding"; do
		kill -0 "$(cat "$dir/holding.pid")"
		sleep 0.05
	done
	table "$1" "\`sessions()\` with $3 sessions" 2.0 "" \
		-- 'bare C: `show sess` read into nothing' "$build/bare" "$dir/held.sock" "show sess" \
		-- 'haplua: `sessions()`' ./haplua -s "$dir/held.sock" -e "assert(#haproxy.sessions() >= $2)"
	kill "$(cat "$dir/holding.pid")"
}

# Measure commands that read the journal, with ten changes and with a million.
measure_log()
{
	for _ in 1 2 3 4 5; do
		for word in on off; do
			./haplua -s "$sock" scripts/maint.lua --journal "$dir/log-10.db" $word >/dev/null
		done
	done
	./haplua tests/bench/grow.lua "$dir/log-10.db" "$dir/log-1000000.db" 1000000
	set --
	for word in log doctor; do
		for n in 10 1000000; do
			set -- "$@" -- "haplua: \`maint $word\`, $n changes" \
				sh -c './haplua "$@" || [ $? = 1 ]' sh -s "$sock" scripts/maint.lua \
				--journal "$dir/log-$n.db" $word
		done
	done
	table "$runs" "A long journal" "as with ten" "" "$@"
	rm "$dir"/log-*
}

measure_test()
{
	table "$(turns 6)" '`haplua test`, 1,000 tests of `maint on`' "0.7 s" "" \
		-- 'haplua: without a journal' ./haplua test tests/bench/many_test.lua --name 'without a' \
		-- 'haplua: each with a journal' ./haplua test tests/bench/many_test.lua --name 'with a'
}

# Measure `maint on` for the switch $1 of `few`, which has no maintenance, and for $2 of `many`, which has 1,000.
# $3 says which list it is.
measure_many()
{
	few="./haplua -s $dir/few.sock scripts/maint.lua --acl $1"
	many="./haplua -s $dir/many.sock scripts/maint.lua --acl $2"
	./haplua -s "$dir/many.sock" tests/bench/many.lua "$2" 1000
	# shellcheck disable=SC2086 # lists
	table "$runs" "\`maint on\` beside other maintenances, $3" 2.0 "" \
		-- 'beside none' $few on --path /new \
		-- - $few off --path /new \
		-- 'beside 1,000' $many on --path /new \
		-- - $many off --path /new
}

measure_servers()
{
	table_with_haproxyadmin '`servers()`, and their names' "servers $dir/servers$2.sock" \
		"$1" "\`servers()\` with $3 servers" 1.5 "$3 servers read" \
		-- 'bare C: `show servers state` read into nothing' \
		"$build/bare" "$dir/servers$2.sock" "show servers state" \
		-- 'haplua: `servers()`' \
		./haplua -s "$dir/servers$2.sock" -e "assert(#servers() == $2)" \
		-- 'socat: into a table of awk' sh -c "$socat_servers" sh "$dir/servers$2.sock" \
		-- 'Python: a dictionary for each' "$python" tests/bench/client.py servers "$dir/servers$2.sock"
}

# Measure in $1 turns how $2 HAProxy processes are switched.
measure_fleet()
{
	sockets='' options=''
	for i in $(seq "$2"); do
		sockets="$sockets $dir/fleet$i.sock"
		options="$options -s $dir/fleet$i.sock"
	done
	one=$dir/fleet1.sock
	off='clear acl #9999'
	# shellcheck disable=SC2086 # lists
	table_with_haproxyadmin '`clear_acl`, then `add_acl`, one after the other' "switch $sockets" \
		"$1" "$2 HAProxy processes on this machine" "3.0 times one" "$2 HAProxys switched" \
		-- - "$build/fleet" "$off" + $sockets \
		-- 'bare C: all at once, the messages of `maint on`: look, prepare, fill, commit' \
		"$build/fleet" 'show info;show acl;show acl #9999;get acl #9999 /' 'prepare acl #9999' \
		'add acl @0000000 #9999 ^.*$;show acl @0000000 #9999' \
		'commit acl @0000000 #9999;show acl;get acl #9999 /' + $sockets \
		-- - "$build/fleet" "$off" + $sockets \
		-- 'the same, `clear acl #9999;add acl #9999 ^.*$` alone' \
		"$build/fleet" 'clear acl #9999;add acl #9999 ^.*$' + $sockets \
		-- - "$build/fleet" "$off" + $sockets \
		-- "haplua: \`maint on $quiet\` for all" ./haplua $options scripts/maint.lua on $quiet \
		-- - "$build/fleet" "$off" + $sockets \
		-- 'the same for one of them' ./haplua -s "$one" scripts/maint.lua on $quiet \
		-- - "$build/fleet" "$off" + $sockets \
		-- "the same for all, with the journal" ./haplua $options scripts/maint.lua on \
		-- 'socat: `clear`, then `add`, one after the other' sh -c "$socat_switch" sh $sockets \
		-- 'Python: `clear`, then `add`, one after the other' \
		"$python" tests/bench/client.py switch $sockets
	: >"$dir/spread"
	# shellcheck disable=SC2086
	for _ in $(seq "$1"); do
		"$build/fleet" "$off" + $sockets
		./haplua $options tests/bench/spread.lua "$dir/spread" scripts/maint.lua on $quiet >/dev/null
	done
	sort -n -k 2 "$dir/spread" | awk -v n="$2" '
		{ spread[NR] = $2; prepared += $1 }
		END {
			printf "\nThe %d were switched within %.1f ms of one another at most (the median; in the " \
				"worst of %d turns %.1f ms), after %.0f ms of preparation: no sooner than the first " \
				"changing command was sent, and no later than the last was answered. Bar: 20 ms.\n",
				n, spread[int((NR + 1) / 2)], NR, spread[NR], prepared / NR
		}'
}

# Measure a `keep` that has nothing to do for $1 seconds, with 100 switches that each have a maintenance. The kernel
# counts its nanoseconds on a processor.
measure_keep()
{
	seconds=$1 config=$dir/switches.lua acls='' switches=''
	set -- --config "$config" --journal "$dir/switches.db"
	for i in $(seq 100); do
		acls="$acls
		    acl switch$i path -u $((7000 + i)) -m reg"
		switches="$switches switch$i = { acl = '#$((7000 + i))' },"
	done
	echo "return { switches = {$switches } }" >"$config"
	start_haproxy switches <<-END
		frontend frontend-http
		    bind unix@$dir/switches-http.sock
		    $acls
	END
	await_haproxy switches
	for i in $(seq 100); do
		./haplua -s "$dir/switches.sock" scripts/maint.lua "$@" --switch "switch$i" on
	done >/dev/null
	./haplua -s "$dir/switches.sock" scripts/keep.lua "$@" >"$dir/kept" &
	pid=$!
	sleep 12
	before=$(cut -d ' ' -f 1 "/proc/$pid/schedstat")
	sleep "$seconds"
	awk -v before="$before" -v seconds="$seconds" '
		FILENAME ~ /schedstat/ { used = $1 - before }
		/^VmRSS/ { kilobytes = $2 }
		END {
			printf "\n`keep` with 100 switches that has nothing to do: %.3f %% of a core over %d s, %.1f MB " \
				"resident. Bar: 0.1 %%, 6 MB.\n", used / seconds / 1e7, seconds, kilobytes / 1024
		}' "/proc/$pid/schedstat" "/proc/$pid/status"
	kill "$pid"
	wait "$pid" 2>"$dir/null" || :
}

haproxyadmin_version()
{
	"$python" -c 'import haproxyadmin; print(", haproxyadmin", haproxyadmin.__version__, end="")' 2>/dev/null || :
}

where()
{
	echo "Measured on $(date -u +%F) by \`make $1\`, one run:" \
		"$(nproc) cores of $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)," \
		"$(uname -s) $(uname -r | cut -d. -f1,2)," \
		"$("$haproxy" -v | sed -n '1s/ -.*//p')," \
		"$(./haplua --version | head -n 1), $("${CC:-cc}" --version | head -n 1)," \
		"$(socat -V | sed -n 's/^socat version \([0-9.]*\).*/socat \1/p'), $("$python" --version)."
}

report()
{
	where bench
	echo "Each turn runs every row once, one after the other, as a process of its own;" \
		"a ratio is to the first row."
	measure_start
	measure_replace "$(turns 30)" '#8001' 'strings (`-m str`)' 10000 10,000 "10,000 patterns replaced"
	measure_replace "$(turns 30)" '#9999' 'regular expressions (`-m reg`)' 10000 10,000 ""
	measure_replace "$(turns 20)" '#8001' 'strings (`-m str`)' 100000 100,000 "100,000 patterns replaced"
	measure_replace "$(turns 6)" '#8001' 'strings (`-m str`)' 1000000 1,000,000 ""
	measure_map "$(turns 20)" 10000 10,000
	measure_map "$(turns 12)" 100000 100,000
	"$build/bare" "$sock" 'clear acl #8001' 'clear acl #9999'
	measure_many '#9999' '#9999' 'a list without a file'
	measure_many "$dir/few.acl" "$dir/many.acl" 'a list with a file'
	measure_servers "$(turns 60)" 1000 1,000
	measure_servers "$(turns 30)" 20000 20,000
	measure_stat "$(turns 20)"
	measure_sessions "$(turns 20)" 9700 9,700
	measure_log
	measure_test
	measure_keep 20
	measure_fleet "$(turns 30)" 20
	measure_fleet "$(turns 30)" 100
	measure_fleet "$(turns 15)" 200
}

# Print a row of a table for $1 entries: for each of the words for `pairs` its median and its memory, in $2
# turns.
growth_row()
{
	n=$1 turns=$2
	shift 2
	"$build/pairs" "$turns" "$@" | awk -F ' *[|] *' -v n="$n" '
		{ row = row " | " $3 " | " $6 }
		END { print "| " n row " |" }'
}

# Print a table: how the list $2 of the kind $1 is replaced by so many entries as each of the other
# arguments says.
growth()
{
	kind=$1 list=$2
	shift 2
	printf '\n| `%s_replace`: entries | bare C | memory | haplua | memory |\n' "$kind"
	echo "| ---: | ---: | ---: | ---: | ---: |"
	for n; do
		echo "$kind $n" >&2
		commands "$kind" "$list" "$(entries "$kind" "$n" bare)" >"$dir/commands"
		growth_row "$n" $((n > 100000 ? 3 : 7)) -- bare "$build/bare" "$sock" -f "$dir/commands" \
			-- haplua ./haplua -s "$sock" tests/bench/replace.lua "$kind" "$list" \
			"$(entries "$kind" "$n" haplua)"
		rm "$dir/$kind-$n"-*
	done
	"$build/bare" "$sock" "clear $kind $list"
}

report_growth()
{
	where bench-growth
	growth acl '#8001' 1000 3000 10000 30000 100000 300000 1000000
	growth map "$dir/small.map" 1000 3000 10000 30000 100000
}

# Put the file $2 between the two marks $1 of the page.
publish()
{
	awk -v mark="$1" -v report="$2" '
		$0 == "<!-- /" mark " -->" { inside = 0 }
		!inside { print }
		$0 == "<!-- " mark " -->" {
			inside = 1
			while ((getline line < report) > 0)
				print line
		}' "$page" >"$dir/page"
	cat "$dir/page" >"$page"
}

if [ "${2:-}" = keep ]; then
	{
		where bench-keep
		echo
		BUILD=$build ./haplua tests/bench/keep.lua
		echo
		BUILD=$build ./haplua tests/bench/window.lua
	} >"$dir/report"
	publish keep "$dir/report"
	exit
fi
if [ "${2:-}" = fleet ]; then
	{
		where bench-fleet
		echo "etcd $(etcd --version | sed -n 's/^etcd Version: //p')."
		BUILD=$build unshare -rn sh tests/fleet/net.sh 3 ./haplua tests/bench/fleets.lua
	} >"$dir/report"
	publish fleet "$dir/report"
	exit
fi

maintenance_lists='acl maintenance path -i -u 9999 -m reg
	    use_backend maintenance if maintenance'
: >"$dir/small.map"
start_haproxy small <<-END
	frontend frontend-http
	    bind unix@$dir/http.sock
	    acl strings path -u 8001 -m str
	    use_backend maintenance if strings
	    http-request set-var(txn.mapped) path,map_str($dir/small.map)
	    $maintenance_lists
	backend maintenance
	    server maintenance-nginx 127.0.0.1:1
END
for n in few many; do
	: >"$dir/$n.acl"
	start_haproxy $n "nbthread 1" <<-END
		frontend frontend-http
		    bind unix@$dir/$n-http.sock
		    acl maintenance path -i -u 9999 -m beg
		    acl by-file path -i -m beg -f $dir/$n.acl
		    use_backend maintenance if maintenance || by-file
		backend maintenance
		    server maintenance-nginx 127.0.0.1:1
	END
done
for n in 1000 20000; do
	start_haproxy servers$n <<-END
		frontend frontend-http
		    bind unix@$dir/servers$n-http.sock
		    default_backend many
		backend many
		    server-template server 1-$n 127.0.0.1:1
	END
done
[ "${2:-}" = growth ] || for i in $(seq 200); do
	start_haproxy "fleet$i" "nbthread 1" <<-END
		frontend frontend-http
		    bind unix@$dir/fleet$i-http.sock
		    $maintenance_lists
		backend maintenance
		    server maintenance-nginx 127.0.0.1:1
	END
done
for config in "$dir"/*.cfg; do
	await_haproxy "$(basename "$config" .cfg)"
done
sock=$dir/small.sock
quiet=--no-journal
if [ "${2:-}" = growth ]; then
	report_growth >"$dir/report"
	publish growth "$dir/report"
	./haplua tests/bench/growth.lua <"$page" >"$dir/plot"
	cat "$dir/plot" >docs/growth.svg
	exit
fi
report >"$dir/report"
publish bench "$dir/report"
./haplua tests/bench/plot.lua <"$page" >"$dir/plot"
cat "$dir/plot" >"${page%.md}.svg"
echo "see $page and ${page%.md}.svg" >&2
