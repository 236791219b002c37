-- SPDX-License-Identifier: MIT
--
--- Random histories: what people, programs, time and HAProxy do to the switches of a site, as plain data. A step names
-- what it works on by a number that is taken modulo what is there, so a history stays one when steps are left out.

local M = {}

---@class laws.Step
---@field [1] string  what is done
---@field switch integer?
---@field who integer?  the person
---@field scope integer?  number of a scope
---@field n integer?  which of those that are there

--- A generator of numbers from a seed: random(n) is one of 1 to n.
local function generator(seed)
  local state = seed * 2654435761 % 4294967296 + 1
  return function(n)
    state = (state ~ state << 13) & 0xffffffff
    state = state ~ state >> 17
    state = (state ~ state << 5) & 0xffffffff
    return state % n + 1
  end
end

--- A change that a person makes, as one of `on`, `off` and `change`.
local function change(random, switches)
  local step = {
    ({ "on", "on", "on", "off", "off", "change" })[random(6)], switch = random(switches), who = random(3),
    scope = random(6), n = random(20), reason = random(2) == 1 and "r" .. random(9) or nil,
  }
  if step[1] == "off" then
    step.how = ({ "plain", "id", "id", "id", "scope", "mine", "all" })[random(7)]
    step.how = step.how == "scope" and step.scope == 1 and "plain" or step.how -- no option means the whole site
    return step
  end
  step.lasts = random(3) == 1 and 5 + random(120) or nil
  step.bypass = random(3) == 1 and random(5) or nil
  if step[1] == "on" then
    step.from = random(6) == 1 and random(60) or nil
    step.replace = random(8) == 1
  else
    step.moves = random(3) == 1 and step.scope > 1
    step.no_end = not step.lasts and random(4) == 1
  end
  return step
end

--- Steps with their weights.
local makers = {
  { 40, change },
  { 12, function(random)
    return { "advance", seconds = ({ 1, 5, 20, 60, 120 })[random(5)] }
  end },
  { 8, function(random, switches)
    return { "hold", switch = random(switches), who = random(3), scope = random(6), lasts = random(2) == 1 and random(90) }
  end },
  { 6, function(random)
    return { "release", n = random(20), how = random(2) == 1 and "stop" or "kill" }
  end },
  { 6, function()
    return { "reload" }
  end },
  { 10, function(random)
    return { "keep", how = ({ "start", "start", "start", "stop", "kill" })[random(5)] }
  end },
  { 8, function(random, switches)
    return { "hand", switch = random(switches), scope = random(6), n = random(20), how = ({ "add", "add", "remove", "clear",
      "replace" })[random(5)] }
  end },
  { 6, function(random, switches)
    return { "killed", change = change(random, switches), after = random(12) }
  end },
  { 4, function(random, switches)
    local one, other = change(random, switches), change(random, switches)
    one[1], other[1], one.how, other.how, one.no_end, other.no_end = "on", "on", nil, nil, nil, nil
    one.replace, other.replace, one.from, other.from, one.lasts, other.lasts = nil, nil, nil, nil, nil, nil
    other.switch, other.scope, other.who = one.switch, one.scope % 6 + 1, one.who % 3 + 1
    return { "both", one, other }
  end },
  { 3, function(random, switches)
    return { "away", change = change(random, switches), seconds = random(5) }
  end },
  { 3, function(random)
    return { "window", n = random(4) }
  end },
}

--- The history of a seed.
---@param seed integer
---@param switches integer  how many there are
---@param length integer  steps at most
---@return laws.Step[]
function M.of(seed, switches, length)
  local random, steps, sum = generator(seed), {}, 0
  for _, maker in ipairs(makers) do
    sum = sum + maker[1]
  end
  for i = 1, length // 2 + random(length // 2) do
    local at = random(sum)
    for _, maker in ipairs(makers) do
      at = at - maker[1]
      if at <= 0 then
        steps[i] = maker[2](random, switches)
        break
      end
    end
  end
  return steps
end

local function text_of(value)
  if type(value) ~= "table" then
    return type(value) == "string" and ("%q"):format(value) or tostring(value)
  end
  local words, names = {}, {}
  for i, item in ipairs(value) do
    words[i] = text_of(item)
  end
  for name, item in pairs(value) do
    if type(name) == "string" and item then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    words[#words + 1] = name .. " = " .. text_of(value[name])
  end
  return "{ " .. table.concat(words, ", ") .. " }"
end

--- A history as lines of Lua.
---@param steps laws.Step[]
---@return string
function M.text(steps)
  local lines = {}
  for i, step in ipairs(steps) do
    lines[i] = "  " .. text_of(step) .. ","
  end
  return table.concat(lines, "\n")
end

--- The smallest history found that fails still: steps are left out, half of them at a time, then fewer, then one.
---@param steps laws.Step[]
---@param fails fun(steps: laws.Step[]): string?  what is wrong; nil: nothing
---@return laws.Step[] steps, string problem
function M.smallest(steps, fails, problem)
  local size = #steps // 2
  while size >= 1 do
    local at, shorter = 1, false
    while at <= #steps do
      local rest = table.move(steps, 1, at - 1, 1, {})
      table.move(steps, at + size, #steps, at, rest)
      local found = #rest > 0 and fails(rest)
      if found then
        steps, problem, shorter = rest, found, true
      else
        at = at + size
      end
    end
    size = shorter and size == 1 and 1 or size // 2
  end
  return steps, problem
end

return M
