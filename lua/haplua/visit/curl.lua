-- SPDX-License-Identifier: MIT
--
--- The module curl.so, which holds libcurl: loaded when something first asks over HTTP, and never by a start of haplua.
-- src/curl/module.c has its functions. Raises `refused` where it cannot be loaded.

return require("haplua.base.module").load("curl", "haplua's module for HTTP",
  "`make` and `make install` put it there; to build it needs libcurl4-openssl-dev.")
