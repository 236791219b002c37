#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bare.sh - run the commands of README.md and docs/tutorial.md on machines that have nothing but Debian, git and make.
# Usage: bare.sh HAPLUA FOLDER [SUITE...]    as root, with debootstrap; HAPLUA lists the commands. The machines are folders
# below FOLDER, and stay there: a second call installs nothing anew but haplua. The mirror is $MIRROR, else debootstrap's own.
# Status: 0 if all is as the documents say.
set -eu
haplua=$1 top=$(realpath -m "$2")
shift 2
mirror=${MIRROR:-}

# The mounts of the machine $root; away at the end of the script.
root=
leave() {
	[ -n "$root" ] || return 0
	for part in dev/pts dev proc ''; do
		umount -l "$root/$part" 2>/dev/null || :
	done
}
trap leave EXIT
trap 'exit 1' INT TERM HUP

enter() {
	mount --bind "$root" "$root"
	mount -t proc proc "$root/proc"
	mount --bind /dev "$root/dev"
	mount --bind /dev/pts "$root/dev/pts"
}

inside() {
	chroot "$root" env -i HOME=/root TERM=dumb LC_ALL=C.UTF-8 REPOSITORY=/root/haplua.git \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -ec "$@"
}

[ $# -gt 0 ] || set -- bookworm trixie
for suite; do
	root=$top/$suite
	[ -x "$root/usr/bin/dpkg" ] || debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" ${mirror:+"$mirror"}
	enter
	echo "== $suite: what a reader has: git and make"
	inside 'apt-get update -qq; apt-get install -qq -y --no-install-recommends git make >/dev/null'
	rm -rf "$root/root/haplua.git" "$root/root/haplua" "$root/root/printed"
	git clone -q --bare . "$root/root/haplua.git"
	mkdir "$root/root/printed"
	printf '#!/bin/sh\nexec "$@"\n' >"$root/usr/local/bin/sudo"
	chmod 755 "$root/usr/local/bin/sudo"

	echo "== $suite: the commands for a bare machine"
	"$haplua" tests/documents/run.lua --list docs/tutorial.md |
		awk '{ printf "echo \"$ %s\"; { %s; } >/root/printed/%d 2>&1\n", $0, $0, NR }' >"$root/root/commands"
	inside 'cd /root; . ./commands'

	echo "== $suite: the other ones"
	inside 'cd /root/haplua; make -s build/app build/packages-real; export BUILD=build
		for document in README.md docs/tutorial.md; do
			sh tests/documents/part.sh haplua tests/documents/run.lua --bare=/root/printed $document
		done'
	leave
	root=
done
