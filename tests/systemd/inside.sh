#!/bin/sh
# SPDX-License-Identifier: MIT
#
# inside.sh - the tests of tests/systemd/check.sh, inside its container. /check/phase is 1 at the first boot, 2 at the second.
set -eu
read -r phase </check/phase
echo >"/check/began.$phase"
unit=haplua-keep.service

fail() {
	echo "NOT SO: $*"
	systemctl --no-pager status $unit || :
	journalctl --no-pager -n 40 || :
	exit 1
}

# Wait until a command holds; the bound is for a slow machine.
until_so() {
	what=$1
	shift
	tries=0
	until "$@" >/check/last 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 400 ] || { cat /check/last; fail "$what"; }
		sleep 0.1
	done
	echo "ok: $what"
}

so() {
	what=$1
	shift
	"$@" >/check/last 2>&1 || { cat /check/last; fail "$what"; }
	echo "ok: $what"
}

property() {
	systemctl show --value -p "$1" $unit
}

is() {
	[ "$(property "$1")" = "$2" ]
}

is_not() {
	[ "$(property "$1")" != "$2" ] && [ "$(property "$1")" != 0 ]
}

# The status that a visitor gets.
visitor_gets() {
	[ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:80/$2")" = "$1" ]
}

has() {
	grep -qF -e "$1" "$2"
}

if [ "$phase" = 2 ]; then
	until_so "the enabled service runs after a boot" is ActiveState active
	until_so "what was in force is in force again" visitor_gets 503 ""
	so "haplua maint off opens the site" haplua maint off --all
	until_so "visitors get the application" visitor_gets 200 ""
	echo >/check/good.2
	exit 0
fi

: >/etc/haproxy/shop.acl
chown haproxy:adm /etc/haproxy/shop.acl
cp /check/haproxy.cfg /etc/haproxy/haproxy.cfg
# Debian's package of node_exporter has this folder
mkdir -p /var/lib/prometheus/node-exporter /usr/local/libexec /srv/status
# When the service ends a maintenance, this hook writes to a folder that the sandbox does not have.
cat >/usr/local/libexec/tell <<'END'
#!/bin/sh
set -e
change=$(cat)
echo "$change" >>/var/lib/haplua/told
case $change in
*'"expire"'*) echo "$change" >>/srv/status/page ;;
esac
END
chmod 755 /usr/local/libexec/tell
cat >/etc/haplua/config.lua <<'END'
return {
  default = "site", switches = { site = { acl = "#9999" }, shop = { acl = "/etc/haproxy/shop.acl" } },
  metrics = "/var/lib/prometheus/node-exporter/haplua.prom",
  hooks = { change = "/usr/local/libexec/tell" },
}
END
systemctl restart haproxy
until_so "HAProxy runs" visitor_gets 200 ""

so "the service is not enabled by the package" sh -c "! systemctl is-enabled $unit"
so "it starts, and says that it is ready (Type=notify)" systemctl enable --now $unit
so "it is active" is ActiveState active
echo "    status: $(property StatusText)"
# seconds instead of half a minute, for the test below
mkdir -p /run/systemd/system/$unit.d
printf '[Service]\nWatchdogSec=3\n' >/run/systemd/system/$unit.d/watchdog.conf
systemctl daemon-reload
so "it starts again" systemctl restart $unit

so "maintenance begins" haplua maint on --reason check --for 1h
so "visitors get the maintenance page" visitor_gets 503 ""
so "HAProxy reloads" systemctl reload haproxy
until_so "the service puts maintenance back after a reload" visitor_gets 503 ""

old=$(property MainPID)
kill -STOP "$old"
until_so "a service that hangs is started anew by the watchdog" is_not MainPID "$old"
until_so "and is ready again" is SubState running
so "systemd counts that" sh -c "journalctl -u $unit | grep -i 'watchdog timeout'"
old=$(property MainPID)
kill -KILL "$old"
until_so "a service that was killed is started anew" is_not MainPID "$old"
until_so "and is ready once more" is SubState running
systemctl reload haproxy
until_so "it holds maintenance as before" visitor_gets 503 ""

# the sandbox lets it write the lists and the journal
so "a maintenance of a list in a file begins" haplua maint on --switch shop --path /shop --for 1h
so "the file has it" has '^/shop' /etc/haproxy/shop.acl
so "it shall end soon" haplua maint change --switch shop --for 1s
until_so "the service ends it, and writes the file" sh -c '! grep -F -e ^/shop /etc/haproxy/shop.acl'

so "the file has its owner as before" sh -c '[ "$(stat -c %U:%G /etc/haproxy/shop.acl)" = haproxy:adm ]'
so "the journal has its end" sh -c 'haplua maint log --switch shop | grep "expire .*done"'
so "/home is hidden from it" sh -c "[ -z \"\$(nsenter -t $(property MainPID) -m ls -A /home)\" ]"
so "it cannot write to /etc" sh -c "! nsenter -t $(property MainPID) -m touch /etc/haplua/x"

metrics=/var/lib/prometheus/node-exporter/haplua.prom
until_so "it writes its metrics where node_exporter collects them" has haplua_keep_up $metrics
until_so "they have the maintenance in force" grep -q '^haplua_maintenance_in_force{.*switch="site".* 1$' $metrics
so "everybody may read them" sh -c "[ \"\$(stat -c %a $metrics)\" = 644 ]"
until_so "its hook writes to the journal's folder" grep -q '"expire"' /var/lib/haplua/told
until_so "doctor shows that the hook fails in a folder that the sandbox does not have" \
	sh -c 'haplua maint doctor | grep -i "tell.*failed\|/srv/status"'
so "and that folder has nothing of it" sh -c '[ ! -e /srv/status/page ]'
# the lines of docs/hooks.md
mkdir -p /etc/systemd/system/$unit.d
printf '[Service]\nReadWritePaths=/srv/status\n' >/etc/systemd/system/$unit.d/override.conf
systemctl daemon-reload
so "it starts with ReadWritePaths= of that folder" systemctl restart $unit
so "a maintenance begins for the hook" haplua maint on --switch shop --path /shop --for 1s
until_so "the hook writes there" grep -q '"expire"' /srv/status/page
exposure=$(systemd-analyze security --no-pager $unit | tail -n 1)
echo "    systemd-analyze security:${exposure#*:}"
so "its exposure is below 4" systemd-analyze security --no-pager --threshold=40 $unit

so "it stops" systemctl stop $unit
so "it has not failed" is Result success
so "what it held goes on" visitor_gets 503 ""
systemctl reload haproxy
until_so "without it a reload opens the site" visitor_gets 200 ""
so "it starts after that" systemctl start $unit
until_so "and closes the site" visitor_gets 503 ""
so "haplua maint doctor finds the service" sh -c 'haplua maint doctor | grep -i keep'
echo >/check/good.1
