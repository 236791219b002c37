#!/bin/sh
# SPDX-License-Identifier: MIT
#
# packages.sh - install the missing Debian packages of one or several steps.
# Usage: packages.sh build|fleet|etcd|check|real|browser|demo|bench|window|fuzz...
# It needs root only if a package is missing. Without root or apt-get it prints what to install.
set -eu

build="gcc libc6-dev make pkg-config lua5.4 liblua5.4-dev libuv1-dev libsqlite3-dev lua-argparse lua-cjson libcurl4-openssl-dev"
fleet="libprotobuf-c-dev protobuf-c-compiler"
etcd="etcd-server etcd-client openssl socat lua-busted iproute2 procps"
check="libcmocka-dev lua-busted lua-check valgrind clang-format libedit2 procps socat libpcre2-8-0 tzdata"
real="haproxy nginx-light wrk socat curl openssl lua-busted util-linux procps"
browser="$real chromium chromium-driver fonts-dejavu-core"
demo="haproxy nginx-light curl"
bench="haproxy socat python3"
window="python3 python3-dateutil tzdata"
fuzz="clang libclang-rt-dev haproxy"

packages=
for step in "$@"; do
	case $step in
	build) packages="$packages $build" ;;
	fleet) packages="$packages $fleet" ;;
	etcd) packages="$packages $etcd" ;;
	check) packages="$packages $check" ;;
	real) packages="$packages $real" ;;
	browser) packages="$packages $browser" ;;
	demo) packages="$packages $demo" ;;
	bench) packages="$packages $bench" ;;
	window) packages="$packages $window" ;;
	fuzz) packages="$packages $fuzz" ;;
	*) echo "packages.sh: unknown step '$step'" >&2; exit 2 ;;
	esac
done

missing=
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' ||
		missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
	echo "packages.sh: missing:$missing" >&2
	echo "packages.sh: install them (as root: apt-get install$missing)" >&2
	exit 1
fi
echo "installing:$missing" >&2
apt-get update -qq

# Do not start the daemons of the packages: they would take ports.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	trap 'rm -f $policy' EXIT
fi
# shellcheck disable=SC2086 # the list is to be split
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
	$missing >/dev/null
