#!/bin/sh
# SPDX-License-Identifier: MIT
#
# net.sh - run a program in a network of its own, in which each member of etcd has a network, too, so that it can be cut off.
# Usage: unshare -rn sh tests/fleet/net.sh MEMBERS PROGRAM...
# Member I is to be at 10.9.0.(I+1); the program, the agents and HAProxy are at 10.9.0.1 and 127.0.0.1. $FLEET_NETS names
# for each member a process in its network (tests/fleet/etcd.lua reads it). Status 77: there are no such networks here.
set -eu

members=$1
shift
ip link set lo up
ip link add fleet type bridge || exit 77
ip addr add 10.9.0.1/24 dev fleet
ip link set fleet up
FLEET_NETS=
ours=$(readlink /proc/self/ns/net)
# shellcheck disable=SC2086 # one word for each process
trap 'kill $FLEET_NETS 2>/dev/null' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
for i in $(seq "$members"); do
	unshare -n sleep 86400 &
	FLEET_NETS="$FLEET_NETS $!"
	while [ "$(readlink "/proc/$!/ns/net")" = "$ours" ]; do sleep 0.05; done
	ip link add "member$i" type veth peer name eth0 netns $! || exit 77
	ip link set "member$i" master fleet
	ip link set "member$i" up
	nsenter -t $! -n sh -c "ip link set lo up; ip addr add 10.9.0.$((i + 1))/24 dev eth0; ip link set eth0 up"
done
export FLEET_NETS
"$@"
