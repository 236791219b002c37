#!/bin/sh
# SPDX-License-Identifier: MIT
#
# part.sh - run a command with a network, mounts, processes and a host name of its own.
# Usage: part.sh COMMAND...    Status: that of the command; 77 where this user cannot have namespaces.
set -u
user=
[ "$(id -u)" = 0 ] || user=-Ur
unshare $user -nmpiu --fork --kill-child --mount-proc sh -c 'mount -t tmpfs tmpfs /run && ip link set lo up' 2>/dev/null ||
	exit 77
# shellcheck disable=SC2016 # the shell in the namespaces expands it; it is process 1 there
exec unshare $user -nmpiu --fork --kill-child --mount-proc sh -c '"$@"; exit $?' sh "$@"
