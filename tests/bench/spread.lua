-- SPDX-License-Identifier: MIT
--
-- spread.lua FILE SCRIPT ARGUMENT... - run a policy on several HAProxys, and append two times in milliseconds to FILE:
-- how long the policy prepared, and how far apart at most the HAProxys were switched. A HAProxy is switched between
-- the sending of the command and its answer. So none is switched before the first command is sent, and all are when
-- the last has answered.

local core = require("haplua.core")
local now = require("haplua.task").now

--- Does this command switch the HAProxy?
local function switches(words)
  local text = type(words) == "table" and table.concat(words, " ", 1, math.min(#words, 3)) or tostring(words)
  return text:find("^commit ") or text:find("^add %a+ [^@]") or text:find("^del %a+ [^@]") or text:find("^clear %a+ [^@]")
end

local function one_switches(commands)
  for _, words in ipairs(commands) do
    if switches(words) then
      return true
    end
  end
end

if not core.measured then
  local m = { targets = 0, ended = 0, begin = now(), first = math.huge, last = 0 }
  core.measured = m
  for name, looks in pairs({ send = switches, each = switches, batch = one_switches }) do
    local call = core.methods[name]
    core.methods[name] = function(target, what, ...)
      if not looks(what) then
        return call(target, what, ...)
      end
      m.first = math.min(m.first, now())
      local results = table.pack(call(target, what, ...))
      m.last = math.max(m.last, now())
      return table.unpack(results, 1, results.n)
    end
  end
end

local m = core.measured
m.targets = m.targets + 1
local path, script = table.remove(arg, 1), table.remove(arg, 1)
assert(loadfile(script, "t", _ENV))(table.unpack(arg))
m.ended = m.ended + 1
if m.ended == m.targets then
  local f <close> = assert(io.open(path, "a"))
  f:write(("%.2f %.2f\n"):format((m.first - m.begin) * 1e3, (m.last - m.first) * 1e3))
end
