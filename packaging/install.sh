#!/bin/sh
# SPDX-License-Identifier: MIT
#
# install.sh - install haplua below $DESTDIR$PREFIX, or remove what was installed there.
# Usage: DESTDIR= PREFIX=/usr/local install.sh install PROGRAM | uninstall, in the top folder.
# $PREFIX/share/haplua/installed lists each file with its sum, and each folder that was made. `uninstall` removes these
# files, unless somebody has changed them, and the folders once they are empty.
set -eu

root=${DESTDIR:-}/
prefix=${PREFIX#/}
list=$prefix/share/haplua/installed
new=$(mktemp)
texts=$(mktemp -d)
trap 'rm -rf "$new" "$texts"' EXIT

# Make a folder, and list it if it was not there.
folder() {
	[ -d "$root$1" ] && return
	case $1 in */*) folder "${1%/*}" ;; esac
	mkdir -p "$root$1"
	chmod 755 "$root$1"
	echo "folder  $1" >>"$new"
}

# put MODE FILE PATH: install a file under a path below $DESTDIR.
put() {
	folder "${3%/*}"
	install -m "$1" "$2" "$root$3"
	echo "./$3" >>"$texts/.put"
}

# put_all MODE FOLDER FILE...
put_all() {
	mode=$1 to=$2
	shift 2
	for file; do put "$mode" "$file" "$to/${file##*/}"; done
}

# put_texts MODE FOLDER FILE...: as put_all; paths of the source tree, and those below /usr/local, become those of this
# installation. In manual pages a "-" is written "\-".
put_texts() {
	mode=$1 to=$2
	shift 2
	for file; do
		sed "s:/usr/local/:/$prefix/:g
			s:\\(^\\|[^[:alnum:]/]\\)docs/\\([a-z\\\\-]*\\.md\\):\\1/$prefix/share/doc/haplua/\\2:g
			s:\\(^\\|[^[:alnum:]/]\\)docs/\\([a-z\\\\-]*\\.[a-z]\\):\\1/$share/page/\\2:g
			s:\\(^\\|[^[:alnum:]/]\\)\\(scripts\\|packaging\\)/:\\1/$share/\\2/:g
			s:/$share/packaging/:/$share/:g" "$file" >"$texts/${file##*/}"
		put "$mode" "$texts/${file##*/}" "$to/${file##*/}"
	done
}

# Remove what the list names. `keep PATH` is called for a file that somebody has changed.
remove() {
	[ -f "$root$list" ] || return 0
	grep -v '^folder  ' "$root$list" >"$new"
	(cd "$root" && LC_ALL=C sha256sum -c "$new" 2>/dev/null) | sed -n 's/: FAILED$//p' >"$new.kept"
	while read -r path; do
		keep "$root${path#./}"
	done <"$new.kept"
	sed 's/^[0-9a-f]*  //' "$new" | grep -vxF -f "$new.kept" | (cd "$root" && tr '\n' '\0' | xargs -0 rm -f)
	sed -n 's/^folder  //p' "$root$list" >"$new"
	rm -f "$root$list"
	sort -r "$new" | while read -r path; do
		rmdir "$root$path" 2>/dev/null || echo "folder  $path"
	done >"$new.kept"
	sort "$new.kept" >"$new"
	rm -f "$new.kept"
}

case $1 in
uninstall)
	if [ ! -f "$root$list" ]; then
		echo "install.sh: $root$list is not there: nothing was installed by this version of haplua" >&2
		exit 1
	fi
	keep() { echo "kept, because it was changed: $1" >&2; }
	remove
	;;
install)
	keep() {
		echo "it was changed, and is kept as $1.changed" >&2
		mv "$1" "$1.changed"
	}
	share=$prefix/share/haplua
	remove
	put 755 "$2" "$prefix/bin/haplua"
	put 644 "$2-curl.so" "$prefix/lib/haplua/curl.so"
	[ ! -e "$2-fleet.so" ] || put 644 "$2-fleet.so" "$prefix/lib/haplua/fleet.so"
	put_texts 755 "$share/scripts" scripts/*.lua
	put_texts 644 "$share/page" docs/haproxy.cfg docs/nginx.conf docs/maintenance.html docs/maintenance-words.map
	put_all 644 "$share/types" docs/types/*.lua
	put 644 packaging/prometheus-rules.yml "$share/prometheus-rules.yml"
	put_all 644 "$prefix/share/doc/haplua" README.md CHANGELOG.md LICENSE docs/*.md docs/*.svg docs/*.png
	for file in $(find lua -name '*.lua'); do put 644 "$file" "$share/$file"; done
	put 644 packaging/completion/haplua.bash "$prefix/share/bash-completion/completions/haplua"
	put 644 packaging/completion/_haplua "$prefix/share/zsh/site-functions/_haplua"
	put 644 packaging/completion/haplua.fish "$prefix/share/fish/vendor_completions.d/haplua.fish"
	case $2 in */*) program=$2 ;; *) program=./$2 ;; esac
	pages=$(mktemp -d)
	"$program" packaging/man.lua "$pages"
	put_texts 644 "$prefix/share/man/man1" docs/haplua.1 "$pages"/*.1
	rm -rf "$pages"
	put_texts 644 "$prefix/lib/systemd/system" packaging/haplua-keep.service
	(cd "$root" && tr '\n' '\0' <"$texts/.put" | xargs -0 sha256sum) >>"$new"
	cp "$new" "$root$list"
	chmod 644 "$root$list"
	;;
*)
	echo "usage: install.sh install PROGRAM | uninstall" >&2
	exit 2
	;;
esac
