#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# client.py - a short Python program that uses the socket; bench.sh measures it.
#
#	client.py switch SOCKET...           clear the ACL #9999 and add ^.*$, one after the other
#	client.py replace SOCKET REF COUNT   prepare, add and commit that many patterns
#	client.py servers SOCKET             `show servers state` as a list of dictionaries
#	client.py stat SOCKET                `show stat` as a list of dictionaries, by the module csv
#	client.py hold SOCKET COUNT          hold COUNT connections until it is ended
import socket
import sys
import time


def ask(path, line):
    answer = bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.connect(path)
        s.sendall(line.encode() + b"\n")
        while piece := s.recv(65536):
            answer += piece
    return answer.decode()


def replace(path, ref, count):
    version = ask(path, f"prepare acl {ref}").split()[-1]
    line = ""
    for i in range(1, count + 1):
        command = f"add acl @{version} {ref} ^/python/{i}"
        if len(line) + len(command) >= 14900:
            ask(path, line)
            line = ""
        line += ";" + command if line else command
    ask(path, line)
    ask(path, f"commit acl @{version} {ref}")


def servers(path):
    lines = ask(path, "show servers state").splitlines()
    names = lines[1].split()[1:]
    return [dict(zip(names, line.split())) for line in lines[2:] if line]


def stat(path):
    import csv  # here: the other commands start faster without it
    import io
    return list(csv.DictReader(io.StringIO(ask(path, "show stat").removeprefix("# "))))


def hold(path, count):
    held = []
    for _ in range(count):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        while s.connect_ex(path) != 0:
            time.sleep(0.001)
        held.append(s)
    print("ready", flush=True)
    time.sleep(3600)


if sys.argv[1] == "switch":
    for where in sys.argv[2:]:
        ask(where, "clear acl #9999")
        ask(where, "add acl #9999 ^.*$")
elif sys.argv[1] == "replace":
    replace(sys.argv[2], sys.argv[3], int(sys.argv[4]))
elif sys.argv[1] == "stat":
    assert len(stat(sys.argv[2])) >= 1000
elif sys.argv[1] == "hold":
    hold(sys.argv[2], int(sys.argv[3]))
else:
    assert len(servers(sys.argv[2])) >= 1000
