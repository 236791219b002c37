-- SPDX-License-Identifier: MIT
--
--- The module fleet.so, which holds libcurl and protobuf-c: loaded when something first speaks with etcd, and never by a
-- start of haplua. src/etcd/module.c has its functions. Raises `refused` where it cannot be loaded.

return require("haplua.base.module").load("fleet", "haplua's module for etcd",
  "The package haplua-fleet has it. `make fleet` builds it from the sources, with libprotobuf-c-dev and protobuf-c-compiler.")
