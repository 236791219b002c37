#!/bin/sh
# SPDX-License-Identifier: MIT
#
# deb.sh - build Debian packages of these sources, in their top folder.
# Usage: deb.sh FOLDER. Packages, .changes, .buildinfo and a log are FOLDER's content afterwards. With SHARED=1 in the
# environment shared libraries are linked. It needs the packages build-essential and debhelper, and those of
# packaging/debian/control. The changelog has DEBFULLNAME and DEBEMAIL, else the maintainer.
#
# A version that is no release comes before the release: 0.1~20261130.2216.a3c07e0.
set -eu

folder=$1
version=$(sh packaging/version.sh)
number=${version%%-*}
case $version in
*-*)
	when=$(git log -1 --format=%ct 2>/dev/null) || when=$(date -r packaging/version +%s)
	debian=$number~$(date -u -d "@$when" +%Y%m%d.%H%M).$(echo "${version#*-}" | tr - .)
	;;
*)
	when=$(date -r CHANGELOG.md +%s)
	debian=$number
	;;
esac
for tool in dpkg-buildpackage dh; do
	command -v $tool >/dev/null || {
		echo "deb.sh: $tool is not installed: apt-get install build-essential debhelper" >&2
		exit 1
	}
done

# debhelper wants debian/ at the top, and writes there: a copy of the sources has it. git knows what belongs to them.
work=$folder/haplua-$debian
rm -rf "$folder"
mkdir -p "$work"
if git ls-files --error-unmatch packaging/deb.sh >/dev/null 2>&1; then
	git ls-files -z | tar c --null --verbatim-files-from -T - | tar x -C "$work"
else
	tar c --exclude=./build --exclude=./haplua --exclude='./haplua-*.so' . | tar x -C "$work"
fi
mv "$work/packaging/debian" "$work/debian"
commit=${version#"$number"}
echo "$number ${commit#-}" >"$work/packaging/version"

maintainer=$(sed -n 's/^Maintainer: //p' "$work/debian/control")
if [ -n "${DEBFULLNAME-}" ] && [ -n "${DEBEMAIL-}" ]; then
	maintainer="$DEBFULLNAME <$DEBEMAIL>"
fi
cat >"$work/debian/changelog" <<-END
	haplua ($debian-0haplua1) unstable; urgency=medium

	  * /usr/share/doc/haplua/changelog.gz says what has changed.

	 -- $maintainer  $(LC_ALL=C date -u -R -d "@$when")
END

log=$(cd "$folder" && pwd)/log
(cd "$work" && dpkg-buildpackage -us -uc -b -j"$(nproc)") >"$log" 2>&1 || {
	tail -n 40 "$log" >&2
	exit 1
}
rm -rf "$work"
ls "$folder"/*.deb
