# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# processes.sh - for scripts that start servers; they include it with `.`. When the script ends, it
# ends the script's processes and removes its folder $dir.

dir=
# The signal that ends them.
end_by=TERM

# Make the folder $dir. $1 is a part of its name.
make_folder()
{
	dir=$(mktemp -d "${TMPDIR:-/tmp}/haplua-$1.XXXXXX") || exit 1
}

# Runs at every exit and signal.
clean()
{
	status=$?
	trap '' INT TERM HUP PIPE
	if [ -n "$dir" ]; then
		jobs -p >"$dir/jobs"
		while read -r pid; do
			kill -s $end_by "$pid" 2>/dev/null || :
		done <"$dir/jobs"
		wait 2>"$dir/null"
		rm -rf "$dir"
	fi
	exit "$status"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
# Its reader has gone: `make demo | head`. Without a trap the shell would end at once, and leave its servers.
trap 'exit 141' PIPE
