#!/bin/sh
# versions.sh - fetch the HAProxy versions that the tests run against.
#
#   tests/versions.sh [DIR]      DIR keeps them; haplua/versions in the user's cache folder
#                                unless given. Remove it to fetch them again
#
# Prints one line for each version: VERSION PROGRAM. If it cannot get a version, it prints
# `skip VERSION: reason` to standard error. Status 0 with at least one version, 1 with none,
# 2 for bad usage. The output of apt and dpkg goes to DIR/VERSION.log.
#
# The packages are Debian's, each version from the release that ships it, together with the
# libraries of that release. Nothing is installed, and root is not needed. PROGRAM is an
# ordinary program of this machine, but its ELF header names the loader and the libraries of
# its release. So it sees the machine's files, sockets and ports, and it can execute itself
# again, as HAProxy does at a reload in master-worker mode. (A program that is started
# through its loader cannot: it would execute the file with this machine's libraries.)
#
# The mirrors are those of apt's configuration. If that has no Debian mirror, name them:
# HAPLUA_MIRROR, and HAPLUA_SECURITY_MIRROR for the security updates.
set -u

usage()
{
	echo "usage: tests/versions.sh [DIR]" >&2
	exit 2
}

# Print the mirror of apt's first source for a Debian release whose name ends with $1.
mirror()
{
	# shellcheck disable=SC2016 # the names between parentheses are for apt
	apt-get indextargets --no-release-info --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' \
		2>/dev/null | awk -v suffix="$1" '
		BEGIN {
			n = split("bullseye bookworm trixie forky sid oldoldstable oldstable" \
				" stable testing unstable", names, " ")
			for (i = 1; i <= n; i++)
				known[names[i] suffix] = 1
		}
		$1 in known { print $2; exit }'
}

# Succeeds if $2 is a HAProxy of version $1 that runs here.
runs()
{
	[ -x "$2" ] && "$2" -v 2>/dev/null | grep -q "^HA-*Proxy version $1\."
}

# Print the reason of a failure: the last error in the log $1 that is not just a count.
reason()
{
	line=$(sed -n '/index files failed/d; s/^E: //p' "$1" | tail -n 1)
	echo "${line:-see $1}"
}

# Configure a private apt in $1 for release $2, with its own sources and folders and an empty
# list of installed packages. It uses this machine's proxy settings, but not its hooks.
configure()
{
	mkdir -p "$1/lists/partial" "$1/archives/partial" "$1/none" || return 1
	: >"$1/status"
	{
		echo "deb [arch=$arch$signed] $main_mirror $2 main"
		[ -z "$security_mirror" ] ||
			echo "deb [arch=$arch$signed] $security_mirror $2-security main"
	} >"$1/sources.list"
	cat >"$1/apt.conf" <<-END
		#clear APT::Architectures;
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		APT::Architectures { "$arch"; };
		APT::Install-Recommends "false";
		APT::Sandbox::User "root";
		APT::Update::Error-Mode "any";
		Acquire::Check-Valid-Until "false";
		Acquire::Languages "none";
		Dir::Etc::SourceList "$1/sources.list";
		Dir::Etc::SourceParts "$1/none";
		Dir::Etc::Preferences "$1/none/no";
		Dir::Etc::PreferencesParts "$1/none";
		Dir::State "$1";
		Dir::State::Status "$1/status";
		Dir::State::Lists "$1/lists";
		Dir::Cache "$1";
		Dir::Cache::Archives "$1/archives";
	END
}

# Fetch the packages of haproxy and of all its dependencies from release $2 into $1/archives.
download()
{
	configure "$1" "$2" || return 1
	if ! apt-get -c "$1/apt.conf" update; then
		# not every release has security updates at every time
		[ -n "$security_mirror" ] || return 1
		sed -i 2d "$1/sources.list"
		apt-get -c "$1/apt.conf" update || return 1
	fi
	apt-get -c "$1/apt.conf" -y --download-only install haproxy patchelf
}

# Unpack the programs and libraries of $1/archives into $2.
unpack()
{
	mkdir -p "$2" || return 1
	for deb in "$1"/archives/*.deb; do
		case ${deb##*/} in
		haproxy_* | patchelf_* | lib* | zlib*) dpkg-deb -x "$deb" "$2" || return 1 ;;
		esac
	done
}

# Let the program in the tree $1 use the loader and the libraries of that tree.
adopt()
{
	loader=''
	for f in "$1"/lib/*-linux-*/ld-linux*.so.* "$1"/usr/lib/*-linux-*/ld-linux*.so.*; do
		[ ! -e "$f" ] || loader=$f
	done
	libs=''
	for d in "$1"/lib/*-linux-* "$1"/usr/lib/*-linux-*; do
		[ ! -d "$d" ] || libs=${libs:+$libs:}$d
	done
	if [ -z "$loader" ] || [ -z "$libs" ]; then
		echo "E: the packages hold no loader or no libraries"
		return 1
	fi
	# the old kind of rpath: it also applies to libraries that the libraries load
	"$loader" --library-path "$libs" "$1/usr/bin/patchelf" --set-interpreter "$loader" \
		--force-rpath --set-rpath "$libs" "$1/usr/sbin/haproxy"
}

# Fetch version $1 from release $2. On failure, prints why and leaves only the log.
build()
{
	log=$dir/$1.log
	work=$dir/$1.work
	root=$dir/$1
	rm -rf "$work" "$root" "$dir/bin/haproxy-$1"
	if ! download "$work" "$2" >"$log" 2>&1; then
		echo "skip $1: no packages of $2: $(reason "$log")" >&2
	elif ! { unpack "$work" "$root" && adopt "$root"; } >>"$log" 2>&1; then
		echo "skip $1: cannot unpack: $(reason "$log")" >&2
	elif ! runs "$1" "$root/usr/sbin/haproxy"; then
		found=$("$root/usr/sbin/haproxy" -v 2>&1 | head -n 1)
		echo "skip $1: $2 has another, or it does not run: $found" >&2
	else
		rm -rf "$work"
		ln -s "$root/usr/sbin/haproxy" "$dir/bin/haproxy-$1"
		return 0
	fi
	rm -rf "$work" "$root"
	return 1
}

# Print the line of version $1, fetched from release $2 if needed, or why it cannot be had.
version()
{
	if ! runs "$1" "$dir/bin/haproxy-$1"; then
		if [ -n "$missing" ]; then
			echo "skip $1: not in $dir, and cannot be fetched: $missing" >&2
			return 1
		fi
		echo "fetching HAProxy $1 from Debian $2" >&2
		build "$1" "$2" || return 1
	fi
	echo "$1 $dir/bin/haproxy-$1"
}

[ $# -le 1 ] || usage
case ${1-} in
-*) usage ;;
'') dir=${XDG_CACHE_HOME:-${HOME:?}/.cache}/haplua/versions ;;
*) dir=$1 ;;
esac
case $dir in
*[!A-Za-z0-9/._+@~-]*)
	echo "versions.sh: a space or special character in the path: $dir" >&2
	exit 2
	;;
esac
if ! mkdir -p "$dir/bin" || ! dir=$(cd "$dir" && pwd); then
	echo "versions.sh: cannot make $dir" >&2
	exit 1
fi

missing=''
main_mirror=''
security_mirror=''
signed=''
arch=''
if ! runs 2.2 "$dir/bin/haproxy-2.2" || ! runs 2.6 "$dir/bin/haproxy-2.6" ||
	! runs 3.0 "$dir/bin/haproxy-3.0" || ! runs 3.2 "$dir/bin/haproxy-3.2"; then
	for tool in apt-get dpkg dpkg-deb flock; do
		command -v "$tool" >/dev/null || missing="no $tool here (not a Debian?)"
	done
	if ! touch "$dir/lock" 2>/dev/null; then
		missing="no right to write there"
	elif [ -z "$missing" ]; then
		# two processes must not build the same folders; the lock ends with this process
		exec 9>>"$dir/lock"
		flock 9
		arch=$(dpkg --print-architecture)
		main_mirror=${HAPLUA_MIRROR-$(mirror '')}
		security_mirror=${HAPLUA_SECURITY_MIRROR-$(mirror -security)}
		for f in /usr/share/keyrings/debian-archive-keyring.[gp][pg][gp]; do
			[ ! -e "$f" ] || signed=" signed-by=$f"
		done
		[ -n "$main_mirror" ] ||
			missing="apt knows no Debian mirror (set HAPLUA_MIRROR)"
	fi
fi

have=0
while read -r v release; do
	if version "$v" "$release" </dev/null; then
		have=$((have + 1))
	fi
done <<-END
	2.2 bullseye
	2.6 bookworm
	3.0 trixie
	3.2 forky
END
[ "$have" -gt 0 ]
