#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# haproxyadmin_client.py - the same as client.py by the library haproxyadmin; bench.sh measures it where
# that is installed.
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
    # their state would be asked for server by server
    found = {(s.backendname, s.name) for s in haproxy.HAProxy(socket_file=sys.argv[2]).servers()}
    assert len(found) >= 1000
