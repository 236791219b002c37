-- SPDX-License-Identifier: MIT
--
--- The module curl.so, which holds libcurl: loaded when something first asks over HTTP, and never by a start of haplua.
-- It lies beside the program in its source tree (haplua-curl.so), else where `make install` puts it
-- (../lib/haplua/curl.so). src/curl/module.c has its functions. Raises `refused` where it cannot be loaded.

local error = require("haplua.error")
local file = require("haplua.file")

local function fail(path, problem)
  problem = problem:match("^[^\n]*")
  local library = problem:match("^(libcurl[%w.%-]*): cannot open shared object file")
  error.refuse(("%s cannot be loaded: %s"):format(path, problem), library
    and ("Install %s: apt-get install libcurl4 (from Debian 13 on: libcurl4t64)."):format(library)
    or "Build and install haplua and this file together: make && make install.")
end

local program = (file.link("/proc/self/exe") or "haplua"):gsub(" %(deleted%)$", "")
local beside, installed = program .. "-curl.so", (program:match("^.*/") or "") .. "../lib/haplua/curl.so"
local path = file.info(beside) and beside or file.info(installed) and installed
if not path then
  error.refuse(("haplua's module for HTTP is not there: neither %s nor %s"):format(beside, installed),
    "`make` and `make install` put it there; to build it needs libcurl4-openssl-dev.")
end

local open, problem = package.loadlib(path, "luaopen_haplua_curl")
if not open then
  fail(path, problem)
end
local is_open, module = pcall(open)
if not is_open then
  fail(path, tostring(module))
end
return module
