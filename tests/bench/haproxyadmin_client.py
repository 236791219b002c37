#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# haproxyadmin_client.py - client.py with the library haproxyadmin; bench.sh measures it if that is installed.
#
#	haproxyadmin_client.py switch SOCKET...   clear the ACL #9999 and add ^.*$, one after the other
#	haproxyadmin_client.py servers SOCKET     every server's name
import sys

from haproxyadmin import haproxy

if sys.argv[1] == "switch":
    for path in sys.argv[2:]:
        hap = haproxy.HAProxy(socket_file=path)
        hap.clear_acl(9999)
        hap.add_acl(9999, "^.*$")
else:
    # names only: the library asks for the state of each server by a request of its own
    found = {(s.backendname, s.name) for s in haproxy.HAProxy(socket_file=sys.argv[2]).servers()}
    assert len(found) >= 1000
