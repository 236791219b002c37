-- SPDX-License-Identifier: MIT
--
--- The whole terminal as lines: a pure function of what is known, what is chosen, and the size.
-- Every line is as wide as the terminal, in cells.

local columns = require("haplua.view.columns")
local list = require("haplua.view.items")
local text = require("haplua.view.text")

local clean, fit, paint = text.clean, text.fit, text.paint

local M = {}

---@class haplua.view.Panel  what lies over the lower part of the list
---@field title string
---@field command string?  as a shell would take it
---@field lines string[]  what a command has said
---@field question string?  the last line
---@field input string?  the text that is being typed
---@field top integer  the first of the lines that is shown, from 1 on

---@class haplua.view.Shown  what a person has chosen
---@field chosen string?  the key of an item; nil: the first one that can be chosen
---@field place integer?  where that was listed
---@field top integer  the first item that is shown, from 1 on
---@field filter string
---@field order string  of items.orders
---@field folded table<string, boolean>  keys of backends whose servers are not listed
---@field typing boolean?  the filter is being typed
---@field panel haplua.view.Panel?

M.HELP = {
  "up, down, page up, page down, home, end   choose a line",
  "enter    list the servers of a backend, or not",
  "",
  "d        drain a server, or all of a backend: no new sessions",
  "m        take it out of service (maintenance)",
  "r        put it back: end its maintenances",
  "b        begin a maintenance of the site, or of a part of it;",
  "         with a node of a fleet chosen, on this node",
  "c        change the chosen maintenance",
  "e        end the chosen maintenance",
  "         Each shows the command and what it would do, and asks.",
  "",
  "/        list only what has a text in its name",
  "s        another order: HAProxy's, name, state, sessions, rate",
  "Ctrl-L   draw everything anew",
  "q        leave; Ctrl-Z stops it, and fg brings it back",
  "",
  "sess     sessions; the bar is full at the server's limit (maxconn),",
  "         or, where it has none, at the busiest server of its backend",
  "rate/s   new sessions in the last second; the bars are earlier looks",
  "check    the latest check, or the maintenance that holds the server",
}

---@return haplua.view.Shown
function M.shown()
  return { top = 1, filter = "", order = list.orders[1], folded = {} }
end

--- Can an item be chosen? Nothing can be done to the others.
function M.can_choose(item)
  return item.kind ~= "target" and item.kind ~= "note" and item.kind ~= "blank"
end

--- The place nearest to another one whose item can be chosen.
local function nearest(items, place)
  for by = 0, #items do
    for _, i in ipairs({ place - by, place + by }) do
      if items[i] and M.can_choose(items[i]) then
        return i
      end
    end
  end
end

--- The place of the chosen item. Where that is gone, of what is listed near its place.
---@param items haplua.view.Item[]
---@param shown haplua.view.Shown
---@return integer?
function M.place(items, shown)
  for i, item in ipairs(shown.chosen and items or {}) do
    if item.key == shown.chosen then
      return i
    end
  end
  return nearest(items, shown.chosen and shown.place or 1)
end

--- The first line: how many HAProxys and maintenances, how the run is confined, and the time. What has no room is left
--- out, the marks of the run last.
local function title(known, theme, width)
  local away, number, planned = 0, 0, 0
  for _, one in ipairs(list.sections(known)) do
    away = away + (one.away and one ~= known.fleet and 1 or 0)
    number = number + #list.maintenances(known, one, "maintenances")
    planned = planned + #list.maintenances(known, one, "planned")
  end
  local targets = #known.targets == 1 and "1 HAProxy" or #known.targets .. " HAProxys"
  targets = away > 0 and ("%s, %d away"):format(targets, away) or targets
  if known.fleet then
    local name = clean(theme, known.fleet.name)
    targets = list.has_none(known) and name or ("%s, %s"):format(name, targets)
  end
  local force = ("%d in force"):format(number) .. (planned > 0 and (", %d planned"):format(planned) or "")
  local marks, clock = clean(theme, table.concat(known.options, " ")), os.date("%H:%M:%S ", math.floor(theme.now))
  local right = marks ~= "" and ("[%s]  %s"):format(marks, clock) or clock
  if width < text.width(right) + 2 then
    right = marks ~= "" and marks or ""
  end
  for _, left in ipairs({ ("haplua watch   %s   %s"):format(targets, force), targets .. "   " .. force, force, "" }) do
    if text.width(left) + text.width(right) + 3 <= width or left == "" then
      return paint(theme, "title", fit(theme, " " .. left, math.max(0, width - text.width(right))) .. fit(theme, right,
        math.min(width, text.width(right))))
    end
  end
end

local KEYS <const> = {
  server = "d drain  m maint  r ready", backend = "d drain  m maint  r ready", maintenance = "e end  c change",
  node = "b begin here",
}

local function footer(item, shown, theme, width)
  if shown.typing then
    return fit(theme, "/" .. shown.filter .. (theme.unicode and "▏" or "_"), width)
  end
  local own = item and KEYS[item.kind]
  local begin = item and item.kind == "node" and "" or "b begin  "
  local words = { (own and own .. "  " or "") .. begin .. "/ filter  s sort  ? help  q quit" }
  if shown.filter ~= "" then
    table.insert(words, 1, ("only '%s'"):format(clean(theme, shown.filter)))
  end
  if shown.order ~= list.orders[1] then
    table.insert(words, 1, "by " .. shown.order)
  end
  return paint(theme, "faint", fit(theme, " " .. table.concat(words, "   "), width))
end

--- The lines of a panel, at most `room` of them.
local function panel_lines(panel, theme, width, room)
  local body, after = {}, {}
  local rule = theme.unicode and "─" or "-"
  for _, said in ipairs(panel.lines) do
    for _, line in ipairs(text.wrap(clean(theme, said), width - 2)) do
      body[#body + 1] = line
    end
  end
  if panel.input then
    after = text.wrap("> haplua " .. panel.input .. (theme.unicode and "▏" or "_"), width - 2)
  elseif panel.command then
    local command = text.wrap("$ haplua " .. clean(theme, panel.command), width - 2)
    body = table.move(body, 1, #body, #command + 1, command)
  end
  after[#after + 1] = panel.question
  local space = math.max(1, room - 1 - #after)
  panel.top = math.max(1, math.min(panel.top, #body - space + 1))
  local hidden = #body - space
  local head = ("%s %s%s "):format(rule:rep(2), clean(theme, panel.title), hidden > 0
    and (" (%d-%d of %d, up and down)"):format(panel.top, panel.top + space - 1, #body) or "")
  local lines = { paint(theme, "strong", fit(theme, head .. rule:rep(width - text.width(head)), width)) }
  for i = panel.top, math.min(#body, panel.top + space - 1) do
    lines[#lines + 1] = fit(theme, " " .. body[i], width)
  end
  for i, line in ipairs(after) do
    lines[#lines + 1] = i == #after and panel.question and paint(theme, "strong", fit(theme, " " .. line, width))
      or fit(theme, " " .. line, width)
  end
  return lines
end

--- Move the part of the list that is shown, so that the chosen line is in it.
local function scroll(shown, place, items, room)
  local n, first = #items, place
  while first and first > 1 and not M.can_choose(items[first - 1]) do
    first = first - 1 -- what stands over a line is shown with it
  end
  if place and first < shown.top then
    shown.top = math.max(first, place - room + 1)
  elseif place and place >= shown.top + room then
    shown.top = place - room + 1
  end
  shown.top = math.max(1, math.min(shown.top, n - room + 1))
end

--- Leave the spare blank lines out where not all items fit.
local function without_spare(items, room)
  local kept = {}
  for _, item in ipairs(#items > room and items or {}) do
    kept[#kept + 1] = not item.spare and item or nil
  end
  return #items > room and kept or items
end

--- Draw. Changes of `shown` what follows from the size: the first lines, and the choice where the chosen item is gone.
---@param known haplua.view.Model
---@param shown haplua.view.Shown
---@param width integer
---@param height integer
---@param theme haplua.view.Theme  with `now`, seconds since 1970
---@return string[] lines, haplua.view.Item? chosen, haplua.view.Item[] items
function M.draw(known, shown, width, height, theme)
  local items = without_spare(list.of(known, shown, theme), height - 3)
  local place = M.place(items, shown)
  local chosen = items[place]
  shown.place = place
  if width < 24 or height < 6 then
    local lines = { fit(theme, "haplua watch: too small", width) }
    for i = 2, height do
      lines[i] = (" "):rep(width)
    end
    return lines, chosen, items
  end
  local layout = columns.layout(items, width)
  local lines = { title(known, theme, width), columns.head(layout, theme) }
  local over = shown.panel and panel_lines(shown.panel, theme, width, height - 4) or {}
  local room = height - 3 - #over
  scroll(shown, place, items, room)
  for i = shown.top, shown.top + room - 1 do
    lines[#lines + 1] = items[i] and columns.line(items[i], layout, theme, i == place) or (" "):rep(width)
  end
  table.move(over, 1, #over, #lines + 1, lines)
  lines[height] = footer(chosen, shown, theme, width)
  return lines, chosen, items
end

return M
