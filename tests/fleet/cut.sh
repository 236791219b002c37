#!/bin/sh
# SPDX-License-Identifier: MIT
#
# cut.sh - start a member of etcd in a network of its own, and run a program that can cut it off.
# Usage: unshare -rn sh tests/fleet/cut.sh FOLDER ETCD PROGRAM...
# The member is at 10.9.0.2, without TLS. FOLDER/cut is a script that cuts the link without a word. Status 77: no namespaces.
set -eu

folder=$1
etcd=$2
shift 2
ip link set lo up
unshare -n sleep 600 &
holder=$!
trap 'kill $holder $member 2>/dev/null' EXIT
member=
ours=$(readlink /proc/self/ns/net)
while [ "$(readlink /proc/$holder/ns/net)" = "$ours" ]; do sleep 0.05; done
ip link add here type veth peer name there netns $holder || exit 77
ip addr add 10.9.0.1/24 dev here
ip link set here up
nsenter -t $holder -n sh -c 'ip link set lo up; ip addr add 10.9.0.2/24 dev there; ip link set there up'
nsenter -t $holder -n "$etcd" --data-dir "$folder/data" --listen-client-urls http://10.9.0.2:2379 \
	--advertise-client-urls http://10.9.0.2:2379 --listen-peer-urls http://127.0.0.1:2380 \
	--initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster default=http://127.0.0.1:2380 \
	>"$folder/log" 2>&1 &
member=$!
printf '#!/bin/sh\nexec nsenter -t %s -n ip link set there down\n' $holder >"$folder/cut"
chmod 755 "$folder/cut"
"$@"
