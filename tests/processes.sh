# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# processes.sh - for scripts that start servers: they read it with `.`. It sees to it that
# however the script ends, its processes end and its folder $dir goes.

dir=

# Make $dir; $1 is for its name.
make_folder()
{
	dir=$(mktemp -d "/tmp/haplua-$1.XXXXXX") || exit 1
}

# Every way out leads through here.
clean()
{
	status=$?
	trap '' INT TERM HUP
	if [ -n "$dir" ]; then
		jobs -p >"$dir/jobs"
		while read -r pid; do
			kill "$pid" 2>/dev/null || :
		done <"$dir/jobs"
		wait
		rm -rf "$dir"
	fi
	exit "$status"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
