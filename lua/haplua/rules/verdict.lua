-- SPDX-License-Identifier: MIT
--
--- What each frontend of a configuration does with requests that a switch's list matches: closed, open, or not known.
-- The order in which HAProxy decides was tried on 2.2 to 3.2: the kind of a rule comes before its place in the file.

local condition = require("haplua.rules.condition")
local configuration = require("haplua.rules.configuration")
local effects = require("haplua.rules.effects")
local judging = require("haplua.rules.outcome")

local M = {}

---@class haplua.rules.Verdict
---@field frontend string
---@field file string
---@field line integer
---@field state "closed"|"open"|"unknown"|"off"
---@field why string
---@field uses boolean  does the list make a difference here?
---@field usual haplua.rules.Outcome?  of a request that the list matches
---@field others haplua.rules.Outcome[]?  those that it may have before
---@field chained table?  the frontend of this HAProxy that a server of it is
---@field backends table<string, true>  whose servers may get requests here that the list does not match
---@field exceptions string[]  rules that may take a request away from the maintenance, and when

---@class haplua.rules.Asked: haplua.rules.World  a request that is judged
---@field only? table<string, true>  the frontends that are judged; nil: all
---@field read? fun(path: string): string?  the text of a file
---@field always_ask boolean?  `asked` is to say of each value whether the list matches it

local NONE <const> = {}

local function place_of(line)
  return ("%s:%d"):format(line.file, line.line)
end

--- Settings that decide about requests.
local SETTINGS <const> = { mode = true, default_backend = true, ["monitor-uri"] = true, stats = true, errorfile = true,
  errorfiles = true, ["http-error"] = true, disabled = true, enabled = true, server = true, ["server-template"] = true,
  dispatch = true, bind = true }

--- What of a section was not read, although it may decide about requests. nil: nothing.
---@return string? text  for people
local function unread_in(section, lines)
  local unread = configuration.unread(lines)
  if unread then
    return ("%s: '%s' is not read"):format(place_of(unread), unread.words[1])
  end
  local doubtful = section.doubtful and section
  for _, line in ipairs(lines) do
    doubtful = doubtful or line.doubtful and SETTINGS[line.words[1]] and line
  end
  return doubtful and ("%s: the .if around it was not evaluated"):format(place_of(doubtful)) or nil
end

--- The place of `if` or `unless` in a rule.
local function condition_at(parts)
  for i, word in ipairs(parts) do
    if word == "if" or word == "unless" then
      return i
    end
  end
end

--- The word after another one.
local function after(parts, name)
  for i = 1, #parts - 1 do
    if parts[i] == name then
      return parts[i + 1]
    end
  end
  return nil
end

--- The ACLs of a section.
local function acls_of(lines)
  local acls = {}
  for _, line in ipairs(lines) do
    local name = line.words[1] == "acl" and line.words[2]
    if name then
      acls[name] = acls[name] or {}
      table.insert(acls[name], { words = table.move(line.words, 3, #line.words, 1, {}), place = place_of(line),
        doubtful = line.doubtful })
    end
  end
  return acls
end

---@class haplua.rules.Walk  of one request through the configuration
---@field world haplua.rules.World
---@field configuration haplua.rules.Configuration
---@field usual boolean  what is not known of a visitor counts as false
---@field outcomes haplua.rules.Outcome[]  the last one is certain; those before it are possible
---@field read? fun(path: string): string?
local Walk = {}
Walk.__index = Walk

--- Note an outcome. True: it is certain, and the walk ends.
function Walk:ends(truth, outcome)
  if truth == false then
    return false
  end
  self.outcomes[#self.outcomes + 1] = outcome
  outcome.possible = truth == nil or self.doubt ~= nil or nil
  return not outcome.possible
end

function Walk:truth(acls, line)
  local parts = line.words
  local truth = condition.holds(self.world, acls, parts, condition_at(parts), place_of(line), self.usual)
  if truth and line.doubtful then
    return nil
  end
  return truth
end

local function answer(line, status, text)
  return { kind = "answer", status = status, line = line, text = ("%s: %s"):format(place_of(line), text) }
end

-- What an action of `http-request` or `tcp-request` ends in.
local finals = {
  ["deny"] = function(parts) return tonumber(after(parts, "deny_status") or after(parts, "status")) or 403 end,
  ["tarpit"] = function(parts) return tonumber(after(parts, "deny_status") or after(parts, "status")) or 500 end,
  ["return"] = function(parts) return tonumber(after(parts, "status")) or 200 end,
  ["redirect"] = function(parts) return tonumber(after(parts, "code")) or 302 end,
  ["auth"] = function() return 401 end,
  ["use-service"] = function() return 200 end,
  ["reject"] = function() return "dropped" end,
  ["silent-drop"] = function() return "dropped" end,
}

--- The outcome of a rule; nil: it ends nothing.
local function final_of(line, action)
  local final = finals[action]
  local status = final and final(line.words)
  if status == "dropped" then
    return { kind = "dropped", line = line, text = place_of(line) .. ": dropped by " .. line.words[1] .. " " .. action }
  end
  return status and answer(line, status, ("%s %s answers %d"):format(line.words[1], action, status))
end

--- Go through the rules of a kind: "http-request" or "tcp-request content". True: the request has ended.
function Walk:rules(lines, acls, kind, level)
  self.doubt, self.world.early = nil, kind == "tcp-request"
  for _, line in ipairs(lines) do
    local parts = line.words
    if parts[1] == kind and (not level or parts[2] == level) then
      local action = parts[level and 3 or 2] or ""
      local truth = self:truth(acls, line)
      if action == "accept" or action == "allow" then
        if truth then
          break
        end
        self.doubt = truth == nil and line or self.doubt
      else
        if self.doubt and truth then
          truth = nil -- a rule before it may have ended these rules
        end
        local final = final_of(line, action)
        if final and self:ends(truth, final) then
          return true
        elseif not final and effects.run(self.world, line, action, truth) then
          self:ends(nil, { kind = "unread", line = line,
            text = ("%s: '%s %s' may do anything"):format(place_of(line), kind, action) })
        end
      end
    end
  end
  self.doubt, self.world.early = nil, false
  return false
end

--- The URIs that HAProxy answers itself: `monitor-uri`, `stats uri`.
function Walk:own_uri(lines, ...)
  local line = configuration.setting(lines, ...)
  local uri = line and line.words[select("#", ...) + 1]
  if uri and not line.no and self.world.path == nil and self.world.rewritten then
    return self:ends(nil, answer(line, 200, ("%s takes %s"):format(table.concat({ ... }, " "), uri)))
  elseif uri and not line.no and self.world.path then
    local path = self.world.path
    local is_it = path == uri or (...) == "stats" and path:sub(1, #uri) == uri and path:find("^[/;?]", #uri + 1) ~= nil
    return self:ends(is_it, answer(line, 200, ("%s takes %s"):format(table.concat({ ... }, " "), uri)))
  end
end

--- Is the address of a server one that a frontend of this configuration binds?
local function frontend_at(found, address)
  local port = address:match(":(%d+)$")
  local host = address:match("^(.*):%d+$")
  for _, section in ipairs(found.sections) do
    if section.kind == "frontend" or section.kind == "listen" then
      for _, line in ipairs(configuration.lines(section)) do
        local bind = line.words[1] == "bind" and line.words[2] or ""
        local same = bind == address or port and (host == "127.0.0.1" or host == "localhost" or host == "[::1]" or host == "::1")
          and (bind == "127.0.0.1:" .. port or bind == "*:" .. port or bind == ":" .. port or bind == "[::]:" .. port)
        if same then
          return section
        end
      end
    end
  end
end

--- What a backend without an own answer does: its servers, another frontend, or HAProxy's 503.
function Walk:servers(section, lines, line)
  local name, servers = section.name, false
  for _, server in ipairs(lines) do
    local word = server.words[1]
    local is_disabled = server.words[#server.words] == "disabled" or after(server.words, "disabled") ~= nil
    if (word == "server" or word == "server-template") and not is_disabled and server.words[2] then
      servers = true
      local chained = word == "server" and frontend_at(self.configuration, server.words[3] or "")
      if chained and not self.chained then
        self.chained = chained
        return self:frontend(chained)
      end
    elseif word == "dispatch" or word == "use-server" or word == "option" and server.words[2] == "transparent" then
      servers = true
    end
  end
  local at = line or section
  if servers then
    return self:ends(true, { kind = "backend", backend = name, line = line,
      text = ("%s: the servers of backend %s get it"):format(place_of(at), name) })
  end
  local status, file = 503, configuration.setting(lines, "errorfile", "503")
  if file then
    local text = self.read and self.read(file.words[3] or "")
    status = text and tonumber(text:match("^HTTP/%S+ (%d+)"))
  elseif configuration.setting(lines, "errorfiles") or configuration.setting(lines, "http-error") then
    status = nil
  end
  return self:ends(true, { kind = status and "answer" or "unread", status = status, line = line,
    text = ("%s: backend %s has no server%s"):format(place_of(at), name, status and (", and answers %d"):format(status)
      or "; its error page was not read") })
end

--- A backend's own rules, and its servers.
function Walk:backend(name, line)
  for _, section in ipairs(self.configuration.sections) do
    if (section.kind == "backend" or section.kind == "listen") and section.name == name then
      local lines = configuration.lines(section)
      local unread = unread_in(section, lines)
      if unread then
        self:ends(nil, { kind = "unread", line = line, text = unread })
      end
      return self:own_rules(lines, acls_of(lines)) or self:servers(section, lines, line)
    end
  end
  return self:ends(true, { kind = "unread", line = line, text = ("%s: no backend %s was read"):format(place_of(line), name) })
end

--- The rules that answer, of a frontend or of a backend.
function Walk:own_rules(lines, acls)
  if self:rules(lines, acls, "tcp-request", "content") or self:own_uri(lines, "monitor-uri")
    or self:rules(lines, acls, "http-request") or self:own_uri(lines, "stats", "uri") then
    return true
  end
  for _, line in ipairs(lines) do
    if line.words[1] == "redirect"
      and self:ends(self:truth(acls, line), answer(line, tonumber(after(line.words, "code")) or 302, "redirect")) then
      return true
    end
  end
  return false
end

--- Go to a backend that a rule names. True: the request has ended there.
function Walk:go(line, truth)
  local name = line.words[2] or ""
  if truth == false then
    return false
  elseif name:find("%", 1, true) then
    return self:ends(truth, { kind = "computed", line = line,
      text = ("%s: the name of the backend, %s, is computed for each request"):format(place_of(line), name) })
  end
  local world = { vars = setmetatable({}, { __index = self.world.vars }) }
  for key, value in pairs(self.world) do
    world[key] = world[key] or value
  end
  local inside = setmetatable({ outcomes = {}, world = world }, { __index = self })
  Walk.backend(inside, name, line)
  self.chained = self.chained or rawget(inside, "chained")
  for _, outcome in ipairs(inside.outcomes) do
    outcome.decided_by = outcome.decided_by or line
    self.outcomes[#self.outcomes + 1] = outcome
    outcome.possible = outcome.possible or truth == nil or nil
  end
  return truth == true
end

--- Go through a frontend.
function Walk:frontend(section)
  local lines = configuration.lines(section)
  local acls = acls_of(lines)
  for _, level in ipairs({ "connection", "session" }) do
    if self:rules(lines, acls, "tcp-request", level) then
      return true
    end
  end
  if self:own_rules(lines, acls) then
    return true
  end
  for _, line in ipairs(lines) do
    if line.words[1] == "use_backend" and self:go(line, self:truth(acls, line)) then
      return true
    end
  end
  local default = configuration.setting(lines, "default_backend")
  if default and default.words[2] then
    return self:go(default, true)
  elseif section.kind == "listen" then
    return self:servers(section, lines)
  end
  return self:ends(true, { kind = "nowhere", text = ("%s: there is no backend, so HAProxy answers 503"):format(
    place_of(section)) })
end

--- Do visitors reach a frontend by TLS? Those of a port without it are usually sent there.
local function has_tls(lines)
  for _, line in ipairs(lines) do
    if line.words[1] == "bind" and (after(line.words, "ssl") or line.words[#line.words] == "ssl") then
      return true
    end
  end
  return false
end

--- The outcomes of a request at a frontend.
local function walk(found, section, asked, holds, usual)
  local lines = configuration.lines(section)
  local world = { list = asked.list, holds = holds, asked = asked.asked, path = asked.path, host = asked.host,
    method = asked.method, target = asked.target, rewritten = asked.always_ask,
    tls = has_tls(lines), vars = {}, read = asked.read, has_agent = configuration.has_agent(lines) }
  local self = setmetatable({ world = world, configuration = found, usual = usual, outcomes = {}, read = asked.read }, Walk)
  self:frontend(section)
  return self.outcomes, self.chained
end

--- May HTTP rules of this frontend be asked before the request is there?
---@param lines haplua.rules.Line[]
---@return boolean
function M.is_race(lines)
  local mode = configuration.setting(lines, "mode")
  if not mode or mode.words[2] == "http" then
    return false
  end
  local waits = configuration.setting(lines, "tcp-request", "inspect-delay") ~= nil
  for _, line in ipairs(lines) do
    local parts = line.words
    if waits and parts[1] == "tcp-request" and parts[3] == "accept" and after(parts, "if") == "HTTP" then
      return false
    end
  end
  return true
end

--- The backends to which outcomes lead.
---@return table<string, true>
local function backends_of(outcomes, lines)
  local found = {}
  for _, outcome in ipairs(outcomes) do
    local default = outcome.kind == "computed" and configuration.setting(lines, "default_backend") or NONE
    local backend = outcome.backend or (default.words or NONE)[2] -- where a computed name is none
    found[backend or ""] = backend and true
  end
  return found
end

--- Judge one frontend.
local function judge(found, section, asked)
  local lines = configuration.lines(section)
  local verdict = { frontend = section.name, file = section.file, line = section.line, exceptions = {}, uses = false,
    backends = {} }
  local function say(state, why)
    verdict.state, verdict.why = state, why
    return verdict
  end
  local not_read = unread_in(section, lines)
  if not_read then
    return say("unknown", not_read)
  elseif configuration.setting(lines, "disabled") then
    return say("off", "the frontend is disabled")
  end
  local on, chained = walk(found, section, asked, true, true)
  local off = walk(found, section, asked, false, true)
  local all, through = walk(found, section, asked, true, false)
  verdict.chained = chained or through
  local usual, other = on[#on], off[#off]
  verdict.uses, verdict.usual, verdict.others = not judging.is_same(usual, other), usual, judging.before(all, usual)
  local all_off = walk(found, section, asked, false, false)
  verdict.backends = backends_of(all_off, lines)
  for _, outcome in ipairs(all) do
    if outcome.kind == "unread" then
      return say("unknown", outcome.text)
    end
  end
  if M.is_race(lines) and verdict.uses then
    return say("unknown", "mode tcp: rules on HTTP are asked before the request is there")
  elseif usual.kind == "computed" then
    return say("unknown", usual.text .. ", before any rule below it")
  elseif chained and verdict.uses then
    return say("unknown", ("its server is frontend %s of this HAProxy, which decides"):format(chained.name))
  end
  local closing = judging.is_closing(usual)
  if verdict.uses and closing == false and judging.is_sent_away(usual) and judging.is_closing(other) ~= true then
    closing = true
  elseif closing == nil then
    return say("unknown", usual.text)
  end
  local unread = judging.unread_of(on, usual, closing)
  if unread then
    return say("unknown", unread.text .. ", where its condition holds, which was not read")
  end
  if not closing then
    local possible = judging.may_close(all, all_off)
    if possible then
      return say("unknown", possible.text .. ", but only where the rest of its condition holds")
    end
    return say("open", verdict.uses and usual.text or usual.text .. "; no rule that the list makes true comes before")
  end
  verdict.exceptions = judging.exceptions_of(verdict.others)
  return say("closed", usual.text)
end

--- Judge each frontend of a configuration.
---@param found haplua.rules.Configuration
---@param asked haplua.rules.Asked  `list` and what is known of the request
---@return haplua.rules.Verdict[]
function M.judge(found, asked)
  local verdicts = {}
  for _, section in ipairs(found.sections) do
    if (section.kind == "frontend" or section.kind == "listen") and (not asked.only or asked.only[section.name]) then
      verdicts[#verdicts + 1] = judge(found, section, asked)
    end
  end
  return verdicts
end

return M
