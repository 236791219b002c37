#!/bin/sh
# SPDX-License-Identifier: MIT
#
# versions.sh - fetch etcd and etcdctl of another Debian release, without root and without installing them.
#
#   tests/fleet/versions.sh RELEASE [DIR]      such as trixie (etcd 3.5), forky; DIR keeps them; haplua/etcd in the
#                                              user's cache folder unless given
#
# Prints the path of a program `etcd`, beside which there is `etcdctl`: scripts that start the release's own programs with
# the release's own loader and libraries. Status 1 where it cannot be had; DIR/RELEASE.log says why.
# The mirror is that of apt's configuration, or $HAPLUA_MIRROR.
set -eu

release=${1:?usage: tests/fleet/versions.sh RELEASE [DIR]}
dir=${2:-${XDG_CACHE_HOME:-$HOME/.cache}/haplua/etcd}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
root=$dir/$release

if [ -x "$root/bin/etcd" ]; then
	echo "$root/bin/etcd"
	exit 0
fi

work=$dir/$release.work
log=$dir/$release.log
# shellcheck disable=SC2016 # the name between parentheses is for apt
mirror=${HAPLUA_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)}

fetch()
{
	rm -rf "$work" "$root"
	mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/none" "$root/bin"
	: >"$work/status"
	signed=
	for f in /usr/share/keyrings/debian-archive-keyring.[gp][pg][gp]; do
		[ ! -e "$f" ] || signed=" [signed-by=$f]"
	done
	echo "deb$signed $mirror $release main" >"$work/sources.list"
	cat >"$work/apt.conf" <<-END
		APT::Install-Recommends "false";
		APT::Sandbox::User "root";
		Acquire::Check-Valid-Until "false";
		Acquire::Languages "none";
		Dir::Etc::SourceList "$work/sources.list";
		Dir::Etc::SourceParts "$work/none";
		Dir::Etc::Preferences "$work/none/no";
		Dir::State "$work";
		Dir::State::Status "$work/status";
		Dir::State::Lists "$work/lists";
		Dir::Cache "$work";
		Dir::Cache::Archives "$work/archives";
	END
	apt-get -c "$work/apt.conf" update
	apt-get -c "$work/apt.conf" -y --download-only install etcd-server etcd-client
	for deb in "$work"/archives/etcd-*.deb "$work"/archives/libc6_*.deb; do
		dpkg-deb -x "$deb" "$root"
	done
	libraries=$(dirname "$(find "$root" -name 'libc.so.6' | head -n 1)")
	loader=$(find "$libraries" -name 'ld-linux*' | head -n 1)
	for program in etcd etcdctl; do
		printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' "$loader" "$libraries" "$root/usr/bin/$program" \
			>"$root/bin/$program.new"
		chmod 755 "$root/bin/$program.new"
	done
	"$root/bin/etcd.new" --version
	mv "$root/bin/etcdctl.new" "$root/bin/etcdctl"
	mv "$root/bin/etcd.new" "$root/bin/etcd"
	rm -rf "$work"
}

fetch >"$log" 2>&1
echo "$root/bin/etcd"
