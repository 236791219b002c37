#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check.sh - try the service haplua-keep under a real systemd: process 1 of a container (systemd-nspawn), with
# HAProxy of the same Debian as this machine's, or of RELEASE. It boots twice.
# Usage: check.sh CACHE DEBS [RELEASE], in the top folder, as root. CACHE is that of bare.sh; DEBS has the packages that
# deb.sh has built for that release. tests/systemd/inside.sh is what runs within. Status 1 when something is not so, 77 where this
# machine cannot run such a container.
set -eu

# The mounts below are gone with this process.
[ -n "${INSIDE-}" ] || exec env INSIDE=1 unshare --mount --propagation private sh "$0" "$@"
cache=$(mkdir -p "$1" && cd "$1" && pwd)
debs=$2
release=${3-$(. /etc/os-release && echo "${VERSION_CODENAME-}")}
dir=$(mktemp -d "$cache/systemd.XXXXXX")
root=$dir/root
clean() {
	umount "$root/proc" 2>/dev/null || :
	rm -rf --one-file-system "$dir"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

skip() {
	echo "check.sh: skipped: $*" >&2
	exit 77
}

command -v systemd-nspawn >/dev/null || skip "systemd-nspawn is not installed: apt-get install systemd-container"
sh tests/bare.sh "$release" "$cache" "$root"
mount -t proc proc "$root/proc"
cp "$debs"/haplua_*.deb "$root/"
chroot "$root" sh -c 'export DEBIAN_FRONTEND=noninteractive; apt-get -qq update && apt-get -qq -y --no-install-recommends install \
	systemd systemd-sysv dbus haproxy curl procps /haplua_*.deb' >"$dir/log" 2>&1 || { tail -n 20 "$dir/log" >&2; exit 1; }
rm "$root/usr/sbin/policy-rc.d"
umount "$root/proc"

mkdir "$root/check"
cp tests/systemd/inside.sh tests/systemd/haproxy.cfg "$root/check"
cat >"$root/etc/systemd/system/check.service" <<-END
	[Unit]
	After=haproxy.service dbus.service
	[Service]
	Type=oneshot
	ExecStart=/bin/sh /check/inside.sh
	ExecStopPost=/bin/systemctl poweroff --no-block
	StandardOutput=append:/check/out
	StandardError=append:/check/out
	TimeoutStartSec=200
	[Install]
	WantedBy=multi-user.target
END
chroot "$root" systemctl -q enable check.service

# nspawn keeps its own state there
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd
for phase in 1 2; do
	echo "$phase" >"$root/check/phase"
	timeout -k 10 300 systemd-nspawn -q --register=no --keep-unit --private-network --machine="haplua-$$" -b -D "$root" \
		--console=pipe </dev/null >"$dir/console" 2>&1 || :
	if [ ! -e "$root/check/began.$phase" ]; then
		tail -n 5 "$dir/console" >&2
		skip "systemd does not start in a container here"
	fi
	cat "$root/check/out"
	: >"$root/check/out"
	[ -e "$root/check/good.$phase" ] || exit 1
done
echo "check.sh: good"
