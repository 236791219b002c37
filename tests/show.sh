# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# show.sh - for scripts that show what haplua does, on servers of their own; they include it with `.`. make_folder must have
# been called before any of the functions.

# shellcheck source=tests/processes.sh
. tests/processes.sh
# The reader has seen enough: `make demo | head`.
trap 'exit 0' PIPE

if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
else
	# shellcheck disable=SC2034 # the scripts use it
	bold='' dim='' plain=''
fi

say()
{
	printf '\n%s\n' "$*" 2>"$dir/null"
}

fail()
{
	printf '\n%s: %s\n' "${0##*/}" "$*" >&2
	[ -z "$dir" ] || tail -n 20 "$dir"/*.log >&2
	exit 1
}

# Print a free port below the range of ports for outgoing connections.
free_port()
{
	while :; do
		port=$(($(od -An -N2 -tu2 /dev/urandom) % 20000 + 10000))
		grep -qi "$(printf ' 0*:%04X \| 0100007F:%04X ' $port $port)" \
			/proc/net/tcp /proc/net/tcp6 2>/dev/null || break
	done
	echo "$port"
}

# Wait until the port $1 answers. Fails if process $2 ends before that.
answers()
{
	until curl -s -o "$dir/null" --max-time 5 "http://127.0.0.1:$1/"; do
		kill -0 "$2" 2>/dev/null || return 1
		sleep 0.05
	done
}

# Start a server by the function $1; what follows are its arguments. Another process may take the port before the server
# listens: then try again.
start()
{
	for _ in 1 2 3; do
		"$@" && return
	done
	fail "cannot start ${1#start_}"
}

# Show and run a command line. Its output must contain the text $1, and its status must be $expected (0 unless set).
try()
{
	wanted=$1
	shift
	printf '  %s$ %s%s\n' "$bold" "$*" "$plain" 2>"$dir/null"
	eval "$*" >"$dir/out" 2>&1
	status=$?
	sed 's/^/  /' "$dir/out"
	[ $status = "${expected:-0}" ] || fail "that ended with status $status"
	[ -z "$wanted" ] || grep -qF -e "$wanted" "$dir/out" || fail "'$wanted' was expected"
}
