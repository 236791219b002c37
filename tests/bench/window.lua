-- SPDX-License-Identifier: MIT
--
-- window.lua - measure how long after the beginning and the end of a window HAProxy is switched, for ten windows. Prints
-- the rows of a table. Usage: BUILD=build ./haplua tests/bench/window.lua

package.path = "tests/lua/?.lua;tests/real/?.lua;" .. package.path

local moment = require("haplua.time.instant")
local site = require("site")
local support = require("support")

local WINDOWS, OPEN, CLOSED = 10, 2, 2

local s <close> = site.start({ threads = 1 })

--- Windows that begin at whole seconds, and the instants at which they begin and end.
---@return string[] specs, integer[] instants
local function plan()
  local specs, instants = {}, {}
  local at = os.time() + 3
  for i = 1, WINDOWS do
    specs[i] = ("%s for %ds"):format(moment.iso(at), OPEN)
    table.move({ at, at + OPEN }, 1, 2, #instants + 1, instants)
    at = at + OPEN + CLOSED
  end
  return specs, instants
end

local function switched()
  return #s.target:acl_list("#9999") > 0
end

--- Ask HAProxy again and again. Returns the milliseconds from each instant until it has switched.
local function watch(instants)
  local late = {}
  for i, instant in ipairs(instants) do
    task.sleep_until(instant - 0.2)
    local before = switched()
    assert(before == (i % 2 == 0), "it is early")
    while switched() == before do
      assert(task.time() < instant + 1, "it is more than a second late")
    end
    late[i] = (task.time() - instant) * 1000
  end
  table.sort(late)
  return late
end

local specs, instants = plan()
local words = {
  env = { HAPLUA_JOURNAL = s.dir .. "/journal.db", HAPLUA_CONFIG = "none" }, stdout = "null",
  support.program()[1], "-s", s.socket, "scripts/window.lua", "run",
}
table.move(specs, 1, #specs, #words + 1, words)
local _ <close> = task.spawn(run, words)
local late = watch(instants)
print("| a window's instant, until HAProxy has switched | boundaries | least | median | most |")
print("| --- | ---: | ---: | ---: | ---: |")
print(("| `window run`, with journal (bar: median 20 ms) | %d | %.1f ms | %.1f ms | %.1f ms |"):format(
  #late, late[1], late[(#late + 1) // 2], late[#late]))
