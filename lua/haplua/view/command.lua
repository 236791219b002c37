-- SPDX-License-Identifier: MIT
--
--- What a view does is done by haplua itself, started anew: first as a dry run, whose words are shown, then in earnest.
-- So a key does what the command line does, with the same guards, and the view shows the command.

local core = require("haplua.core")
local maintenance = require("haplua.plan.maintenance")
local run = require("run")

local M = {}

-- So many lines of a command's output are shown.
local LINES <const> = 1000

-- What may be run: it ends soon, and asks nothing.
local COMMANDS <const> = { on = true, off = true, change = true }

--- A word as a shell takes it.
local function quoted(word)
  if word:find("^[%w_./:@%%+=,#-]+$") then
    return word
  end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- Words as a line for a shell.
---@param words string[]
---@return string
function M.line(words)
  local parts = {}
  for i, word in ipairs(words) do
    parts[i] = quoted(word)
  end
  return table.concat(parts, " ")
end

--- The words of a line, as a shell splits it: blanks, quotes, backslashes, and nothing else.
---@param line string
---@return string[]? words, string? problem
function M.words(line)
  local words, word, quote, at = {}, nil, nil, 1
  while at <= #line do
    local c = line:sub(at, at)
    if c == quote then
      quote = nil
    elseif c == "\\" and quote ~= "'" and at < #line then
      at = at + 1
      word = (word or "") .. line:sub(at, at)
    elseif quote or c ~= " " and c ~= "'" and c ~= '"' then
      word = (word or "") .. c
    elseif c == " " then
      words[#words + 1] = word
      word = nil
    else
      quote, word = c, word or ""
    end
    at = at + 1
  end
  words[#words + 1] = word
  return not quote and words or nil, quote and ("a %s is missing"):format(quote) or nil
end

--- The servers of an item: "app/a1", "app/" for all of app.
local function servers_of(item)
  return item.kind == "backend" and item.one.name .. "/" or item.one.name
end

local makers = {
  d = function(item)
    return { "maint", "on", "--server", servers_of(item), "--drain" }
  end,
  m = function(item)
    return { "maint", "on", "--server", servers_of(item) }
  end,
  r = function(item)
    return { "maint", "off", "--server", servers_of(item) }
  end,
  e = function(item)
    local m = item.one
    return (m.id or 0) > 0 and { "maint", "off", maintenance.name(m) }
      or m.scope.server and { "maint", "off", "--server", m.scope.server } or { "maint", "off" }
  end,
  c = function(item)
    return { "maint", "change", maintenance.name(item.one) }
  end,
  b = function(item)
    if item and item.kind == "node" then
      return { "maint", "on", "--nodes", item.one.name }
    end
    return { "maint", "on" }
  end,
}

local KINDS <const> = {
  server = { d = "d", m = "m", r = "r", e = "r" }, backend = { d = "d", m = "m", r = "r", e = "r" },
  maintenance = { e = "e", c = "c", r = "e" },
}

local TITLES <const> = {
  d = "drain", m = "take out of service", r = "put back", e = "end", c = "change", b = "begin a maintenance",
}

---@class haplua.view.Action
---@field title string
---@field line string  the words behind "haplua", for a shell
---@field open boolean  words may have to be added

-- Where the configuration names a fleet, a command is about all of its nodes unless it has --local. A maintenance of this
-- node alone ends by itself.
local LOCAL <const> = { on = { "--local", "--for", "1h" }, off = { "--local" }, change = { "--local" } }

--- What a key does to an item. With several targets the line says which one; to begin a maintenance, all. With a fleet, what
--- is done to an item of an HAProxy is done there alone, and everything else is done to the fleet.
---@param key string
---@param item haplua.view.Item?
---@param known haplua.view.Model
---@param acl string?  the switch, where it is not the default one
---@return haplua.view.Action?  nil: nothing
function M.of(key, item, known, acl)
  local which = key == "b" and "b" or item and KINDS[item.kind] and KINDS[item.kind][key]
  if not which then
    return nil
  end
  local words, is_fleet = {}, known.fleet ~= nil and (which == "b" or item.target == known.fleet)
  for _, one in ipairs(#known.targets > 1 and not is_fleet and known.targets or {}) do
    if which == "b" or one == item.target then
      words[#words + 1] = "-s"
      words[#words + 1] = one.name
    end
  end
  local made = makers[which](item)
  table.move(made, 1, #made, #words + 1, words)
  if known.fleet and not is_fleet then
    local more = LOCAL[made[2]]
    table.move(more, 1, #more, #words + 1, words)
  end
  local is_server = item and (item.kind ~= "maintenance" or item.one.scope.server) and which ~= "b"
  if acl and not is_server and not is_fleet then
    words[#words + 1] = "--acl"
    words[#words + 1] = acl
  elseif is_fleet and known.fleet.has_switches and which ~= "b" and not is_server then
    words[#words + 1] = "--switch"
    words[#words + 1] = item.one.acl -- in a fleet's store it is the switch's name
  end
  local about = which ~= "b" and (item.kind == "maintenance" and maintenance.name(item.one) or servers_of(item))
  return {
    title = TITLES[which] .. (about and about ~= "-" and " " .. about or ""),
    line = M.line(words) .. ((which == "b" or which == "c") and " " or ""), open = which == "b" or which == "c",
  }
end

--- The words to run, and what is wrong with a line: only targets, and `maint on`, `off` or `change`.
---@param line string
---@param known haplua.view.Model
---@return string[]? words, string? problem
function M.read(line, known)
  local words, problem = M.words(line)
  local at, all = 1, core.options()
  while words and words[at] == "-s" do
    at = at + 2
  end
  if not words then
    return nil, problem
  elseif words[at] ~= "maint" or not COMMANDS[words[at + 1]] then
    return nil, "only maint on, maint off and maint change can be run here"
  elseif table.concat(words, "\0"):find("\0--wait", 1, true) then
    return nil, "--wait would hold the view up: give --for, which needs haplua keep, or end the maintenance with e"
  elseif at == 1 and (not known.fleet or table.concat(words, "\0"):find("\0--local", 1, true)) then
    table.move({ "-s", known.targets[1].name }, 1, 2, #all + 1, all)
  end
  return table.move(words, 1, #words, #all + 1, all)
end

--- Run haplua.
---@param words string[]
---@param is_dry boolean  as a dry run
---@return integer status, string[] lines  what it printed
function M.run(words, is_dry)
  local lines = {}
  local function say(line)
    if #lines < LINES then
      lines[#lines + 1] = line
    end
  end
  local all = { "/proc/self/exe", is_dry and "-n" or nil }
  table.move(words, 1, #words, #all + 1, all)
  all.stdin, all.stdout, all.stderr = "", say, say
  return run(all), lines
end

return M
