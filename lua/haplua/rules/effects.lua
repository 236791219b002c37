-- SPDX-License-Identifier: MIT
--
--- What rules of HAProxy's configuration change that do not end a request: variables, the path, lists.

local uri = require("haplua.rules.uri")
local values = require("haplua.rules.value")

local M = {}

-- Actions of `http-request` that neither answer nor change what the rules below them see.
local HARMLESS <const> = {}
for action in ([[add-header set-header del-header replace-header replace-value set-log-level set-nice set-mark set-tos
  set-src set-dst set-src-port set-dst-port disable-l7-retry strict-mode set-query replace-query early-hint capture
  set-priority-class set-priority-offset wait-for-handshake wait-for-body set-timeout set-bc-mark set-fc-mark set-bc-tos
  set-fc-tos set-retries do-resolve do-log sc-inc-gpc sc-inc-gpc0 sc-inc-gpc1 sc-set-gpt sc-set-gpt0 sc-add-gpc
  set-bandwidth-limit send-spoe-group pause set-pathq-query]]):gmatch("%S+") do
  HARMLESS[action] = true
end

local REWRITES <const> = {
  ["set-path"] = true, ["replace-path"] = true, ["set-uri"] = true, ["replace-uri"] = true, ["set-pathq"] = true,
  ["replace-pathq"] = true, ["normalize-uri"] = true,
}

--- Set a variable as a rule does that may hold.
local function set_variable(world, name, truth, value)
  local before = world.vars[name] or { found = false }
  if truth then
    world.vars[name] = value
  elseif truth == nil then
    world.vars[name] = before.found == value.found and before.text == value.text and value
      or { found = before.found == value.found and value.found or nil }
  end
end

--- A rule that changes the path.
local function rewrite(world, parts, action, truth)
  local before, path = world.path, nil
  if action == "normalize-uri" then
    path = before and uri.normalize(before, parts[3] or "", parts)
  elseif action == "set-path" and parts[3] and not parts[3]:find("%", 1, true) then
    path = parts[3]
  end
  if truth == false or action == "normalize-uri" and (before == false or path and path == before) then
    return
  end
  world.path, world.target, world.rewritten = truth and path or nil, nil, true
end

-- What else actions change, by the names of haplua.rules.value. "header" stands for the one that the rule names.
local CHANGES <const> = {
  ["add-header"] = "header", ["set-header"] = "header", ["del-header"] = "header", ["replace-header"] = "header",
  ["replace-value"] = "header", ["set-src"] = "src", ["set-src-port"] = "src", ["set-dst"] = "dst", ["set-dst-port"] = "dst",
  ["set-query"] = "query", ["replace-query"] = "query", ["set-uri"] = "query", ["replace-uri"] = "query",
  ["set-pathq"] = "query", ["replace-pathq"] = "query",
}

--- Note that a rule may have changed something.
local function note_change(world, name, truth)
  if truth ~= false and name then
    local changed = { [name] = true }
    for other in pairs(world.changed or {}) do
      changed[other] = true
    end
    world.changed = changed
  end
end

--- Run a rule that does not end the request.
---@param world haplua.rules.World
---@param line haplua.rules.Line
---@param action string
---@param truth boolean?  does the rule's condition hold?
---@return boolean unread  it does something that is not read
function M.run(world, line, action, truth)
  local parts, change = line.words, CHANGES[action]
  note_change(world, change == "header" and (parts[3] or ""):lower() or change, truth)
  local variable, format = action:match("^set%-var%(([^,%)]*).*%)$"), nil
  if not variable then
    variable = action:match("^set%-var%-fmt%(([^,%)]*).*%)$")
    format = variable
  end
  local list_action, file = action:match("^(%l+%-%l+)%((.-)%)$")
  if variable then
    local at = line.words[1] == "tcp-request" and 4 or 3
    set_variable(world, variable, truth, format and { found = true } or values.of(world, parts[at] or ""))
  elseif action:find("^unset%-var%(") then
    set_variable(world, action:match("%((.*)%)") or "", truth, { found = false })
  elseif REWRITES[action] then
    rewrite(world, parts, action, truth)
  elseif action == "set-method" then
    world.method = truth == false and world.method or nil
  elseif list_action and list_action:find("%-acl$") or list_action and list_action:find("%-map$") then
    local list = world.list
    note_change(world, file, truth)
    return truth ~= false and (file == list.file or list.is_file ~= nil and list.is_file(file))
  else
    return truth ~= false and not HARMLESS[action] and not action:find("^track%-sc") and not action:find("^sc%-")
      and not action:find("^capture") and not action:find("^cache%-use")
  end
end

return M
