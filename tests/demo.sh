#!/bin/sh
# SPDX-License-Identifier: MIT
#
# demo.sh - show what haplua does, on a private HAProxy. `make demo` builds haplua, then runs this.
# The servers that it starts listen on loopback ports only, and end with it. Status: 0, or 1
# when a step printed something else than expected.
set -u
cd "$(dirname "$0")/.." || exit 1
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C no_proxy=127.0.0.1 HAPLUA_CONFIG=none
# shellcheck source=tests/show.sh
. tests/show.sh

# Start the website: an nginx with the application and the maintenance page.
start_nginx()
{
	app=$(free_port) page=$(free_port)
	cat >"$dir/maintenance.html" <<-END
		<h1>Back soon</h1><p>We are working on it.</p>
	END
	cat >"$dir/nginx.conf" <<-END
		daemon off;
		master_process off;
		pid $dir/nginx.pid;
		events { }
		http {
		    access_log off;
		    client_body_temp_path $dir/1;
		    proxy_temp_path $dir/2;
		    fastcgi_temp_path $dir/3;
		    uwsgi_temp_path $dir/4;
		    scgi_temp_path $dir/5;
		    server {                            # the application
		        listen 127.0.0.1:$app;
		        default_type text/html;
		        return 200 "<h1>The application</h1><p>Welcome!</p>\n";
		    }
		    server {                            # the maintenance page, for any path
		        listen 127.0.0.1:$page;
		        root $dir;
		        error_page 503 /maintenance.html;
		        location / { return 503; }
		        location = /maintenance.html { internal; default_type text/html; }
		    }
		}
	END
	nginx -e "$dir/nginx.log" -c "$dir/nginx.conf" >"$dir/nginx.out.log" 2>&1 &
	answers "$app" $!
}

start_haproxy()
{
	port=$(free_port)
	cat >"$dir/haproxy.cfg" <<-END
		global
		    stats socket $dir/haproxy.sock mode 600 level admin
		defaults
		    mode http
		    timeout connect 5s
		    timeout client 5s
		    timeout server 5s
		frontend frontend-http
		    bind 127.0.0.1:$port
		    acl maintenance path -i -u 9999 -m reg
		    use_backend maintenance if maintenance
		    default_backend app
		backend app
		    server app 127.0.0.1:$app
		backend maintenance
		    server maintenance-nginx 127.0.0.1:$page
	END
	haproxy -db -f "$dir/haproxy.cfg" >"$dir/haproxy.log" 2>&1 &
	answers "$port" $!
}

visit()
{
	try "$1" "curl -s -w 'status %{http_code}\n' http://127.0.0.1:$port/"
	tail -n 1 "$dir/out" | grep -qx "status $2" || fail "status $2 was expected"
}

for tool in haproxy nginx curl; do
	command -v $tool >/dev/null || fail "$tool is not installed (\`make demo\` installs it)"
done
[ -x ./haplua ] || fail "./haplua is not built (\`make\` builds it)"
make_folder demo
start start_nginx
start start_haproxy

cat <<END
A private HAProxy listens on port $port of this machine. Its configuration says:

${dim}    stats socket $dir/haproxy.sock mode 600 level admin
    frontend frontend-http
        acl maintenance path -i -u 9999 -m reg
        use_backend maintenance if maintenance
        default_backend app$plain
END
say "1. A visitor gets the application."
visit "The application" 200
say "2. Maintenance begins, for all visitors and at once."
try "" "export HAPLUA_SOCKET=$dir/haproxy.sock HAPLUA_JOURNAL=$dir/journal.db"
try "maintenance is on" "./haplua scripts/maint.lua on --reason 'new database'"
say "3. The same visitor gets the maintenance page, from nginx."
visit "Back soon" 503
say "4. The current state: since when, by whom, why."
try "new database" "./haplua scripts/maint.lua status"
say "5. A second maintenance, of a part, opens nothing, and its end leaves the first one in force."
try "also in force: m1  the whole site" "./haplua scripts/maint.lua on --path /shop"
try "still in force: m1  the whole site" "./haplua scripts/maint.lua off --path /shop"
visit "Back soon" 503
say "6. Maintenance ends."
try "maintenance is off" "./haplua scripts/maint.lua off"
visit "The application" 200
say "7. The journal has all changes."
try "[done]" "./haplua scripts/maint.lua log"
say "See docs/maintenance.md for more. scripts/ has more policies to run and to copy."
