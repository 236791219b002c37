-- SPDX-License-Identifier: MIT
--
--- Play a history on a site and on the model, and compare them after each step: the maintenances in the store, HAProxy's
-- lists, and which client gets which path.

local model = require("model")
local task = require("task")

local M = {}

---@class laws.Site  what a history is played on
---@field now fun(): number
---@field advance fun(seconds: number)  let time pass
---@field run fun(who: string, words: string[]): integer, string  a script: its status, and what it has printed
---@field start fun(who: string, words: string[], hurried: boolean?): laws.Process
---@field during fun(switch: laws.Switch, paths: string[], seconds: number): string[]  words of a script that keeps a
--- maintenance in force so long
---@field slow fun(seconds: number)  from now on HAProxy takes so long for an answer
---@field list fun(acl: string): string[]
---@field set_list fun(acl: string, patterns: string[])  as a hand at the socket
---@field is_closed fun(switch: laws.Switch, page: string, client: string): boolean
---@field reason fun(switch: laws.Switch, page: string): string?  of a switch that tells one
---@field reload fun()
---@field down fun()
---@field up fun()  as a new process
---@field configure fun(windows: boolean[])  write the configuration with these windows
---@field latest fun(acl: string): integer?  the number of the latest change in the store
---@field current fun(acl: string): haplua.Maintenance[]  of the store

---@class laws.Process
---@field done fun(): boolean
---@field stop fun()
---@field kill fun()
---@field wait fun(): integer, string

---@class laws.Player
local Player = {}
Player.__index = Player

local function fail(form, ...)
  error({ law = form:format(...) }, 0)
end

-- Comparing.

local function matrix(self, of)
  local found = {}
  for s in ipairs(self.model.switches) do
    found[s] = {}
    for p in ipairs(model.PAGES) do
      for c in ipairs(model.CLIENTS) do
        found[s][#found[s] + 1] = of(s, p, c)
      end
    end
  end
  return found
end

local function real(self)
  return matrix(self, function(s, p, c)
    return self.site.is_closed(self.model.switches[s], model.PAGES[p], model.CLIENTS[c])
  end)
end

local function wanted(self, from)
  return matrix(self, function(s, p, c)
    return from:is_closed(s, p, c)
  end)
end

local function name_of(i)
  return ("%s for %s"):format(model.PAGES[(i - 1) // #model.CLIENTS + 1], model.CLIENTS[(i - 1) % #model.CLIENTS + 1])
end

--- A stored maintenance's patterns.
local function patterns_of(switch, stored)
  local found = table.move(stored.scope.patterns or {}, 1, #(stored.scope.patterns or {}), 1, {})
  local paths = stored.scope.paths or {}
  if #found == 0 or #paths > 0 then
    table.move(model.patterns(switch, paths), 1, math.max(1, #paths), #found + 1, found)
  end
  return found
end

local slack = 1.5 -- seconds

local function near(a, b, more)
  return a == b or a ~= nil and b ~= nil and math.abs(a - b) < slack + (more or 0)
end

local function is_the_same(switch, m, stored)
  return (not m.id or m.id == stored.id) and m.origin == (stored.origin:match("^window") or stored.origin)
    and model.same(m.patterns, patterns_of(switch, stored)) and near(m.ends, stored.ends)
    -- keep reads its configuration every 5 seconds, and a window that is entered late begins late
    and near(m.begins, stored.begins, m.origin == "window" and 5)
    and (m.reason or nil) == stored.reason and (not m.who or model.PEOPLE[m.who] == (stored.login or stored.user))
end

local function text_of(switch, m)
  return ("%s %s [%s] %s %.1f-%.1f"):format(m.id, m.origin, table.concat(m.patterns or patterns_of(switch, m), " "),
    m.reason or "-", m.begins % 86400, m.ends and m.ends % 86400 or 0)
end

--- What differs between the store and a model; nil: nothing. Maintenances of the model get the ids of the store.
local function difference(self, from)
  for s, switch in ipairs(from.switches) do
    local stored, missing = self.site.current(switch.acl), {}
    for _, m in ipairs(from:current(s)) do
      local found
      for i, one in ipairs(stored) do
        found = found or is_the_same(switch, m, one) and i
      end
      if found then
        local one = table.remove(stored, found)
        m.id, m.begins, m.ends = one.id, one.begins, one.ends
      else
        missing[#missing + 1] = m
      end
    end
    local lines = {}
    for _, m in ipairs(missing) do
      lines[#lines + 1] = "missing in the store: " .. text_of(switch, m)
    end
    for _, one in ipairs(stored) do
      lines[#lines + 1] = "not wanted in the store: " .. text_of(switch, one)
    end
    if #lines > 0 then
      return ("%s: %s"):format(switch.name, table.concat(lines, "; "))
    end
  end
end

local function check(self)
  local m = self.model
  m.now = self.site.now()
  local problem = difference(self, m)
  if problem then
    fail("%s", problem)
  end
  local has, shall = real(self), wanted(self, m)
  for s, switch in ipairs(m.switches) do
    local state = m.states[s]
    local expected = state.hand or state.list
    if expected and not model.same(expected, self.site.list(switch.acl)) then
      fail("%s has %s, not %s", switch.name, table.concat(self.site.list(switch.acl), " "), table.concat(expected, " "))
    end
    for i, closed in ipairs(m:is_settled(s) and shall[s] or {}) do
      if has[s][i] ~= closed then
        fail("%s: %s is %s", switch.name, name_of(i), closed and "open" or "closed")
      end
    end
    for p, page in ipairs(switch.info and m:is_settled(s) and not state.lost and model.PAGES or {}) do
      local reason, sure = m:reason(s, p)
      local told = self.site.reason(switch, page)
      if sure and told ~= reason then
        fail("%s: visitors of %s are told %s, not %s", switch.name, page, tostring(told), tostring(reason))
      end
    end
  end
end

-- Time.

--- The instants at which time changes something.
local function boundaries(self)
  local found = {}
  for _, m in ipairs(self.model.all) do
    if not m.ended then
      found[#found + 1] = m.begins
      found[#found + 1] = m.ends
    end
  end
  for _, hold in ipairs(self.holds) do
    found[#found + 1] = hold.finish
  end
  table.sort(found)
  return found
end

--- A process has done what it was to do: its maintenance ends, unless it has been ended.
local function over(self, hold)
  local before = self.model:copy()
  local m = self.model.all[hold.serial]
  local was_over = m.ended
  self.model:see_hand(m.switch)
  if was_over or m.ended then
    self.model:restore(before)
  else
    m.ended = true
    self.model:apply(m.switch)
  end
end

--- What the model does at an instant.
local function pass(self, instant)
  local m = self.model
  m.now = instant
  if m.keep then
    m:plan()
    m:hold()
  end
  for i = #self.holds, 1, -1 do
    local hold = self.holds[i]
    local entity = m.all[hold.serial]
    if hold.finish and hold.finish <= instant or not hold.finish and (entity.ended or entity.ends and entity.ends <= instant) then
      table.remove(self.holds, i)
      over(self, hold)
    end
  end
end

--- The first boundary in the seconds to come that lies after `from`.
local function boundary_within(self, from, to)
  for _, at in ipairs(boundaries(self)) do
    if at > from and at <= to then
      return at
    end
  end
end

--- Let time pass, and a little more where something is due just then.
local function advance(self, seconds)
  local from = self.site.now()
  local to = from + seconds
  pass(self, from)
  while boundary_within(self, to - 3, to + 1) do
    to = to + 2
  end
  local at = from
  while true do
    at = boundary_within(self, at, to)
    if not at then
      break
    end
    pass(self, at)
  end
  self.site.advance(to - from)
  pass(self, self.site.now())
end

--- Let time pass until nothing is due for so long.
local function until_quiet(self, seconds)
  while boundary_within(self, self.site.now() - 3, self.site.now() + seconds) do
    advance(self, 2)
  end
end

-- Steps.

local function person(step)
  return model.PEOPLE[step.who]
end

--- The words of a change.
local function words_of(self, step)
  local m, s = self.model, step.switch
  local switch = m.switches[s]
  local words = { "scripts/maint.lua", step[1], "--switch", switch.name }
  local function add(...)
    table.move({ ... }, 1, select("#", ...), #words + 1, words)
  end
  if step[1] == "change" or step.how == "id" then
    local chosen = m:nth(s, step.n)
    step.serial = chosen and chosen.serial
    add("m" .. (chosen and chosen.id or 999))
  end
  if step[1] == "on" or step.moves or step.how == "scope" then
    for _, path in ipairs(model.SCOPES[step.scope]) do
      add("--path", path)
    end
  elseif step[1] == "off" and step.how ~= "plain" and step.how ~= "id" then
    add("--" .. step.how)
  end
  step.begins = step.from and math.ceil(self.site.now()) + step.from
  for _, option in ipairs({
    { "--for", step.lasts and step.lasts .. "s" }, { "--from", step.begins and os.date("!%Y-%m-%dT%H:%M:%SZ", step.begins) },
    { "--bypass", step.bypass and model.NETWORKS[step.bypass][1] }, { "--reason", step[1] ~= "off" and step.reason },
  }) do
    if option[2] then
      add(option[1], option[2])
    end
  end
  add(step.replace and "--replace" or nil)
  add(step.no_end and "--no-end" or nil)
  return words
end

local steps = {}

local function change(self, step)
  local words = words_of(self, step)
  self.model.now = self.site.now()
  local expected = self.model:change(step)
  local status, text = self.site.run(person(step), words)
  if status ~= expected then
    fail("%s: status %d, not %d: %s", table.concat(words, " "), status, expected, text)
  end
end
steps.on, steps.off, steps.change = change, change, change

function steps.advance(self, step)
  advance(self, step.seconds)
end

function steps.hold(self, step)
  local m, s = self.model, step.switch
  local switch, scope = m.switches[s], model.SCOPES[step.scope]
  m.now = self.site.now()
  m:see_hand(s)
  local seconds = step.lasts or step.seconds or 30 + step.scope * 20
  local entity = m:add({ switch = s, patterns = model.patterns(switch, scope), scope = step.scope, who = step.who,
    origin = step.lasts and "wait" or "during", begins = m.now, ends = step.lasts and m.now + seconds or nil })
  local words = self.site.during(switch, scope, seconds)
  if step.lasts then
    words = { "scripts/maint.lua", "on", "--switch", switch.name, "--wait", "--for", seconds .. "s" }
    for _, path in ipairs(scope) do
      table.move({ "--path", path }, 1, 2, #words + 1, words)
    end
  end
  m:apply(s)
  self.holds[#self.holds + 1] = { serial = entity.serial, process = self.site.start(person(step), words),
    finish = not step.lasts and m.now + seconds or nil }
end

function steps.release(self, step)
  local n = #self.holds
  if n > 0 then
    local hold = table.remove(self.holds, (step.n - 1) % n + 1)
    hold.process[step.how]()
    self.model.now = self.site.now()
    if step.how == "stop" then
      over(self, hold)
    end
  end
end

function steps.reload(self)
  if self.model.keep then -- what a hand has done is noticed before
    advance(self, 2)
  end
  self.site.reload()
  self.model:reload()
  if self.model.keep then
    advance(self, 3)
  end
end

function steps.keep(self, step)
  local m = self.model
  if step.how == "start" and not m.keep then
    -- never at the very instant of a change: a window that begins as keep starts would count as one that the change has seen
    self.site.advance(0.01)
    self.process = self.site.start("keeper", { "scripts/keep.lua" })
    m.keep, m.now = true, self.site.now()
    m:load(self.windows)
    advance(self, 2)
  elseif step.how ~= "start" and m.keep then
    advance(self, 2)
    self.process[step.how]()
    m.keep = false
  end
end

function steps.window(self, step)
  local n = (step.n - 1) % #self.model.windows + 1
  until_quiet(self, 12)
  self.windows[n] = not self.windows[n]
  self.site.configure(self.windows)
  if self.model.keep then
    self.model:load(self.windows)
    advance(self, 7)
  end
end

--- A hand at the socket. It waits until haplua has nothing left to do.
function steps.hand(self, step)
  local m, s = self.model, step.switch
  local state = m.states[s]
  m.now = self.site.now()
  -- a hand's entry in a map closes more than it names: tests/policies/map_test.lua
  if m.switches[s].method == "map" or not m:is_settled(s) or state.lost or boundary_within(self, m.now - 3, m.now + 3) then
    return
  end
  local list = table.move(state.list, 1, #state.list, 1, {})
  local added = model.patterns(m.switches[s], model.SCOPES[step.scope])
  if step.how == "clear" or step.how == "replace" then
    list = {}
  elseif step.how == "remove" and #list > 0 then
    table.remove(list, (step.n - 1) % #list + 1)
  end
  for _, pattern in ipairs((step.how == "add" or step.how == "replace") and added or {}) do
    list = m:patterns_of({ { patterns = list }, { patterns = { pattern } } })
  end
  self.site.set_list(m.switches[s].acl, list)
  state.hand = list
  if m.keep and self.patience then -- keep may see it at any time from now on
    m:hold()
  end
end

--- HAProxy is away while somebody tries a change, and begins anew.
function steps.away(self, step)
  if self.model.keep then
    advance(self, 2)
  end
  until_quiet(self, 20)
  local words = words_of(self, step.change)
  self.site.down()
  local status, text = self.site.run(person(step.change), words)
  if status == 0 then
    fail("%s: status 0 while HAProxy is away: %s", table.concat(words, " "), text)
  end
  self.site.advance(step.seconds)
  self.site.up()
  self.model:reload()
  advance(self, 3)
end

--- kill -9 amid a change.
function steps.killed(self, step)
  if self.model.keep then
    advance(self, 2)
  end
  until_quiet(self, 5)
  local before, s = real(self), step.change.switch
  -- one ends and another begins: somebody may be stopped between the two lists who passes before and after
  local is_mixed = step.change[1] == "change" or step.change.replace or not self.model:is_settled(s)
  local words = words_of(self, step.change)
  self.model.now = self.site.now()
  local after, latest = self.model:copy(), self.site.latest(self.model.switches[s].acl)
  local expected = after:change(step.change)
  self.site.slow(0.01)
  local process = self.site.start(person(step.change), words)
  self.site.advance(step.after * 0.007)
  local ended = process.done()
  local status, text = nil, nil
  if ended then
    status, text = process.wait()
  else
    process.kill()
  end
  self.site.slow(0)
  if ended and status ~= expected then
    fail("%s: status %d, not %d: %s", table.concat(words, " "), status, expected, text)
  end
  local has_begun = self.site.latest(self.model.switches[s].acl) ~= latest
  self.model.now, after.now = self.site.now(), self.site.now()
  local problem = difference(self, has_begun and after or self.model)
  if problem or ended and expected == 0 and not has_begun then
    fail("%s, killed: %s", table.concat(words, " "), problem or "it was not recorded")
  end
  local shall, has = wanted(self, after), real(self)
  for i, closed in ipairs(has[s]) do
    if closed ~= before[s][i] and closed ~= shall[s][i] and not (closed and is_mixed) then
      fail("%s, killed: %s was and should be %s", table.concat(words, " "), name_of(i), closed and "open" or "closed")
    end
  end
  if has_begun then
    self.model = after
    self.model.states[s].list = ended and self.model.states[s].list or nil
  end
  if self.model.keep then
    advance(self, 3)
  end
end

--- Two people at the same time.
function steps.both(self, step)
  if self.model.keep then
    advance(self, 2)
  end
  until_quiet(self, 5)
  self.model.now = self.site.now()
  self.site.slow(0.01)
  local running = {}
  for i = 2, 3 do
    local words = words_of(self, step[i])
    running[i] = { words = words, process = self.site.start(person(step[i]), words), expected = self.model:change(step[i]) }
  end
  for i = 2, 3 do
    local status, text = running[i].process.wait()
    if status ~= running[i].expected then
      fail("%s: status %d, not %d: %s", table.concat(running[i].words, " "), status, running[i].expected, text)
    end
  end
  self.site.slow(0)
end

-- Playing.

--- Check; where keep is a real process, until it has done its work.
local function check_in_time(self)
  local latest = task.now() + (self.patience or 0)
  while true do
    local ok, problem = pcall(check, self)
    if ok then
      return
    elseif type(problem) ~= "table" or not self.model.keep or task.now() >= latest then
      error(problem, 0)
    end
    task.sleep(0.1)
  end
end

--- Play a history.
---@param site laws.Site
---@param given {switches: laws.Switch[], windows: table[], patience: number?}  patience: of a site on which processes take
--- time, the seconds that keep has for its work
---@param history laws.Step[]
---@return string? problem, table model  nil: each law held
function M.play(site, given, history)
  local self = setmetatable({ site = site, holds = {}, windows = {}, patience = given.patience, model = nil }, Player)
  slack = given.patience or 1.5
  for n in ipairs(given.windows) do
    self.windows[n] = true
  end
  self.model = model.new(given.switches, given.windows, site.now())
  site.configure(self.windows)
  local number, problem = 0, nil
  local ok, raised = xpcall(function()
    for i, step in ipairs(history) do
      number = i
      steps[step[1]](self, step)
      check_in_time(self)
    end
  end, function(raised)
    return type(raised) == "table" and raised.law and raised or type(raised) == "string"
      and { law = debug.traceback(raised) } or raised
  end)
  if not ok then
    problem = ("step %d: %s"):format(number, type(raised) == "table" and raised.law or tostring(raised))
  end
  for _, hold in ipairs(self.holds) do
    hold.process.kill()
  end
  if self.process then
    problem = problem and self.process.said and problem .. "\n" .. self.process.said() or problem
    self.process.kill()
  end
  return problem, self.model
end

return M
