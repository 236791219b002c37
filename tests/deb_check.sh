#!/bin/sh
# SPDX-License-Identifier: MIT
#
# deb_check.sh - build the packages in a bare Debian 12 and a bare 13, and install, remove and purge them in others.
# Usage: deb_check.sh FOLDER [RELEASE...], in the top folder, as root. FOLDER keeps the archives of the bare systems, and the
# packages: FOLDER/RELEASE. Prints a line for each thing that was checked. Status 1 after the first that is not so.
set -eu

# The mounts below are gone with this process.
[ -n "${INSIDE-}" ] || exec env INSIDE=1 unshare --mount --propagation private sh "$0" "$@"
folder=$(mkdir -p "$1" && cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- bookworm trixie
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
dir=$(mktemp -d "$folder/deb.XXXXXX")
clean() {
	umount "$dir"/*/proc 2>/dev/null || :
	rm -rf --one-file-system "$dir"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

fail() {
	echo "deb_check.sh: $release: $*" >&2
	[ ! -s "$dir/log" ] || tail -n 30 "$dir/log" >&2
	exit 1
}

# What is checked, and whether the command holds.
holds() {
	what=$1
	shift
	"$@" >"$dir/log" 2>&1 || fail "not so: $what"
	echo "ok: $release: $what"
}

# within NAME COMMAND...: run a command in a bare system.
within() {
	system=$dir/$1
	shift
	chroot "$system" "$@"
}

quiet() {
	"$@" >"$dir/log" 2>&1 || fail "failed: $*"
}

bare() {
	sh tests/bare.sh "$release" "$folder" "$dir/$1"
	mount -t proc proc "$dir/$1/proc"
	quiet within "$1" apt-get -qq update
}

# All paths of a system but those of dpkg, apt and logs.
paths() {
	(cd "$dir/$1" && find . -xdev \( -path ./proc -o -path ./src -o -path ./debs -o -path ./var/lib/dpkg -o -path ./var/lib/apt \
		-o -path ./var/cache -o -path ./var/log -o -path ./tmp -o -path ./dev -o -path ./etc/ld.so.cache \) -prune -o -print | sort)
}

packages() {
	within "$1" dpkg-query -W -f '${Package}\n' | sort
}

build() {
	bare build
	depends=$(sed -n '/^Build-Depends:/,/^[A-Z]/s/^ //p' packaging/debian/control | tr -d '\n')
	quiet within build apt-get -qq -y --no-install-recommends satisfy "build-essential, lintian, ${depends%,}"
	mkdir "$dir/build/src"
	git ls-files -z | tar c --null --verbatim-files-from -T - | tar x -C "$dir/build/src"
	within build chown -R nobody /src
	holds "the packages are built by a user, without git and the network" within build unshare --net \
		setpriv --reuid=nobody --clear-groups env HOME=/tmp sh -c 'cd /src && sh packaging/deb.sh build/deb'
	holds "lintian finds no error and no warning" within build sh -c "lintian --allow-root --fail-on error,warning --suppress-tags \
		bogus-mail-host --display-level '>=warning' /src/build/deb/*.changes"
	holds "where there are no archives, shared libraries are linked" within build sh -c 'cd /src && rm /usr/lib/*/liblua5.4.a /usr/lib/*/libuv_a.a /usr/lib/*/libsqlite3.a &&
		make -j2 && ldd haplua | grep lua5.4 && ldd haplua | grep libuv && ldd haplua | grep sqlite3 && ./haplua list'
	rm -rf "${folder:?}/$release"
	cp -r "$dir/build/src/build/deb" "$folder/$release"
	umount "$dir/build/proc"
	rm -rf "$dir/build"
}

not_enabled() {
	! find "$dir/use/etc/systemd" -name 'haplua*' | grep .
}

try() {
	bare use
	paths use >"$dir/before"
	packages use >"$dir/packages"
	cp -r "$folder/$release" "$dir/use/debs"
	holds "they install" within use sh -c 'apt-get -y --no-install-recommends install /debs/haplua_*.deb /debs/haplua-curl_*.deb /debs/haplua-fleet_*.deb'
	holds "haplua runs" within use sh -c '[ "$(haplua -V)" = "haplua 0.1" ]'
	holds "it finds its policies" within use sh -c 'haplua list --names | grep -x maint && haplua help keep | grep systemctl'
	holds "it says that HAProxy is not there" within use sh -c 'haplua maint status; [ $? = 3 ]'
	holds "it finds its module for HTTP" within use haplua -e 'local curl <close> = nil; require("haplua.visit.curl")'
	holds "it finds its module for fleets" within use haplua -e 'require("haplua.etcd.wire")'
	holds "it writes JSON" within use haplua -e 'print(require("haplua.json").encode({ 1 }))'
	holds "a new policy passes its test" within use sh -c 'cd /tmp && haplua new brunch && haplua test'
	for file in man/man1/haplua.1.gz man/man1/haplua-maint.1.gz doc/haplua/maintenance.md bash-completion/completions/haplua \
		zsh/vendor-completions/_haplua fish/vendor_completions.d/haplua.fish; do
		holds "/usr/share/$file is there" test -s "$dir/use/usr/share/$file"
	done
	holds "the sample configuration is a conffile, and all commented" within use sh -c \
		'dpkg-query -W -f "\${Conffiles}" haplua | grep -q /etc/haplua/config.lua && ! grep -v "^ *--" /etc/haplua/config.lua | grep "[^return {}]"'
	holds "the service is there, and not enabled" test -e "$dir/use/lib/systemd/system/haplua-keep.service"
	holds "nothing enables the service" not_enabled
	echo '-- own' >>"$dir/use/etc/haplua/config.lua"
	echo '-- own' >"$dir/use/etc/haplua/policies/own.lua"
	mkdir "$dir/use/var/lib/haplua"
	holds "they can be removed" within use sh -c 'apt-get -y remove haplua haplua-curl haplua-fleet'
	holds "the configuration is kept" grep -qx -e '-- own' "$dir/use/etc/haplua/config.lua"
	holds "the program is gone" test ! -e "$dir/use/usr/bin/haplua"
	holds "they can be purged" within use sh -c 'apt-get -y purge haplua haplua-curl haplua-fleet'
	holds "own policies are kept" test -s "$dir/use/etc/haplua/policies/own.lua"
	rm -r "$dir/use/etc/haplua"
	# autoremove would leave what another package recommends
	new=$(packages use | comm -13 "$dir/packages" - | tr '\n' ' ')
	holds "what they needed can be removed" within use sh -c "apt-get -y purge $new"
	paths use >"$dir/after"
	holds "nothing is left" diff "$dir/before" "$dir/after"
	umount "$dir/use/proc"
	rm -rf "$dir/use"
}

for release; do
	build
	try
done
echo "deb_check.sh: good: $*; the packages are in $folder"
