#!/bin/sh
# SPDX-License-Identifier: MIT
#
# packages.sh - look for what one or several steps need, and install what is missing.
# Usage: packages.sh build|fleet|etcd|check|real|browser|demo|bench|metrics|window|fuzz|deb|systemd...
# A step names Debian's packages, and a row of `table` says what of a package is needed: a program, a header, a library.
# That is looked for, whoever put it there. If something is missing: as root, and where there is apt-get, it installs
# Debian's packages. Elsewhere it prints their names in the user's distribution, and its status is 1. With HAPLUA_INSTALL=no
# it never installs.
set -eu

build="gcc libc6-dev make pkg-config lua5.4 liblua5.4-dev libuv1-dev libsqlite3-dev lua-argparse lua-cjson libcurl4-openssl-dev"
fleet="libprotobuf-c-dev protobuf-c-compiler"
etcd="etcd-server etcd-client openssl socat lua-busted iproute2 procps"
check="libcmocka-dev lua-busted lua-check valgrind clang-format libedit2 procps socat libpcre2-8-0 tzdata"
real="haproxy nginx-light wrk socat curl openssl lua-busted util-linux bsdutils iproute2 procps"
browser="$real chromium chromium-driver fonts-dejavu-core"
demo="haproxy nginx-light curl"
bench="haproxy socat python3"
metrics="$real prometheus"
window="python3 python3-dateutil tzdata"
fuzz="clang libclang-rt-dev haproxy"
deb="debootstrap util-linux"
systemd="$deb systemd-container"

# Debian's package, what is looked for, the packages of Fedora, Alpine and Arch ("-": there is none). A package without a
# row is that of a program, and has this name everywhere.
#   program NAME   headers MODULE   header FILE   lua MODULE   library FILE   file PATH   (PATH and FILE may hold "*")
table='
gcc                  program cc              gcc                gcc              gcc
libc6-dev            header stdio.h          glibc-devel        musl-dev         glibc
pkg-config           program pkg-config      pkgconf-pkg-config pkgconf          pkgconf
lua5.4               program lua             lua                lua5.4           lua
liblua5.4-dev        headers lua             lua-devel          lua5.4-dev       lua
libuv1-dev           headers libuv           libuv-devel        libuv-dev        libuv
libsqlite3-dev       headers sqlite3         sqlite-devel       sqlite-dev       sqlite
libcurl4-openssl-dev headers libcurl         libcurl-devel      curl-dev         curl
lua-argparse         lua argparse            lua-argparse       lua-argparse     lua-argparse
lua-cjson            lua cjson               lua-cjson          lua5.4-cjson     lua-cjson
libprotobuf-c-dev    headers libprotobuf-c   protobuf-c-devel   protobuf-c-dev   protobuf-c
protobuf-c-compiler  program protoc-c        protobuf-c-compiler protobuf-c-compiler protobuf-c
libcmocka-dev        header cmocka.h         libcmocka-devel    cmocka-dev       cmocka
lua-busted           lua busted.runner       lua-busted         lua5.4-busted    lua-busted
lua-check            program luacheck        lua-check          lua-check        luacheck
clang-format         program clang-format    clang-tools-extra  clang-extra-tools clang
libedit2             library libedit.so*     libedit            libedit          libedit
etcd-server          program etcd            etcd               etcd             etcd
etcd-client          program etcdctl         etcd               etcd-ctl         etcd
bsdutils             program script          util-linux         util-linux-misc  util-linux
iproute2             program ip              iproute            iproute2         iproute2
procps               program ps              procps-ng          procps           procps-ng
libpcre2-8-0         library libpcre2-8.so*  pcre2              pcre2            pcre2
tzdata               file /usr/share/zoneinfo/Europe/Berlin tzdata tzdata        tzdata
nginx-light          program nginx           nginx              nginx            nginx
util-linux           program unshare         util-linux         util-linux       util-linux
bsdutils             program script          util-linux         util-linux       util-linux
iproute2             program ip              iproute            iproute2         iproute2
prometheus           program promtool        golang-github-prometheus prometheus  prometheus
chromium-driver      program chromedriver    chromedriver       chromium-chromedriver chromium
fonts-dejavu-core    file /usr/share/fonts/*/*/DejaVuSans.ttf dejavu-sans-fonts font-dejavu ttf-dejavu
systemd-container    program systemd-nspawn  systemd-container -               systemd
python3              program python3         python3            python3          python
python3-dateutil     python dateutil         python3-dateutil   py3-dateutil     python-dateutil
prometheus           program promtool        golang-github-prometheus prometheus prometheus
libclang-rt-dev      library libclang_rt.fuzzer*.a compiler-rt  compiler-rt      compiler-rt
'

# Succeeds if a file of one of these names is there.
one_of() {
	for file; do
		[ ! -e "$file" ] || return 0
	done
	return 1
}

# Is this there: $1 is the kind, $2 the name?
there() {
	case $1 in
	program)
		case $2 in
		lua) lua=$(sh tests/lua.sh) && [ -n "$lua" ] ;;
		*) command -v "$2" >/dev/null ;;
		esac ;;
	header) echo "#include <$2>" | ${CC:-cc} ${CPPFLAGS-} -E - >/dev/null 2>&1 ;;
	headers)
		case $2 in
		lua) for name in lua5.4 lua-5.4 lua54 lua; do
				case $(pkg-config --modversion "$name" 2>/dev/null) in 5.4*) return 0 ;; esac
			done
			false ;;
		*) pkg-config --exists "$2" 2>/dev/null ;;
		esac ;;
	lua) lua=$(sh tests/lua.sh) && echo 'assert(package.searchpath(arg[1], package.path) or
		package.searchpath(arg[1], package.cpath))' | "$lua" - "$2" 2>/dev/null ;;
	python) python3 -c "import $2" 2>/dev/null ;;
	library) # shellcheck disable=SC2086 # names may hold "*"
		one_of /lib/$2 /usr/lib/$2 /usr/lib64/$2 /lib/*/$2 /usr/lib/*/$2 /usr/lib/*/lib/*/$2 /usr/lib/*/*/lib/*/$2 \
			/usr/lib/*/lib/clang/*/lib/*/$2 /usr/lib/clang/*/lib/*/$2 ;;
	file) # shellcheck disable=SC2086
		one_of $2 ;;
	*) echo "packages.sh: unknown kind '$1'" >&2; exit 2 ;;
	esac
}

# Print the row of a package.
row() {
	found=$(echo "$table" | grep "^$1 ") || found="$1 program $1 $1 $1 $1"
	echo "$found"
}

PATH=$PATH:/usr/sbin:/sbin
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
	metrics) packages="$packages $metrics" ;;
	window) packages="$packages $window" ;;
	fuzz) packages="$packages $fuzz" ;;
	deb) packages="$packages $deb" ;;
	systemd) packages="$packages $systemd" ;;
	*) echo "packages.sh: unknown step '$step'" >&2; exit 2 ;;
	esac
done

debian='' fedora='' alpine='' arch=''
for package in $packages; do
	set -f
	# shellcheck disable=SC2046 # the row is to be split
	set -- $(row "$package")
	set +f
	case " $debian " in *" $1 "*) continue ;; esac
	there "$2" "$3" && continue
	debian="$debian $1" fedora="$fedora $4" alpine="$alpine $5" arch="$arch $6"
done
[ -n "$debian" ] || exit 0

if [ "${HAPLUA_INSTALL-}" = no ] || ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
	distribution=$(. "${OS_RELEASE:-/etc/os-release}" 2>/dev/null && echo "${ID-} ${ID_LIKE-}") || distribution=
	case " $distribution " in
	*" debian "*) echo "missing; as root: apt-get install$debian" ;;
	*" fedora "* | *" rhel "*) echo "missing; as root: dnf install$fedora" ;;
	*" alpine "*) echo "missing; as root: apk add$alpine" ;;
	*" arch "*) echo "missing; as root: pacman -S$arch" ;;
	*) printf 'missing; install these packages:\n  Debian, Ubuntu:%s\n  Fedora:%s\n  Alpine:%s\n  Arch:%s\n' \
		"$debian" "$fedora" "$alpine" "$arch" ;;
	esac | sed 's/ -\( \|$\)/\1/g; 1s/^/packages.sh: /' >&2
	exit 1
fi
echo "installing:$debian" >&2
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
	$debian >/dev/null
