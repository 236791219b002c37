#!/bin/sh
# SPDX-License-Identifier: MIT
#
# checked.sh - build the distribution's Lua and libuv from source, with sanitizers, assertions and the checks of Lua's API.
# Usage: checked.sh FOLDER; then link haplua with LDFLAGS=-LFOLDER. Needs apt-get and the network.
# The archives that are installed are compiled without: a read of freed memory inside of them goes unseen.
set -eu

folder=$1
flags='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -D_GNU_SOURCE -w'
jobs=$(nproc)
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
[ ! -e "$folder/libuv_a.a" ] || exit 0

# deb-src lines of our own, so that the machine's list stays as it is
mkdir -p "$folder/parts" "$folder/lists/partial"
sed 's/^Types: deb$/Types: deb-src/' /etc/apt/sources.list.d/*.sources >"$folder/parts/own.sources"
apt="apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=$folder/parts -o Dir::State::lists=$folder/lists"
$apt update
(cd "$folder" && $apt source --download-only lua5.4 libuv1)

cd "$folder"
for name in lua5.4 libuv1; do
	mkdir -p "$name"
	tar xf "$name"_*.orig.tar.* -C "$name" --strip-components=1
	tar xf "$name"_*.debian.tar.* -C "$name"
	for patch in $(grep -v '^#' "$name/debian/patches/series"); do
		patch -s -p1 -d "$name" <"$name/debian/patches/$patch"
	done
done

# compile ARCHIVE OPTIONS FILE...
compile() {
	archive=$1 options=$2
	shift 2
	rm -rf "$archive.o"
	mkdir "$archive.o"
	for file; do echo "$file"; done | xargs -P "$jobs" -I FILE \
		sh -c 'gcc $1 -c -o "$2/$(echo "$3" | tr / _).o" "$3"' sh "$flags $options" "$archive.o" FILE
	ar rcs "$archive" "$archive.o"/*.o
}

compile liblua5.4.a "-DLUA_COMPAT_5_3 -DLUA_USE_LINUX -DLUAI_ASSERT -DLUA_USE_APICHECK \
	-DDEB_HOST_MULTIARCH=\"$(gcc -print-multiarch)\"" \
	$(ls lua5.4/src/*.c | grep -v '/luac\?\.c$')
unix="async core dl fs getaddrinfo getnameinfo loop loop-watcher pipe poll process random-devurandom signal stream tcp
	thread tty udp proctitle linux-core linux-inotify linux-syscalls procfs-exepath random-getrandom random-sysctl-linux epoll"
compile libuv_a.a "-Ilibuv1/include -Ilibuv1/src" $(ls libuv1/src/*.c) $(for f in $unix; do echo "libuv1/src/unix/$f.c"; done)
