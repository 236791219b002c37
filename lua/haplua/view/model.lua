-- SPDX-License-Identifier: MIT
--
--- What a view knows of each HAProxy: the latest rows of `show stat`, the rates before, and the maintenances.
-- Without any I/O: haplua.view.look fills it in.

local M = {}

-- So many rates are kept for each server and backend.
local KEPT <const> = 16

---@class haplua.view.Server
---@field name string  "backend/server"
---@field short string  the server's name
---@field row table<string, any>  of `show stat`
---@field errors number?  answers with a status from 500 on, for each second; nil: not known yet
---@field rates number[]  sessions for each second, the latest last

---@class haplua.view.Backend: haplua.view.Server  its row is the backend's own
---@field servers haplua.view.Server[]

---@class haplua.view.Target
---@field name string  its address
---@field target haplua.Target?
---@field info table<string, any>?  of `show info`; nil: not seen yet
---@field backends haplua.view.Backend[]
---@field known table<string, haplua.view.Server>  by name
---@field seen number?  when the rows were read, in monotonic seconds
---@field away {since: number, text: string}?  HAProxy does not answer; since when, in seconds since 1970
---@field status haplua.Status?
---@field problem string?  why there is no status, or no switch
---@field context haplua.Context?  of the looks at the maintenances
---@field looks table?  the numbers of looks

---@class haplua.view.Model
---@field targets haplua.view.Target[]
---@field options string[]  of this haplua, such as "-n"
---@field fleet haplua.view.Fleet?  where the configuration names one

---@class haplua.view.Node  a node of a fleet
---@field name string
---@field place string  its labels: "dc=fra"
---@field live boolean
---@field since number?  live or away since then, in seconds since 1970; nil: nobody has seen when it went away
---@field heard number?  away: when it last reported
---@field state "in step"|"behind"|"refused"|"away"
---@field text string  what it has made of each switch

---@class haplua.view.Fleet: haplua.view.Target  haplua.cmd.watch keeps it up to date
---@field fleet string
---@field name string  "fleet shop"
---@field has_switches boolean?  the configuration has several
---@field nodes haplua.view.Node[]

---@param address string
---@param target haplua.Target?
---@return haplua.view.Target
function M.target(address, target)
  return { name = address, target = target, backends = {}, known = {} }
end

--- What is known of a row's server or backend, with the row in it.
local function note(one, name, short, row, before, seconds)
  local known = before[name] or { name = name, short = short, rates = {} }
  local last = known.row
  local count, earlier = row.hrsp_5xx, last and last.hrsp_5xx
  known.errors = count and earlier and seconds and count >= earlier and (count - earlier) / seconds or nil
  known.row = row
  known.rates[#known.rates + 1] = row.rate or 0
  if #known.rates > KEPT then
    table.remove(known.rates, 1)
  end
  one.known[name] = known
  return known
end

--- Take over a look at an HAProxy.
---@param one haplua.view.Target
---@param info table<string, any>  of `show info`
---@param rows table<string, any>[]  of `show stat`: servers and backends
---@param now number  monotonic seconds
function M.update(one, info, rows, now)
  local before, seconds, backends, by_name = one.known, one.seen and now - one.seen, {}, {}
  local is_new = one.info and (one.info.Pid ~= info.Pid or one.info.Name ~= info.Name)
  one.known, one.info, one.seen, one.away, one.backends = {}, info, now, nil, backends
  before, seconds = is_new and {} or before, seconds and seconds > 0 and not is_new and seconds or nil
  for _, row in ipairs(rows) do
    local backend, name = tostring(row.pxname), tostring(row.svname)
    local entry = by_name[backend]
    if not entry then
      entry = { name = backend, short = backend, servers = {} }
      by_name[backend], backends[#backends + 1] = entry, entry
    end
    if name == "BACKEND" then
      local known = note(one, backend .. "/", backend, row, before, seconds)
      entry.row, entry.rates, entry.errors = row, known.rates, known.errors
    elseif name ~= "FRONTEND" then
      table.insert(entry.servers, note(one, backend .. "/" .. name, name, row, before, seconds))
    end
  end
  for i = #backends, 1, -1 do -- those of which HAProxy gives no row are no backends
    if not backends[i].row then
      table.remove(backends, i)
    end
  end
end

--- Note that an HAProxy does not answer.
---@param one haplua.view.Target
---@param text string  why
---@param now number  seconds since 1970
function M.lose(one, text, now)
  one.away = { since = one.away and one.away.since or now, text = text }
  one.seen = nil
end

---@alias haplua.view.State "up"|"down"|"drain"|"maint"|"unsteady"

--- What the `status` of a row means.
---@param status any
---@return haplua.view.State
function M.state(status)
  local text = tostring(status)
  if text == "UP" or text == "OPEN" or text == "no check" then
    return "up"
  elseif text:find("^MAINT") then
    return "maint"
  elseif text:find("^DRAIN") or text:find("^NOLB") then
    return "drain"
  end
  return text:find("^UP") and "unsteady" or "down"
end

--- Servers that are up, and all.
---@param one haplua.view.Target
---@return integer up, integer all
function M.count(one)
  local up, all = 0, 0
  for _, backend in ipairs(one.backends) do
    for _, server in ipairs(backend.servers) do
      local state = M.state(server.row.status)
      all, up = all + 1, up + ((state == "up" or state == "unsteady") and 1 or 0)
    end
  end
  return up, all
end

return M
