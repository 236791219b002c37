-- SPDX-License-Identifier: MIT
--
--- One line for each item of a view. As many columns as there is room for, the most wanted first.

local maintenance = require("haplua.plan.maintenance")
local model = require("haplua.view.model")
local scope = require("haplua.plan.scope")
local text = require("haplua.view.text")

local clean, fit, paint = text.clean, text.fit, text.paint

local M = {}

-- A sign and a style for each state.
local STATES <const> = {
  up = { "●", "+", "good" }, unsteady = { "◍", "?", "soft" }, drain = { "◐", "~", "soft" }, maint = { "○", "-", "calm" },
  down = { "✗", "!", "bad" },
}

-- The same for nodes of a fleet.
local NODE_STATES <const> = {
  ["in step"] = STATES.up, behind = STATES.drain, refused = STATES.down, away = { "○", "-", "bad" },
}

---@class haplua.view.Column
---@field head string
---@field width integer
---@field to_right boolean?
---@field cell fun(item: haplua.view.Item, theme: haplua.view.Theme, width: integer): string, string?  text and style

local function number(value)
  return value and text.count(value) or "-"
end

--- A number as a cell; nothing and 0 are faint.
---@param style string?  of another number
local function number_cell(value, style)
  return number(value), (value or 0) == 0 and "faint" or style
end

local function state_cell(item, theme)
  local one = item.one
  if item.kind == "backend" then
    local up = 0
    for _, server in ipairs(one.servers) do
      local state = model.state(server.row.status)
      up = up + ((state == "up" or state == "unsteady") and 1 or 0)
    end
    return ("%d of %d"):format(up, #one.servers), #one.servers > 0 and up == 0 and "bad" or "strong"
  end
  local status = tostring(one.row.status)
  local shown = status:gsub(" %(resolution%)", " dns"):gsub(" %(via.*", " via")
  return clean(theme, shown .. (one.row.bck == 1 and " backup" or "")), STATES[model.state(status)][3]
end

--- How full a server is: against its limit, else against the busiest server of its backend.
local function fullness(item, theme, width)
  if item.kind == "backend" then
    return "", nil
  end
  local row = item.one.row
  local limit = row.slim and row.slim > 0 and row.slim
  local share = (row.scur or 0) / (limit or item.busiest)
  return text.bar(theme, share, width), limit and share > 0.9 and "bad" or limit and share > 0.7 and "soft" or "bar"
end

--- What the latest check said: "L7OK/200 in 3ms".
local function check(row)
  if not row.check_status or row.check_status == "" then
    return ""
  end
  local code, took = row.check_code and "/" .. row.check_code or "", row.check_duration
  return ("%s%s%s"):format(row.check_status, code, took and took ~= "" and (" in %sms"):format(took) or "")
end

local function note_cell(item, theme)
  local m = item.of
  if item.kind == "backend" then
    return "", nil
  elseif m then
    local left = m.ends and (", %s left"):format(text.span(m.ends - theme.now)) or ""
    return clean(theme, ("%s%s%s"):format(maintenance.name(m), left, m.reason and ": " .. m.reason or "")), "calm"
  end
  local row = item.one.row
  return clean(theme, check(row)), model.state(row.status) == "down" and "bad" or "faint"
end

---@type table<string, haplua.view.Column>
local columns = {
  state = { head = "state", width = 10, cell = state_cell },
  sessions = { head = "sess", width = 5, to_right = true, cell = function(item)
    return number_cell(item.one.row.scur)
  end },
  fullness = { head = "", width = 8, cell = fullness },
  queue = { head = "queue", width = 5, to_right = true, cell = function(item)
    return number_cell(item.one.row.qcur or 0, "soft")
  end },
  rate = { head = "rate/s", width = 6, to_right = true, cell = function(item)
    return number_cell(item.one.row.rate)
  end },
  rates = { head = "", width = 8, cell = function(item, theme, width)
    local rates, most = item.one.rates, 0
    for _, rate in ipairs(rates) do
      most = math.max(most, rate)
    end
    return text.spark(theme, rates, item.most or most, width), most == 0 and "faint" or "bar"
  end },
  errors = { head = "5xx/s", width = 5, to_right = true, cell = function(item)
    return number_cell(item.one.errors, "bad")
  end },
  weight = { head = "weight", width = 6, to_right = true, cell = function(item)
    return number_cell(item.one.row.weight)
  end },
  note = { head = "check", width = 14, cell = note_cell },
}

-- From left to right; and which to have before others where not all fit.
local PLACES <const> = { "state", "sessions", "fullness", "queue", "rate", "rates", "errors", "weight", "note" }
local WANTED <const> = { "state", "sessions", "queue", "rate", "fullness", "note", "rates", "errors", "weight" }

-- The marks before a name: the chosen item, the state.
local INDENT <const> = 4

-- From so many columns on there is room for a bar of time and for who has begun a maintenance.
local WIDE <const> = 70

---@class haplua.view.Layout
---@field width integer  of the terminal
---@field name integer  cells of the name
---@field columns haplua.view.Column[]
---@field scope integer  cells of a maintenance's scope
---@field place integer  cells of a node's place; 0: no node has one, or the terminal is narrow
---@field last integer  cells of the last column, which has the rest

--- Divide a line.
---@param items haplua.view.Item[]
---@param width integer
---@return haplua.view.Layout
function M.layout(items, width)
  local longest, longest_scope, place = 8, 8, 0
  for _, item in ipairs(items) do
    if item.kind == "maintenance" then
      longest_scope = math.max(longest_scope, text.width(scope.text(item.one.scope)))
    elseif item.kind == "server" then
      longest = math.max(longest, #item.one.short)
    elseif item.kind == "node" then
      longest, place = math.max(longest, #item.one.name), math.max(place, math.min(20, #item.one.place))
    elseif item.kind == "backend" then
      longest = math.max(longest, #item.one.short - 2)
    end
  end
  local name = INDENT + math.max(8, math.min(longest, width // 4))
  local left, has, list = width - name - 1, {}, {}
  for _, id in ipairs(WANTED) do
    if columns[id].width + 1 <= left then
      left, has[id] = left - columns[id].width - 1, true
    end
  end
  for _, id in ipairs(PLACES) do
    list[#list + 1] = has[id] and columns[id] or nil
  end
  local last = list[#list]
  return {
    width = width, name = name, place = width >= WIDE and place or 0, columns = list, last = last and last.width + left or 0,
    scope = math.max(8, math.min(longest_scope, width // 3, width - (width >= WIDE and 52 or 22))),
  }
end

--- The line over the columns.
---@param layout haplua.view.Layout
---@param theme haplua.view.Theme
---@return string
function M.head(layout, theme)
  local cells = { fit(theme, "  server", layout.name) }
  for i, column in ipairs(layout.columns) do
    cells[i + 1] = fit(theme, column.head, i == #layout.columns and not column.to_right and layout.last or column.width,
      column.to_right)
  end
  return paint(theme, "head", fit(theme, table.concat(cells, " "), layout.width))
end

-- Lines. Each takes just layout.width cells.

--- Cells of {text, style}, filled up with blanks.
local function line(cells, theme, width)
  local parts, left = {}, width
  for _, cell in ipairs(cells) do
    local shown = fit(theme, cell[1], math.min(left, text.width(cell[1])))
    left = left - text.width(shown)
    parts[#parts + 1] = cell[2] and paint(theme, cell[2], shown) or shown
  end
  return table.concat(parts) .. (" "):rep(left)
end

local function name_cells(item, layout, theme)
  local one = item.one
  if item.kind == "backend" then
    return { { fit(theme, clean(theme, one.short), layout.name - 2), "strong" } }
  end
  local sign = STATES[model.state(one.row.status)]
  return {
    { theme.unicode and sign[1] or sign[2], sign[3] }, { " " }, { fit(theme, clean(theme, one.short), layout.name - INDENT) },
  }
end

local function row_line(item, layout, theme)
  local cells = name_cells(item, layout, theme)
  for i, column in ipairs(layout.columns) do
    local width = i == #layout.columns and not column.to_right and layout.last or column.width
    local shown, style = column.cell(item, theme, width)
    cells[#cells + 1] = { " " }
    cells[#cells + 1] = { fit(theme, shown, width, column.to_right), item.kind == "backend" and "strong" or style }
  end
  return line(cells, theme, layout.width - 2)
end

local function target_line(item, layout, theme)
  local one, info = item.one, item.one.info
  local cells = { { clean(theme, one.name), "strong" } }
  if one.away then
    cells[#cells + 1] = { ("  away since %s (%s)"):format(os.date("%H:%M:%S", math.floor(one.away.since)),
      text.span(theme.now - one.away.since)), "bad" }
  elseif info then
    local up, all = model.count(one)
    cells[#cells + 1] = { ("  %d of %d up  %s conns  %s/s"):format(up, all, number(info.CurrConns), number(info.ConnRate)) }
    cells[#cells + 1] = { ("  HAProxy %s, process %s, up %s"):format(clean(theme, info.Version):match("^[%d.]+") or "",
      clean(theme, info.Pid), text.span(tonumber(info.Uptime_sec) or 0)), "faint" }
  else
    cells[#cells + 1] = { "  not seen yet", "faint" }
  end
  return line(cells, theme, layout.width - 2)
end

--- When a maintenance ends or begins, and how much of it is over.
local function time_cell(m, theme)
  if m.begins > theme.now then
    return ("in %s"):format(text.span(m.begins - theme.now)), "faint", ""
  elseif not m.ends then
    return "no end", nil, ""
  elseif m.ends <= theme.now then
    return "over", "bad", ""
  end
  local share = (theme.now - m.begins) / math.max(1, m.ends - m.begins)
  return ("%s left"):format(text.span(m.ends - theme.now)), nil, text.bar(theme, share, 6)
end

local function maintenance_line(item, layout, theme)
  local m = item.one
  local wide = layout.width >= WIDE
  local time, style, bar = time_cell(m, theme)
  local by = m.origin == "by hand" and "by hand" or m.origin:find("^window ") and m.origin or maintenance.who(m)
  local cells = {
    { theme.unicode and "▪ " or "# ", "calm" },
    { fit(theme, (m.id or 0) > 0 and maintenance.name(m) or "-", 5), "calm" },
    { fit(theme, clean(theme, scope.text(m.scope)), layout.scope), "strong" }, { "  " }, { fit(theme, time, 12), style },
  }
  if wide then
    cells[#cells + 1] = { fit(theme, bar, 7), "bar" }
    cells[#cells + 1] = { fit(theme, clean(theme, by), 14), "faint" }
    cells[#cells + 1] = { " " }
  end
  cells[#cells + 1] = { clean(theme, m.reason or "") }
  return line(cells, theme, layout.width - 2)
end

local function fleet_line(item, layout, theme)
  local one, live, in_step = item.one, 0, 0
  for _, node in ipairs(one.nodes) do
    live, in_step = live + (node.live and 1 or 0), in_step + (node.state == "in step" and 1 or 0)
  end
  local cells = { { clean(theme, one.name), "strong" } }
  if one.status then
    cells[2] = { ("  %d nodes, %d live, %d in step"):format(#one.nodes, live, in_step) }
  end
  if one.away then
    cells[#cells + 1] = { ("  etcd away since %s (%s)"):format(os.date("%H:%M:%S", math.floor(one.away.since)),
      text.span(theme.now - one.away.since)), "bad" }
  elseif not one.status then
    cells[#cells + 1] = { "  not seen yet", "faint" }
  end
  return line(cells, theme, layout.width - 2)
end

--- A node: its state, for how long it is live or away, its place, and what it has made of each switch.
local function node_line(item, layout, theme)
  local node = item.one
  local look = NODE_STATES[node.state]
  local since = node.since and text.span(theme.now - node.since) or ""
  local cells = {
    { theme.unicode and look[1] or look[2], look[3] }, { " " },
    { fit(theme, clean(theme, node.name), layout.name - INDENT) }, { " " }, { fit(theme, node.state, 8), look[3] },
    { fit(theme, since, 7, true), node.live and "faint" or "bad" }, { "  " },
  }
  if layout.place > 0 then
    cells[#cells + 1] = { fit(theme, clean(theme, node.place), layout.place), "faint" }
    cells[#cells + 1] = { "  " }
  end
  local last = node.heard and ("last report %s ago, "):format(text.span(theme.now - node.heard)) or ""
  cells[#cells + 1] = { last .. clean(theme, node.text), node.state == "refused" and "bad" or nil }
  return line(cells, theme, layout.width - 2)
end

local lines = {
  target = target_line, fleet = fleet_line, node = node_line, maintenance = maintenance_line, backend = row_line,
  server = row_line,
  note = function(item, layout, theme)
    return line({ { theme.unicode and "▪ " or "# ", item.style }, { item.text, item.style } }, theme, layout.width - 2)
  end,
  blank = function(_, layout)
    return (" "):rep(layout.width - 2)
  end,
}

--- An item as a line.
---@param item haplua.view.Item
---@param layout haplua.view.Layout
---@param theme haplua.view.Theme
---@param is_chosen boolean
---@return string
function M.line(item, layout, theme, is_chosen)
  if is_chosen then -- one style for the whole line
    local bare = { unicode = theme.unicode, plain = true, now = theme.now }
    return paint(theme, "chosen", (theme.unicode and "▶ " or "> ") .. lines[item.kind](item, layout, bare))
  end
  return "  " .. lines[item.kind](item, layout, theme)
end

return M
