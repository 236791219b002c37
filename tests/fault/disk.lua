-- SPDX-License-Identifier: MIT
--
--- A disk that is full, broken, or read-only while maintenance goes on, at each write of the journal and of the
-- ACL's file (disk.c). HAProxy, the file and the journal then hold the old or the new state, and a success is one.

local support = require("support")

local M = {}

local PRELOAD = (os.getenv("PWD") or ".") .. "/" .. (os.getenv("BUILD") or "build") .. "/disk.so"

-- More writes than any run has.
local MOST = 400

local OLD, NEW = "^/a", "^/c\n^/d"

local function content(path)
  local f <close> = io.open(path, "rb")
  return f and f:read("a")
end

--- The entries of the ACL's file.
local function entries_of_file(path)
  return (content(path) or "no file"):gsub("#[^\n]*\n", ""):gsub("\n$", "")
end

local function maint(paths, env, ...)
  local words = { "-s", paths.socket, "scripts/maint.lua", ... }
  words[#words + 1] = "--acl"
  words[#words + 1] = paths.acl
  words.env = setmetatable({ HAPLUA_JOURNAL = paths.journal, HAPLUA_CONFIG = "none" }, { __index = env })
  for name, value in pairs(env) do
    words.env[name] = value
  end
  return support.haplua(words)
end

--- The old state, on HAProxy, in the file and in the journal.
local function prepare(st, paths)
  run({ "sh", "-c", 'rm -f "$1"*', "sh", paths.journal })
  local ran = maint(paths, {}, "on", OLD)
  assert(ran.status == 0, ran.err)
  assert(entries_of_file(paths.acl) == OLD, "the file is not prepared")
  os.remove(paths.told)
  return st
end

--- What is wrong after a run that was told to put NEW in the place of OLD.
local function judge(st, paths, ran)
  local patterns = table.concat(st.sites[1].target:acl_list(paths.acl), "\n")
  local file = entries_of_file(paths.acl)
  local journal = require("haplua.journal").open(paths.journal, { readonly = true })
  local wanted
  for _, entry in ipairs(journal and journal:run("SELECT c.patterns FROM wanted w JOIN changes c ON c.id = w.change") or {}) do
    wanted = entry.patterns
  end
  if journal then
    journal:close()
  end
  local is = ("HAProxy: %s; file: %s; journal: %s"):format(patterns, file, wanted)
  local function one_of_both(text)
    return text == OLD or text == NEW
  end
  if ran.status == 0 and not (patterns == NEW and file == NEW and wanted == NEW) then
    return "false success", is
  elseif ran.status >= 128 then
    return "crash", is
  elseif ran.status ~= 0 and not ran.err:find("haplua: ", 1, true) then
    return "no words", is
  elseif not (one_of_both(patterns) and one_of_both(file) and one_of_both(wanted)) then
    return "neither old nor new", is
  end
  -- and the next one finds nothing broken
  local again = maint(paths, {}, "off")
  if again.status ~= 0 or entries_of_file(paths.acl) ~= "" then
    return "left over", again.err
  end
end

--- Try all of it. `note` gets each run and what was wrong.
---@param note fun(name: string, ran: table, problem: string?, details: string?)
function M.run(st, note)
  local s = st.sites[1]
  local paths = {
    socket = s.socket, acl = s.dir .. "/site.acl", journal = s.dir .. "/journal.db", told = s.dir .. "/told",
  }
  local function try(variable, value)
    prepare(st, paths)
    local ran = maint(paths, { LD_PRELOAD = PRELOAD, DISK_TOLD = paths.told, [variable] = value }, "on", "^/c", "^/d")
    local failed = content(paths.told) ~= nil
    if failed then
      note(("%s=%s"):format(variable, value), ran, judge(st, paths, ran))
    end
    return failed
  end
  for _, variable in ipairs({ "DISK_FULL", "DISK_BROKEN" }) do
    local n = 1
    while n < MOST and try(variable, tostring(n)) do
      n = n + 1
    end
  end
  for _, part in ipairs({ "site.acl", "journal.db" }) do
    assert(try("DISK_READONLY", part), "nothing was refused: " .. part)
  end
end

return M
