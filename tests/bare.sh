#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bare.sh - make a folder with a bare Debian, for tests that install packages.
# Usage: bare.sh RELEASE CACHE FOLDER; RELEASE is bookworm or trixie. CACHE keeps an archive of each release. Needs root and
# debootstrap. The mirror is $HAPLUA_MIRROR, else that of apt's configuration, else debootstrap's own.
set -eu

release=$1 cache=$2 folder=$3
archive=$cache/bare-$release.tar
[ "$(id -u)" = 0 ] || { echo "bare.sh: only root can make a Debian in a folder" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "bare.sh: debootstrap is not installed: apt-get install debootstrap" >&2; exit 1; }
mkdir -p "$cache" "$folder"
if [ ! -e "$archive" ]; then
	# shellcheck disable=SC2016 # the name between parentheses is for apt
	mirror=${HAPLUA_MIRROR-$(apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
		'Label: Debian' 2>/dev/null | head -n 1)}
	echo "bare.sh: debootstrap $release" >&2
	work=$(mktemp -d "$cache/$release.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	debootstrap --variant=minbase "$release" "$work" ${mirror:+"$mirror"} >"$cache/$release.log" 2>&1 || {
		tail -n 5 "$cache/$release.log" >&2
		exit 1
	}
	rm -f "$work"/var/cache/apt/archives/*.deb
	# the proxies of this machine's apt
	apt-config dump | grep -i '^Acquire::[^ ]*Proxy' >"$work/etc/apt/apt.conf.d/99proxy" || rm "$work/etc/apt/apt.conf.d/99proxy"
	chmod 755 "$work" # it becomes the system's /
	tar cf "$archive.new" -C "$work" .
	mv "$archive.new" "$archive"
fi
tar xf "$archive" -C "$folder"
cp /etc/resolv.conf "$folder/etc/resolv.conf"
# packages must not start their services
printf '#!/bin/sh\nexit 101\n' >"$folder/usr/sbin/policy-rc.d"
chmod 755 "$folder/usr/sbin/policy-rc.d"
