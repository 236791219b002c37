-- SPDX-License-Identifier: MIT
--
--- `haplua watch` on a terminal: tasks look at each HAProxy, and one reads keys. Each draws what has changed.

local command = require("haplua.view.command")
local core = require("haplua.core")
local frame = require("haplua.view.frame")
local keys = require("haplua.view.keys")
local list = require("haplua.view.items")
local look = require("haplua.view.look")
local model = require("haplua.view.model")
local screen = require("haplua.screen")
local task = require("haplua.task")

local M = {}

---@class haplua.view.View
---@field screen haplua.Screen
---@field known haplua.view.Model
---@field shown haplua.view.Shown
---@field theme haplua.view.Theme
---@field acl string?
---@field lines string[]  those on the terminal
---@field width integer?
---@field height integer?
---@field items haplua.view.Item[]
---@field item haplua.view.Item?  the chosen one
---@field line string?  of the panel: the command that was tried
---@field words string[]?  and its words
---@field drawn number?  when it was drawn, in seconds of task.now()
---@field keys string[]?  that were typed and are to be handled
---@field ended boolean?
local View = {}
View.__index = View

--- Write the lines that differ from those on the terminal.
function View:draw()
  self.drawn = task.now()
  local width, height = self.screen:size()
  local parts = {}
  if width ~= self.width or height ~= self.height then
    parts[1], self.lines, self.width, self.height = "\27[2J", {}, width, height
  end
  self.theme.now = task.time()
  local lines
  lines, self.item, self.items = frame.draw(self.known, self.shown, width, height, self.theme)
  for i = 1, height do
    if lines[i] ~= self.lines[i] then
      parts[#parts + 1] = ("\27[%d;1H%s"):format(i, lines[i])
    end
  end
  self.lines = lines
  if #parts > 0 and not self.screen:write(table.concat(parts)) then
    self.lines = {} -- it is not known what the terminal has
  end
end

-- Keys. The functions return nothing; `ended` ends the view.

--- Choose the item that lies so many items away.
function View:move(by)
  local items, shown = self.items, self.shown
  local place = frame.place(items, shown) or 1
  local goal = math.max(1, math.min(#items, place + by))
  local step = by < 0 and -1 or 1
  for _, direction in ipairs({ step, -step }) do
    local i = goal
    while items[i] do
      if frame.can_choose(items[i]) then
        shown.chosen, self.item = items[i].key, items[i]
        return
      end
      i = i + direction
    end
  end
end

function View:page()
  return math.max(1, (self.height or 24) - 4)
end

--- Forget what was typed and not handled yet.
function View:forget_keys()
  self.keys = {}
  self.screen:flush()
end

--- Run the command of the panel as a dry run, and ask.
function View:try(line)
  local words, problem = command.read(line, self.known)
  local panel = { title = self.shown.panel.title, command = line, lines = {}, top = 1 }
  self.shown.panel, self.line, self.words = panel, line, words
  if not words then
    panel.lines, panel.question = { problem }, "e edit it   any other key: back"
    return
  end
  panel.question = "looking what it would do ..."
  self:draw()
  local status
  status, panel.lines = command.run(words, not core.dry_run())
  self:forget_keys() -- what was typed before the question is no answer to it
  if status ~= 0 and status ~= 4 then
    panel.title, panel.question = panel.title .. ": refused", "e edit it   any other key: back"
  elseif core.dry_run() then
    panel.question = "a dry run (-n): this is all.   any key: back"
  else
    panel.question = "do it?   y yes   e edit it   n no (any other key)"
    panel.asks = true
  end
end

--- Carry the command of the panel out.
function View:carry_out()
  local panel = self.shown.panel
  panel.asks, panel.question, panel.lines = nil, "at work ...", {}
  self:draw()
  local status
  status, panel.lines = command.run(self.words, false)
  self:forget_keys()
  panel.title = panel.title .. (status == 0 and ": done" or (": exit status %d"):format(status))
  panel.question, panel.top = "any key: back", 1
  for _, one in ipairs(self.known.targets) do
    look.servers(one)
    look.maintenances(one, self.acl)
  end
end

--- A key while a line is edited. Returns true once it is a whole one.
local function edit(panel, key)
  if key == "backspace" then
    panel.input = panel.input:gsub("[^\x80-\xbf][\x80-\xbf]*$", "")
  elseif key == "clear" then
    panel.input = ""
  elseif #key > 0 and (utf8.len(key) == 1) then
    panel.input = panel.input .. key
  end
  return key == "enter"
end

--- A key while a panel is there.
function View:panel_key(key)
  local panel = self.shown.panel
  local steps = { up = -1, down = 1, ["page up"] = -self:page(), ["page down"] = self:page() }
  if panel.input then
    if key == "escape" then
      self.shown.panel = nil
    elseif edit(panel, key) then
      self:try(panel.input)
    end
  elseif steps[key] then
    panel.top = panel.top + steps[key]
  elseif key == "y" and panel.asks then
    self:carry_out()
  elseif key == "e" and self.line and not core.dry_run() and not panel.title:find(": done$") then
    self.shown.panel = {
      title = panel.title:gsub(": refused$", ""), lines = {}, top = 1, input = self.line,
      question = "enter shows what it would do   escape: back",
    }
  else
    self.shown.panel, self.line = nil, nil
  end
end

--- Begin what a key does to the chosen item.
function View:act(key)
  local action = command.of(key, self.item, self.known, self.acl)
  if not action then
    return
  end
  self.shown.panel = { title = action.title, lines = {}, top = 1 }
  if action.open then
    self.shown.panel.input = action.line
    self.shown.panel.lines = { "Add what it is for, such as --path /shop --reason 'new database' --for 30m" }
    self.shown.panel.question = "enter shows what it would do   escape: back"
  else
    self:try(action.line)
  end
end

--- A key while the filter is typed.
function View:filter_key(key)
  local shown = self.shown
  local field = { input = shown.filter }
  if key == "escape" then
    shown.filter, shown.typing = "", nil
  elseif edit(field, key) then
    shown.typing = nil
  else
    shown.filter = field.input
  end
end

local handlers = {
  up = function(view) view:move(-1) end,
  down = function(view) view:move(1) end,
  k = function(view) view:move(-1) end,
  j = function(view) view:move(1) end,
  ["page up"] = function(view) view:move(-view:page()) end,
  ["page down"] = function(view) view:move(view:page()) end,
  home = function(view) view:move(-math.maxinteger // 2) end,
  ["end"] = function(view) view:move(math.maxinteger // 2) end,
  q = function(view) view.ended = true end,
  ["/"] = function(view) view.shown.typing = true end,
  redraw = function(view) view.width = nil end,
  escape = function(view) view.shown.filter = "" end,
  ["?"] = function(view)
    view.shown.panel = { title = "keys", lines = frame.HELP, top = 1, question = "any key: back" }
  end,
  enter = function(view)
    local key = view.item and view.item.kind == "backend" and view.item.key
    if key then
      view.shown.folded[key] = not view.shown.folded[key] or nil
    end
  end,
  s = function(view)
    for i, order in ipairs(list.orders) do
      if order == view.shown.order then
        view.shown.order = list.orders[i % #list.orders + 1]
        return
      end
    end
  end,
}

--- What a key does.
---@param key string
function View:key(key)
  if key == "redraw" then
    self.width = nil
  elseif self.shown.panel then
    self:panel_key(key)
  elseif self.shown.typing then
    self:filter_key(key)
  elseif handlers[key] then
    handlers[key](self)
  else
    self:act(key)
  end
end

--- Read keys until one ends the view.
function View:read()
  while not self.ended do
    self:draw()
    local typed = self.screen:read()
    if not typed then
      return
    elseif typed == "" then
      self.width = nil
    end
    self.keys = keys.of(typed)
    while self.keys[1] do
      self:key(table.remove(self.keys, 1))
    end
  end
end

--- Show HAProxys until a key or a signal ends the view.
---@param targets haplua.Target[]
---@param given {every: number, acl: string?, unicode: boolean, colour: boolean, fleet: haplua.view.Fleet?,
--- follow: fun(changed: fun())?}  follow: keeps the fleet up to date until its task is cancelled
function M.run(targets, given)
  local known = { targets = {}, options = core.options(), fleet = given.fleet }
  for i, target in ipairs(targets) do
    known.targets[i] = model.target(tostring(target), target)
  end
  local terminal <close> = screen.open()
  local view = setmetatable({
    screen = terminal, known = known, shown = frame.shown(), lines = {}, items = {}, acl = given.acl,
    theme = { unicode = given.unicode, colour = given.colour, now = task.time() },
  }, View)
  local function changed()
    view:draw()
  end
  local tasks = {}
  for _, one in ipairs(known.targets) do
    tasks[#tasks + 1] = task.spawn(look.follow_servers, one, given.every, changed)
    tasks[#tasks + 1] = task.spawn(look.follow_maintenances, one, given.acl, given.every, changed)
  end
  tasks[#tasks + 1] = given.follow and task.spawn(given.follow, changed) or nil
  tasks[#tasks + 1] = task.spawn(function() -- the clock, and times that are left
    while true do
      task.sleep(1)
      if task.now() - view.drawn > 0.5 then
        changed()
      end
    end
  end)
  local cancelling <close> = setmetatable({}, { __close = function() -- luacheck: ignore cancelling
    for _, one in ipairs(tasks) do
      one:cancel()
    end
  end })
  view:read()
end

return M
