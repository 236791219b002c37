-- SPDX-License-Identifier: MIT
--
--- The folder JOURNAL.hooks: changes that wait for their hooks, and what came of the hooks that ran.

local file = require("haplua.file")
local json = require("haplua.json")

local M = {}

---@class haplua.HookRecord  what came of a hook
---@field runs integer
---@field failures integer
---@field ran string  when it ran last
---@field failing boolean  the latest run failed
---@field problem string?  of the latest failure
---@field failed string?  when that was

--- The folder of a journal.
---@param journal string  its path
---@return string
function M.folder(journal)
  return journal .. ".hooks"
end

--- The name of a hook: its words.
---@param hook haplua.Hook
---@return string
function M.name(hook)
  return table.concat(hook.words, " ")
end

--- What came of the hooks that have run, by their names.
---@param folder string
---@return table<string, haplua.HookRecord>
function M.read(folder)
  local text = file.read(folder .. "/record", 1 << 20)
  local ok, found = pcall(json.decode, text or "{}")
  return ok and type(found) == "table" and found or {}
end

--- Note the outcome of a run. The caller holds the folder's lock.
---@param folder string
---@param hook haplua.Hook
---@param now string
---@param problem string?  nil: it went well
function M.note(folder, hook, now, problem)
  local all, name = M.read(folder), M.name(hook)
  local one = all[name] or { runs = 0, failures = 0 }
  one.runs, one.ran, one.failing = one.runs + 1, now, problem ~= nil
  if problem then
    one.failures, one.problem, one.failed = one.failures + 1, problem, now
  end
  all[name] = one
  file.replace(folder .. "/record", json.encode(all), { mode = "0640" })
end

--- Why a hook is not run: its file is missing, is no program, or others may choose what it does.
---@param hook haplua.Hook
---@return string? problem
function M.refusal(hook)
  local path = hook.words[1]
  local info, problem = file.info(path)
  if not info then
    return problem
  elseif info.type ~= "file" or tonumber(info.mode, 8) & 73 == 0 then -- 0111
    return path .. " is no program that can be run"
  elseif not file.is_ours(path) or not file.is_ours(path:match("^(.*)/.") .. "/") then
    return ("%s may be changed by others than root and this user: it, or its folder, belongs to them or may be written by them")
      :format(path)
  end
end

return M
