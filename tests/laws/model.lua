-- SPDX-License-Identifier: MIT
--
--- A model of a page: which maintenances are in force, and so: does this client get this path? It shares no code with
-- haplua. Its patterns are prefixes.

local M = {}

M.PAGES = { "/", "/shop/cart", "/api/v1", "/api/v2/x", "/hand" }
-- The last one is who asks a real HAProxy.
M.CLIENTS = { "192.0.2.1", "192.0.2.200", "198.51.100.7", "203.0.113.9", "2001:db8::1", "127.0.0.1" }
M.PEOPLE = { "anna", "ben", "cleo" }

-- Numbers of steps are numbers of these: prefixes of paths, none for the whole site.
M.SCOPES = { {}, { "/shop" }, { "/api" }, { "/api/v2" }, { "/shop", "/api/v2" }, { "/hand" } }

-- Networks, and which of the clients they have.
M.NETWORKS = {
  { "192.0.2.0/24", { true, true, false, false, false } }, { "192.0.2.128/25", { false, true, false, false, false } },
  { "198.51.100.7", { false, false, true, false, false } }, { "2001:db8::/32", { false, false, false, false, true } },
  { "0.0.0.0/0", { true, true, true, true, false, true } },
}

local NOBODY <const> = { false, false, false, false, false }

---@class laws.Switch
---@field name string  in the configuration
---@field acl string
---@field method "reg"|"beg"|"map"  map: a map of the host and the path, in which each maintenance has its own networks
---@field undo boolean?  the configuration says by_hand = "undo"
---@field allow boolean[]?  the clients whom the configuration lets pass; nil: there is no list of such clients
---@field others boolean[]?  the clients whom entries let pass that are not haplua's
---@field file boolean?  its list has a file, and so survives a reload
---@field info boolean?  a map tells the reason

---@class laws.Entity  a maintenance
---@field id integer?
---@field serial integer
---@field switch integer
---@field patterns string[]
---@field scope integer?  its number; nil: it has the patterns of a hand
---@field passes boolean[]?  nil: whom the configuration lets pass
---@field who integer?  nil: nobody
---@field origin "on"|"during"|"wait"|"window"|"by hand"
---@field reason string?
---@field begins number
---@field ends number?
---@field ended boolean?
---@field cancelled boolean?
---@field window integer?

---@class laws.State  of a switch
---@field touched boolean  haplua has changed it
---@field list string[]?  what HAProxy's list has; nil: not known, since a change was cut off
---@field applied laws.Entity[]  in force at the latest change
---@field passing boolean[]  whom HAProxy's list lets pass since then
---@field hand string[]?  the list as a hand has left it, which haplua has not seen yet
---@field lost boolean  HAProxy's process is another one since the latest change

local Model = {}
Model.__index = Model

-- By method: what stands before a prefix, and the pattern of the whole site.
local FORMS <const> = { reg = { "^", "^.*$" }, beg = { "", "/" }, map = { "(?i)^[^/]*", "^.*$" } }

--- Patterns of a scope on a switch.
function M.patterns(switch, scope)
  local before, whole = table.unpack(FORMS[switch.method])
  local found = { whole }
  for i, prefix in ipairs(scope) do
    found[i] = before .. prefix
  end
  return found
end

local function covers(pattern, page)
  local prefix = pattern:match("(/[%w/]*)$")
  return not prefix or page:sub(1, #prefix) == prefix
end

local function covers_one(m, page)
  for _, pattern in ipairs(m.patterns) do
    if covers(pattern, M.PAGES[page]) then
      return true
    end
  end
  return false
end

local function set_of(list)
  local set = {}
  for _, item in ipairs(list) do
    set[item] = true
  end
  return set
end

--- Do two lists have the same items?
function M.same(a, b)
  local in_a, in_b = set_of(a), set_of(b)
  for item in pairs(in_a) do
    if not in_b[item] then
      return false
    end
  end
  for item in pairs(in_b) do
    if not in_a[item] then
      return false
    end
  end
  return true
end

---@param switches laws.Switch[]
---@param windows {switch: integer, scope: integer, opens: number, closes: number, every: number}[]
function M.new(switches, windows, now)
  local self = setmetatable({
    switches = switches, windows = windows, all = {}, states = {}, now = now, keep = false, loaded = {}, serial = 0,
  }, Model)
  for i, switch in ipairs(switches) do
    self.states[i] = { touched = false, list = {}, applied = {}, passing = switch.others or NOBODY, lost = false }
  end
  return self
end

--- A copy that shares the declarations.
function Model:copy()
  local copies = {}
  local function copy(value)
    if type(value) ~= "table" or value == self.switches or value == self.windows then
      return value
    elseif not copies[value] then
      copies[value] = setmetatable({}, getmetatable(value))
      for key, item in pairs(value) do
        copies[value][key] = copy(item)
      end
    end
    return copies[value]
  end
  return copy(self)
end

--- Be as a copy is, made before.
function Model:restore(before)
  for key, value in pairs(before) do
    self[key] = value
  end
end

-- What is in force.

function Model:is_in_force(m)
  return not m.ended and m.begins <= self.now and not (m.ends and m.ends <= self.now)
end

---@return laws.Entity[]
function Model:in_force(s)
  local found = {}
  for _, m in ipairs(self.all) do
    found[#found + 1] = m.switch == s and self:is_in_force(m) and m or nil
  end
  return found
end

--- Those not ended: in force, planned, or past their end and not yet ended.
function Model:current(s)
  local found = {}
  for _, m in ipairs(self.all) do
    found[#found + 1] = m.switch == s and not m.ended and m or nil
  end
  return found
end

--- What HAProxy's list shall have for these maintenances.
function Model.patterns_of(_, list)
  local found, there = {}, {}
  for _, m in ipairs(list) do
    for _, pattern in ipairs(m.patterns) do
      found[#found + 1] = not there[pattern] and pattern or nil
      there[pattern] = true
    end
  end
  return found
end

--- Whom the bypass list lets pass where these are in force: those whom each lets pass.
function Model:passing(s, list)
  local switch, found = self.switches[s], {}
  for i = 1, #M.CLIENTS do
    found[i] = switch.allow ~= nil and (#list > 0 or switch.allow[i])
    for _, m in ipairs(list) do
      found[i] = found[i] and (m.passes or switch.allow or NOBODY)[i]
    end
    found[i] = found[i] or (switch.others or NOBODY)[i]
  end
  return found
end

--- Does a maintenance keep this client from this page?
function Model:is_closed(s, page, client)
  local switch, list, covering = self.switches[s], self:in_force(s), {}
  for _, m in ipairs(list) do
    covering[#covering + 1] = covers_one(m, page) and m or nil
  end
  return #covering > 0 and not self:passing(s, switch.method == "map" and covering or list)[client]
end

--- The reason that visitors of a page are told: of the maintenance that ends last. Where the switch is no map, all pages
-- tell the same.
---@return string? reason, boolean sure  false: several end last
function Model:reason(s, page)
  local last, reason, several
  for _, m in ipairs(self:in_force(s)) do
    local ends = m.ends or math.huge
    local counts = self.switches[s].method ~= "map" or covers_one(m, page)
    if counts and (not last or ends > last) then
      last, reason, several = ends, m.reason, false
    elseif counts and ends == last then
      several = true
    end
  end
  return reason, not several
end

--- Does HAProxy's list have what is in force, as far as the model knows?
function Model:is_settled(s)
  local state, in_force, applied = self.states[s], self:in_force(s), {}
  for _, m in ipairs(state.applied) do
    applied[m] = true
  end
  for _, m in ipairs(in_force) do
    if not applied[m] then -- its patterns may be there for the sake of another one, whom others pass
      return false
    end
  end
  return state.list ~= nil and not state.hand and M.same(state.list, self:patterns_of(in_force))
    and #state.applied == #in_force
end

-- What happens.

---@return laws.Entity
function Model:add(m)
  self.serial = self.serial + 1
  m.serial = self.serial
  self.all[#self.all + 1] = m
  return m
end

--- A hand's patterns join the maintenance by hand, or make one.
local function adopt(self, s, extra)
  for _, m in ipairs(#extra > 0 and self:in_force(s) or {}) do
    if m.origin == "by hand" then
      m.patterns, m.scope = self:patterns_of({ m, { patterns = extra } }), nil
      return
    end
  end
  if #extra > 0 then
    self:add({ switch = s, patterns = extra, passes = self.states[s].passing, origin = "by hand", begins = self.now })
  end
end

local function without(list, set)
  local rest = {}
  for _, item in ipairs(list) do
    rest[#rest + 1] = not set[item] and item or nil
  end
  return rest
end

--- haplua looks at the switch: what a hand has done counts from now on.
function Model:see_hand(s)
  local state, rest = self.states[s], {}
  if not state.hand then
    return
  end
  local list = set_of(state.hand)
  if state.touched and not self.switches[s].undo then
    for _, m in ipairs(state.applied) do
      if #without(m.patterns, list) > 0 then
        m.ended = true
      else
        rest[#rest + 1] = m
      end
    end
    adopt(self, s, without(state.hand, set_of(self:patterns_of(rest))))
  elseif not state.touched then
    adopt(self, s, state.hand)
  end
  state.list, state.hand = state.hand, nil
end

--- haplua makes HAProxy as it shall be.
function Model:apply(s)
  local state, list = self.states[s], self:in_force(s)
  for _, m in ipairs(self:current(s)) do
    m.ended = m.ends ~= nil and m.ends <= self.now or nil
  end
  state.list, state.applied, state.passing = self:patterns_of(list), list, self:passing(s, list)
  state.touched, state.lost, state.hand = true, false, nil
end

--- HAProxy is reloaded.
function Model:reload()
  for s, state in ipairs(self.states) do
    state.lost, state.hand = true, nil
    if not self.switches[s].file then
      state.list, state.passing = {}, self.switches[s].others or NOBODY
    end
  end
end

--- The occurrences of a window that are open at an instant, and the next.
local function occurrences(window, now)
  local found, n = {}, math.max(0, (now - window.opens) // window.every)
  for i = n, n + 1 do
    local opens, closes = window.opens + i * window.every, window.closes + i * window.every
    if closes > now then
      found[#found + 1] = { opens = opens, closes = closes }
      if opens > now then
        break
      end
    end
  end
  return found
end

--- keep writes what its windows want.
function Model:plan()
  for n, window in ipairs(self.windows) do
    for _, one in ipairs(self.loaded[n] and occurrences(window, self.now) or {}) do
      local known
      for _, m in ipairs(self.all) do
        known = known or m.window == n and m.opens == one.opens and m
      end
      if not known then
        self:add({ switch = window.switch, patterns = M.patterns(self.switches[window.switch], M.SCOPES[window.scope]),
          scope = window.scope, origin = "window", window = n, opens = one.opens,
          begins = math.max(one.opens, self.now), ends = one.closes }) -- entered late, it begins late
      elseif known.ended and known.cancelled then
        known.ended, known.cancelled = nil, nil
        known.begins = math.max(known.opens, self.now)
      end
    end
  end
end

--- keep reads its configuration.
function Model:load(enabled)
  for n in ipairs(self.windows) do
    self.loaded[n] = enabled[n]
    for _, m in ipairs(self.all) do
      if m.window == n and not enabled[n] and not m.ended and m.ends > self.now then
        m.ended, m.cancelled = true, true
      end
    end
  end
end

--- keep looks at every switch that it knows.
function Model:hold()
  for s, state in ipairs(self.states) do
    local known = state.touched
    for _, m in ipairs(self.all) do
      known = known or m.switch == s
    end
    if known then
      self:see_hand(s)
      local over = false
      for _, m in ipairs(self:current(s)) do
        over = over or m.ends ~= nil and m.ends <= self.now
      end
      if state.touched or over or #self:in_force(s) > 0 then
        self:apply(s)
      end
    end
  end
end

-- What people do. Each returns the exit status that haplua shall have; where that is not 0, nothing has changed.

local function lets_pass(step)
  return step.bypass and M.NETWORKS[step.bypass][2]
end

local changes = {}

function changes.on(self, step, s)
  local switch, patterns = self.switches[s], M.patterns(self.switches[s], M.SCOPES[step.scope])
  if (step.lasts or step.from) and not self.keep or step.bypass and not switch.allow then
    return 1
  end
  local begins = step.begins or self.now
  local ends, same = step.lasts and begins + step.lasts, nil
  for _, m in ipairs(step.from and {} or self:in_force(s)) do
    same = same or m.who == step.who and m.origin == "on" and m.scope == step.scope and m or nil
  end
  for _, m in ipairs(step.replace and self:in_force(s) or {}) do
    m.ended = m ~= same or nil
  end
  local m = same or self:add({ switch = s, patterns = patterns, scope = step.scope, who = step.who, origin = "on",
    begins = begins })
  m.ends, m.passes, m.reason = ends or nil, lets_pass(step), step.reason
  return 0
end

function changes.off(self, step, s)
  local chosen, in_force = {}, self:in_force(s)
  if step.how == "id" then
    chosen = { self:pick(step) }
  elseif step.how == "scope" then
    for _, m in ipairs(self:current(s)) do
      chosen[#chosen + 1] = m.scope == step.scope and m or nil
    end
  else
    for _, m in ipairs(in_force) do
      chosen[#chosen + 1] = (step.how ~= "mine" or m.who == step.who) and m or nil
    end
  end
  if #chosen == 0 and step.how ~= "plain" and step.how ~= "all" then
    return 1
  elseif #chosen > 1 and step.how == "plain" then
    return 2
  end
  for _, m in ipairs(chosen) do
    m.ended = true
  end
  return 0
end

function changes.change(self, step, s)
  local m, ends = self:pick(step), step.lasts and self.now + step.lasts
  local nothing = not (step.lasts or step.no_end or step.moves or step.reason or step.bypass)
  if not m or nothing or step.bypass and not self.switches[s].allow or step.lasts and not self.keep
    or ends and ends <= m.begins then
    return 1
  end
  if m.window then -- the person's own from now on
    m.ended = true
    m = self:add({ switch = s, patterns = m.patterns, scope = m.scope, passes = m.passes, who = step.who, origin = "on",
      reason = m.reason, begins = m.begins, ends = m.ends })
  end
  m.ends = ends or not step.no_end and m.ends or nil
  m.passes = lets_pass(step) or m.passes
  m.patterns = step.moves and M.patterns(self.switches[s], M.SCOPES[step.scope]) or m.patterns
  m.scope = step.moves and step.scope or m.scope
  m.reason = step.reason or m.reason
  return 0
end

--- The n-th maintenance that is not ended and has a name.
function Model:nth(s, n)
  local list = {}
  for _, m in ipairs(self:current(s)) do
    list[#list + 1] = m.id and m or nil
  end
  return list[#list > 0 and (n - 1) % #list + 1 or 1]
end

--- The maintenance that a step names; nil: none, or it is over.
function Model:pick(step)
  local m = self.all[step.serial or 0]
  return m and not m.ended and m or nil
end

--- A person changes a switch.
---@return integer status
function Model:change(step)
  local s = step.switch
  local before = self:copy()
  self:see_hand(s)
  local status = changes[step[1]](self, step, s)
  if status == 0 then
    self:apply(s)
  else
    self:restore(before)
  end
  return status
end

return M
