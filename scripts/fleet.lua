#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- A fleet: several HAProxys that `haplua maint` sends to maintenance together, through an etcd that they share. The
-- configuration names it (docs/fleet.md); `haplua keep` on each node follows it.
--
--   $ haplua fleet init
--   the fleet shop is founded
--
--   haplua fleet rights --node lb1        the etcdctl lines that let a node in
--   haplua fleet rights --operator alice --switch shop
--   haplua fleet join                     on a node: give the fleet what is in force here
--   haplua fleet nodes
--   haplua fleet status                   etcd's members, the planner, nodes that are out of step
--   haplua fleet forget lb9

return require("haplua.cli").main("fleet", arg, print)
