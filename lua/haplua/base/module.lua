-- SPDX-License-Identifier: MIT
--
--- Modules of haplua in C that no start of haplua loads. Such a module lies beside the program in its source tree
-- (haplua-NAME.so), else where `make install` puts it (../lib/haplua/NAME.so).

local error = require("haplua.error")
local file = require("haplua.file")

local M = {}

local function fail(path, problem)
  problem = problem:match("^[^\n]*")
  local library, name, version = problem:match("^(lib([%w-]+)%.so%.(%d+)[%d.]*): cannot open shared object file")
  error.refuse(("%s cannot be loaded: %s"):format(path, problem), library
    and ("Install %s: apt-get install lib%s%s%s."):format(library, name, version,
      name == "curl" and " (from Debian 13 on: libcurl4t64)" or "")
    or "Build and install haplua and this file together: make && make install.")
end

--- Load a module. Raises `refused` where that is not possible.
---@param name string  "curl": haplua-curl.so, or curl.so where it is installed
---@param what string  what it is, for messages: "haplua's module for HTTP"
---@param build string  what else is needed to build it
---@return table
function M.load(name, what, build)
  local program = (file.link("/proc/self/exe") or "haplua"):gsub(" %(deleted%)$", "")
  local beside = ("%s-%s.so"):format(program, name)
  local installed = ("%s../lib/haplua/%s.so"):format(program:match("^.*/") or "", name)
  local path = file.info(beside) and beside or file.info(installed) and installed
  if not path then
    error.refuse(("%s is not there: neither %s nor %s"):format(what, beside, installed), build)
  end
  local open, problem = package.loadlib(path, "luaopen_haplua_" .. name)
  if not open then
    fail(path, problem)
  end
  local is_open, module = pcall(open)
  if not is_open then
    fail(path, tostring(module))
  end
  return module
end

return M
