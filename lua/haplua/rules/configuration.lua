-- SPDX-License-Identifier: MIT
--
--- HAProxy's configuration as sections of lines, for haplua.rules.verdict. It reads what decides about requests, and no
-- more: a line that it does not know is kept as it is.

local words = require("haplua.rules.words")

local M = {}

---@class haplua.rules.Line
---@field file string
---@field line integer
---@field words string[]  the first is the keyword
---@field doubtful boolean?  it stands in an .if that was not evaluated

---@class haplua.rules.Section
---@field kind string  "frontend", "listen", "backend", "defaults", "global" or another word
---@field name string
---@field file string
---@field line integer
---@field lines haplua.rules.Line[]  those of its own
---@field doubtful boolean?  it begins in an .if that was not evaluated
---@field defaults haplua.rules.Section?  whose lines come before its own

---@class haplua.rules.Configuration
---@field sections haplua.rules.Section[]
---@field problems {file: string, line: integer, text: string}[]  lines that could not be read
---@field base string?  `default-path config`: relative names begin at each file's folder

-- Words at the beginning of a line that begin a section.
local KINDS <const> = {}
M.KINDS = KINDS
for kind in ([[global defaults frontend listen backend peers resolvers userlist mailers cache program ring http-errors
  fcgi-app log-forward crt-list crt-store traces acme log-profile]]):gmatch("%S+") do
  KINDS[kind] = true
end

-- Keywords of a `defaults` section that an anonymous one hands on, besides its settings. Rules and ACLs are handed on by
-- named ones alone (2.6).
local RULES <const> = { acl = true, ["http-request"] = true, ["http-response"] = true, ["tcp-request"] = true }

--- The truth of a condition of .if; nil: not known here.
local function condition(parts, environment)
  local text = table.concat(parts, " ", 2)
  local name = text:match("^defined%(([%w_]+)%)$")
  if name then
    return environment[name] ~= nil
  elseif text:find("^%-?%d+$") then
    return tonumber(text) ~= 0
  elseif text == "true" or text == "false" or text == "" then
    return text == "true"
  end
end

--- Enter, change or leave a block of .if; `blocks` is the stack. Each has `on` (true, false or nil: not known) and
-- `done`: a branch was taken before.
local function directive(blocks, parts, environment)
  local word, top = parts[1], blocks[#blocks]
  if word == ".if" then
    local on = condition(parts, environment)
    blocks[#blocks + 1] = { on = on, done = on == true, doubtful = on == nil }
  elseif word == ".endif" then
    blocks[#blocks] = nil
  elseif top and (word == ".else" or word == ".elif") then
    local on = word == ".else" or condition(parts, environment)
    top.on = not top.done and on
    if top.doubtful then
      top.on = nil
    end
    top.done, top.doubtful = top.done or on == true, top.doubtful or on == nil
  end
end

--- Does a line in these blocks count? nil: not known.
local function counts(blocks)
  local all = true
  for _, block in ipairs(blocks) do
    if block.on == false then
      return false
    end
    all = all and block.on
  end
  return all
end

--- A reader of one file after the other. Sections never span files.
local Reader = {}
Reader.__index = Reader

function Reader:begin(line)
  local kind, name = line.words[1], line.words[2] or ""
  local section = { kind = kind, name = name, file = line.file, line = line.line, lines = {}, doubtful = line.doubtful }
  if kind == "defaults" then
    self.latest_defaults = section
    self.defaults[name] = name ~= "" and section or nil
  elseif kind == "frontend" or kind == "listen" or kind == "backend" then
    section.defaults = self.latest_defaults
  end
  for i = 3, #line.words - 1 do
    if line.words[i] == "from" then
      section.defaults = self.defaults[line.words[i + 1]]
    end
  end
  if kind == "defaults" and line.words[2] == "from" then
    section.defaults, section.name = self.defaults[line.words[3] or ""], ""
  end
  self.current = section
  self.found.sections[#self.found.sections + 1] = section
end

--- Lines of `global` that change how other lines are read.
function Reader:global(parts)
  local word, name, value = parts[1], parts[2], parts[3]
  if word == "setenv" or word == "presetenv" and name and not self.environment[name] then
    self.environment[name or ""] = value
  elseif word == "unsetenv" then
    self.environment[name or ""] = nil
  elseif word == "default-path" then
    self.found.base = name
  end
end

function Reader:take(file, number, text)
  local parts, problem = words.split(text, self.environment)
  if not parts then
    self.found.problems[#self.found.problems + 1] = { file = file, line = number, text = problem }
    return
  elseif not parts[1] then
    return
  elseif parts[1]:find("^%.") then
    return directive(self.blocks, parts, self.environment)
  end
  local on = counts(self.blocks)
  if on == false then
    return
  end
  local line = { file = file, line = number, words = parts, doubtful = on == nil or nil }
  if KINDS[parts[1]] then
    return self:begin(line)
  elseif parts[1] == "no" and parts[2] then
    table.remove(parts, 1)
    line.no = true
  end
  if self.current then
    self.current.lines[#self.current.lines + 1] = line
    if self.current.kind == "global" then
      self:global(parts)
    end
  end
end

--- Read the files of a configuration, in HAProxy's order.
---@param files {path: string, text: string}[]
---@param environment? table<string, string>  of HAProxy's process
---@return haplua.rules.Configuration
function M.read(files, environment)
  local reader = setmetatable({
    environment = setmetatable({}, { __index = environment }), defaults = {}, blocks = {},
    found = { sections = {}, problems = {} },
  }, Reader)
  for _, file in ipairs(files) do
    reader.current, reader.blocks = nil, {}
    local number = 0
    for text in (file.text .. "\n"):gmatch("([^\n]*)\n") do
      number = number + 1
      reader:take(file.path, number, text)
    end
  end
  return reader.found
end

--- The lines of a section, those of its defaults before its own.
---@param section haplua.rules.Section
---@return haplua.rules.Line[]
function M.lines(section)
  local found = {}
  local function add(from, inherited)
    if from.defaults then
      add(from.defaults, true)
    end
    for _, line in ipairs(from.lines) do
      if not inherited or from.name ~= "" or not RULES[line.words[1]] then
        found[#found + 1] = line
      end
    end
  end
  add(section)
  return found
end

-- Keywords of frontends, backends and their defaults that decide nothing about a request, or are read.
local KNOWN <const> = {}
for word in ([[acl backlog balance bind bind-process capture clitcpka-cnt clitcpka-idle clitcpka-intvl compression cookie
  crt declare default-server default_backend description disabled dispatch email-alert enabled errorfile errorfiles
  errorloc errorloc302 errorloc303 filter force-be-switch force-persist fullconn grace guid hash-balance-factor
  hash-key hash-preserve-affinity hash-type http-after-response http-check http-error http-request http-response
  http-reuse http-send-name-header id ignore-persist load-server-state-from-file log log-format log-format-sd log-steps
  log-tag max-keep-alive-queue max-session-srv-conns maxconn mode monitor monitor-uri option persist quic-initial
  rate-limit redirect retries retry-on server server-state-file-name server-template source srvtcpka-cnt srvtcpka-idle
  srvtcpka-intvl stats stick stick-table tcp-check tcp-request tcp-response tcpka timeout transparent tune.
  unique-id-format unique-id-header use-fcgi-app use-server use_backend error-log-format]]):gmatch("%S+") do
  KNOWN[word] = true
end

-- Filters that neither answer nor set variables.
local PLAIN_FILTERS <const> = { compression = true, trace = true, cache = true, ["bwlim-in"] = true, ["bwlim-out"] = true }

--- The first line of a section whose keyword is not known here: it may decide about requests.
---@param lines haplua.rules.Line[]
---@return haplua.rules.Line?
function M.unread(lines)
  for _, line in ipairs(lines) do
    if not KNOWN[line.words[1]] or line.words[1] == "use-fcgi-app" then
      return line
    end
  end
end

--- Does a filter of a section set variables?
---@param lines haplua.rules.Line[]
---@return boolean
function M.has_agent(lines)
  for _, line in ipairs(lines) do
    if line.words[1] == "filter" and not PLAIN_FILTERS[line.words[2]] then
      return true
    end
  end
  return false
end

--- The last line of a section that begins with these words.
---@return haplua.rules.Line?
function M.setting(lines, first, ...)
  local rest = { ... }
  for i = #lines, 1, -1 do
    local own = lines[i].words
    local same = own[1] == first
    for j = 1, same and #rest or 0 do
      same = same and own[j + 1] == rest[j]
    end
    if same then
      return lines[i]
    end
  end
end

return M
