#!/bin/sh
# SPDX-License-Identifier: MIT
#
# demo_fleet.sh - show a fleet of three HAProxys that share their maintenances through three members of etcd. `make demo-fleet`
# builds haplua, then runs this. All that it starts listens on loopback ports only, and ends with it. Status: 0, or 1 when a
# step printed something else than expected.
set -u
cd "$(dirname "$0")/.." || exit 1
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C no_proxy=127.0.0.1
unset HAPLUA_SOCKET HAPLUA_JOURNAL
# shellcheck source=tests/show.sh
. tests/show.sh

NODES='lb1 lb2 lb3'
# At TERM a leader of etcd looks for another leader for 7 seconds. Nothing of what it holds is needed.
# shellcheck disable=SC2034 # clean uses it
end_by=KILL

# Make the authority ca, and a key with a certificate for each name.
make_certificates()
{
	openssl ecparam -name prime256v1 -genkey -noout -out "$dir/ca.key" &&
		openssl req -x509 -new -key "$dir/ca.key" -subj /CN=demo-ca -days 2 -out "$dir/ca.crt" || return
	printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' >"$dir/extensions"
	for name; do
		openssl ecparam -name prime256v1 -genkey -noout -out "$dir/$name.key" &&
			openssl req -new -key "$dir/$name.key" -subj "/CN=$name" -out "$dir/$name.csr" &&
			openssl x509 -req -in "$dir/$name.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
				-extfile "$dir/extensions" -out "$dir/$name.crt" || return
	done
}

# Call etcd's own client on the member with the port $1.
member()
{
	endpoint=https://127.0.0.1:$1
	shift
	# a call that comes during an election may be lost, and is made again
	ETCDCTL_API=3 etcdctl --command-timeout 2s --endpoints "$endpoint" --cacert "$dir/ca.crt" --cert "$dir/alice.crt" \
		--key "$dir/alice.key" "$@"
}

# Start the member $1 on port $2; its peers reach it on port $3.
start_member()
{
	etcd --name "m$1" --data-dir "$dir/m$1" --listen-client-urls "https://127.0.0.1:$2" \
		--advertise-client-urls "https://127.0.0.1:$2" --listen-peer-urls "https://127.0.0.1:$3" \
		--initial-advertise-peer-urls "https://127.0.0.1:$3" --initial-cluster "$peers" --initial-cluster-token "demo-$$" \
		--cert-file "$dir/server.crt" --key-file "$dir/server.key" --trusted-ca-file "$dir/ca.crt" --client-cert-auth \
		--peer-cert-file "$dir/server.crt" --peer-key-file "$dir/server.key" --peer-trusted-ca-file "$dir/ca.crt" \
		--peer-client-cert-auth >"$dir/m$1.log" 2>&1 &
}

# Start three members, and wait until they take calls: they need each other for that.
start_etcd()
{
	rm -rf "$dir"/m[123]
	p1=$(free_port) p2=$(free_port) p3=$(free_port)
	peers=m1=https://127.0.0.1:$p1,m2=https://127.0.0.1:$p2,m3=https://127.0.0.1:$p3
	e1=$(free_port) e2=$(free_port) e3=$(free_port)
	start_member 1 "$e1" "$p1"
	m1=$!
	start_member 2 "$e2" "$p2"
	m2=$!
	start_member 3 "$e3" "$p3"
	m3=$!
	for port in $e1 $e2 $e3; do
		until member "$port" get ready >"$dir/null" 2>&1; do
			if ! kill -0 $m1 || ! kill -0 $m2 || ! kill -0 $m3; then
				kill $m1 $m2 $m3
				return 1
			fi 2>"$dir/null"
			sleep 0.1
		done
	done
}

# Start the HAProxy of the node $1.
start_haproxy()
{
	port=$(free_port)
	cat >"$dir/$1.cfg" <<-END
		global
		    stats socket $dir/$1.sock mode 600 level admin
		defaults
		    mode http
		    timeout connect 5s
		    timeout client 5s
		    timeout server 5s
		frontend frontend-http
		    bind 127.0.0.1:$port
		    acl maintenance path -i -u 9999 -m reg
		    http-request return status 503 content-type text/plain string "Back soon" if maintenance
		    http-request return status 200 content-type text/plain string "The application"
	END
	haproxy -db -f "$dir/$1.cfg" >"$dir/$1.log" 2>&1 &
	answers "$port" $! && ports="$ports $port"
}

# Write the configuration of the machine $1.
configure()
{
	cat >"$dir/$1.lua" <<-END
		return {
		  switches = { site = { acl = "#9999" } },
		  fleet = {
		    name = "shop", node = "$1",
		    etcd = { endpoints = { "https://127.0.0.1:$e1", "https://127.0.0.1:$e2", "https://127.0.0.1:$e3" },
		             ca = "$dir/ca.crt", cert = "$dir/$1.crt", key = "$dir/$1.key" },
		  },
		}
	END
}

# Start the agent of the node $1. $agent is its process.
start_agent()
{
	HAPLUA_SOCKET=$dir/$1.sock ./haplua scripts/keep.lua --journal "$dir/$1.db" --config "$dir/$1.lua" >>"$dir/$1.keep.log" 2>&1 &
	agent=$!
}

# Wait until the command line ends with status 0.
wait_until()
{
	tries=0
	until eval "$*" >"$dir/null" 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || fail "'$*' does not come true"
		sleep 0.1
	done
}

# Kill a process at once, as where its machine loses its power.
lose()
{
	kill -KILL "$1"
	wait "$1" 2>"$dir/null"
}

# Show what a visitor of the path $2 sees at each node: $1, a status a node.
visit()
{
	seen=
	for port in $ports; do
		seen="$seen $(curl -s -o "$dir/null" -w '%{http_code}' "http://127.0.0.1:$port$2")"
	done
	printf '  a visitor of %s at %s sees:%s\n' "$2" "$(echo "$NODES" | sed 's/ /, /g')" "$seen" 2>"$dir/null"
	[ "$seen" = " $1" ] || fail "$1 was expected"
}

for tool in haproxy etcd etcdctl openssl curl; do
	command -v $tool >/dev/null || fail "$tool is not installed (\`make demo-fleet\` installs it)"
done
for file in haplua haplua-fleet.so; do
	[ -e $file ] || fail "$file is not built (\`make demo-fleet\` builds it)"
done
make_folder demo-fleet
# shellcheck disable=SC2086 # the list is to be split
make_certificates server alice $NODES >"$dir/openssl.log" 2>&1 || fail "cannot make certificates"
start start_etcd
ports=
for node in $NODES alice; do
	configure "$node"
done
for node in $NODES; do
	start start_haproxy "$node"
done
export HAPLUA_CONFIG="$dir/alice.lua"

cat <<END
Three members of etcd listen on this machine, and three HAProxys: lb1, lb2, lb3. Each may be on a machine of its own. The
configuration on each names etcd's members and the node:

${dim}$(sed "s/^/    /; s|$dir|/etc/haplua|g" "$dir/lb1.lua")$plain
END
say "1. Alice, on a machine without an HAProxy, founds the fleet. Then \`haplua keep\` runs on each node."
try "" "export HAPLUA_CONFIG=$dir/alice.lua"
try "the fleet shop is founded" "./haplua scripts/fleet.lua init"
for node in $NODES; do
	start_agent "$node"
	[ "$node" != lb2 ] || lb2=$agent
done
# shellcheck disable=SC2016 # wait_until expands it
wait_until '[ "$(member $e2 get --keys-only --prefix /haplua/v1/shop/nd/ | grep -c /live)" = 3 ]'
try lb3 "./haplua scripts/fleet.lua nodes"
say "2. One command begins a maintenance on all nodes. It returns once each node has reported."
try "on 3 of 3 nodes" "./haplua scripts/maint.lua on --path /shop --reason 'new database'"
visit "503 503 503" /shop
visit "200 200 200" /
say "3. A member of etcd is killed. Two of three are enough for a change."
lose "$m1"
wait_until "member $e2 get ready && member $e3 get ready"
try "on 3 of 3 nodes" "./haplua scripts/maint.lua on --path /blog --reason 'new theme' --within 60"
visit "503 503 503" /blog
say "4. The agent of lb2 is killed. What it has closed stays closed. The end of /shop reaches the other nodes. The command
   names the node that is missing, and its exit status is 5."
lose "$lb2"
expected=5
try lb2 "./haplua scripts/maint.lua off --path /shop --within 3"
visit "200 503 200" /shop
try "(behind)" "./haplua scripts/maint.lua status"
expected=0
say "5. The agent of lb2 runs again, and lb2 catches up."
start_agent lb2
# shellcheck disable=SC2086 # the list is to be split
set -- $ports
wait_until "curl -sf http://127.0.0.1:$2/shop"
visit "200 200 200" /shop
say "6. All maintenance ends."
try "on 3 of 3 nodes" "./haplua scripts/maint.lua off --within 60"
visit "200 200 200" /blog
say "7. The fleet has one log."
try "not everywhere at first: lb2" "./haplua scripts/maint.lua log"
say "See docs/fleet.md for more."
