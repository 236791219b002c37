-- SPDX-License-Identifier: MIT
--
--- `haplua test --watch`: runs the tests again, each time in a process of its own, whenever a Lua file changes. It looks
-- with find(1) and waits with sleep(1): the clock of this process is the one of tests, and stands still.

local run = require("run")

-- How often to look, in seconds; and what is looked at besides the folders of the tests, where it is there.
local EVERY <const>, FOLDERS <const> = "0.3", { "policies", "scripts", "lua" }

--- The folders to look at.
local function folders_of(paths)
  local list, file = {}, require("haplua.file")
  for _, path in ipairs(#paths > 0 and paths or { "." }) do
    local info = file.info(path)
    list[#list + 1] = info and (info.type == "folder" and path or path:match("^(.*)/") or ".") or nil
  end
  for _, path in ipairs(FOLDERS) do
    list[#list + 1] = file.info(path) and path or nil
  end
  for i, path in ipairs(list) do
    list[i] = path:gsub("^%-", "./-")
  end
  return list
end

--- The Lua files below folders, each with its size and the time of its change.
---@return table<string, string>
local function look(folders)
  local words = { "find", stdout = "capture", stderr = "null" }
  table.move(folders, 1, #folders, 2, words)
  for _, word in ipairs({ "-name", ".?*", "-prune", "-o", "-name", "*.lua", "-printf", "%p\\t%T@ %s\\n" }) do
    words[#words + 1] = word
  end
  local _, out = run(words)
  local files = {}
  for path, stamp in out:gmatch("([^\t\n]+)\t([^\n]+)") do
    files[path:gsub("^%./", "")] = stamp
  end
  return files
end

--- A file that has changed, is new, or is gone; nil: none.
local function difference(before, now)
  for path, stamp in pairs(now) do
    if before[path] ~= stamp then
      return path
    end
  end
  for path in pairs(before) do
    if not now[path] then
      return path
    end
  end
end

--- Run `haplua test` whenever a file has changed, until a signal comes.
---@param words string[]  of `haplua test`, without --watch
---@param paths string[]  the files and folders among them
return function(words, paths)
  local folders = folders_of(paths)
  while true do
    local seen = look(folders)
    run({ "/proc/self/exe", "test", table.unpack(words) })
    local changed
    print("(waiting for a change; Ctrl-C ends it)")
    io.stdout:flush()
    while not changed do
      run({ "sleep", EVERY })
      changed = difference(seen, look(folders))
    end
    print(("\n%s has changed"):format(require("haplua.error").visible(changed)))
    io.stdout:flush()
  end
end
