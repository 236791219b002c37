-- SPDX-License-Identifier: MIT
--
--- Lines of HAProxy's configuration that haplua advises. tests/real/advice_test.lua gives them to HAProxy.

local detours = require("haplua.rules.detours")

local M = {}

M.NO_HOST = "http-request deny deny_status 400 unless { req.hdr(host) -m found }"

--- The lines of a frontend that use a switch that is a map.
---@param switch haplua.Switch
---@param plain string?  converters that make a plain path of an odd one: the lines for these
---@return string
function M.of_map(switch, plain)
  local prefix, value = plain and "plain_" or "", ("base,map_reg(%s)"):format(switch.acl)
  if plain then
    value = ("'base,%s,map_reg(%s)'"):format(plain, switch.acl)
  end
  return (([[
  http-request set-var(txn.@maintenance) %s
  http-request set-var(txn.@mask) var(txn.@maintenance),field(3,|),add(0)
  http-request set-var(txn.@lacks) src,map_ip_int(%s,0),cpl,and(txn.@mask)
  use_backend maintenance if { var(txn.@maintenance) -m found } !{ var(txn.@lacks) -m int 0 }]]):gsub("@", prefix):format(value,
    switch.bypass or switch.acl:gsub("%.map$", "") .. "-bypass.map"))
end

--- Lines that close odd paths, too.
local function odd_lines(switch, declaration)
  if switch.kind == "map" then
    return "add to the frontend\n" .. M.of_map(switch, detours.PLAIN)
  elseif declaration and declaration.numbered then
    return ("a list of -u has one line; give it a file, and declare it twice:\n  %s\n  %s"):format(declaration.line,
      declaration.odd)
  end
  return declaration and "add below its declaration: " .. declaration.odd
end

--- What to do about requests that get round a scope.
---@param switch haplua.Switch
---@param name "paths"|"hosts"|"site"  what the scope names
---@param found haplua.rules.Detours
---@param declaration table?  of the list, from haplua.rules.detours
---@return string?
function M.against(switch, name, found, declaration)
  local advised, host = {}, false
  for _, text in ipairs(found.open) do
    host = host or text:find("without Host", 1, true)
  end
  advised[#advised + 1] = found.path and odd_lines(switch, declaration) or found.case and "declare the list with -i before -f"
    or nil
  advised[#advised + 1] = host and "refuse requests that name no host: " .. M.NO_HOST or nil
  if #advised == 0 and #found.open > 0 then
    advised[1] = name == "site" and "declare the ACL with `base -i -m reg`: it sees a host where there is no path" or
      "declare the ACL with `base -i -m reg`"
  end
  return #advised > 0 and table.concat(advised, "\n") or nil
end

return M
