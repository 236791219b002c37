-- SPDX-License-Identifier: MIT
--
--- A maintenance: the scope that it closes, whose it is, when it begins and ends. Several may be in force on one switch.
-- Changes of them are edits: a list of {add = maintenance} and {of = maintenance, set = {field = value}}, where the value
-- false clears a field. A store carries all edits of a list out, one after the other, or none.

local M = {}

---@class haplua.Maintenance
---@field id integer?  nil: not stored yet
---@field target string  the HAProxy, as the store names it
---@field acl string  the switch's ACL
---@field switch string  the switch's name in the configuration, else its ACL
---@field scope haplua.Scope  empty: the whole site
---@field bypass string[]?  networks that it lets pass; nil: the switch's `allow`
---@field reason string?
---@field origin string  what made it: "on", "during", "wait", "by hand", or "window NAME"
---@field occurrence string?  of a window: which occurrence. A switch has one maintenance for it
---@field user string
---@field host string
---@field login string?  the person behind sudo
---@field pid integer?  the process that ends it; nil: none does
---@field begins number  seconds since 1970
---@field ends number?
---@field ended number?  when it was ended; nil: it was not
---@field ended_by string?  who ended it, for people
---@field why string?  "off", "change", "replaced", "expired", "by hand", "left", "cancelled", "failed", "done"

---@class haplua.Edit
---@field add haplua.Maintenance?
---@field of haplua.Maintenance?
---@field set table?  fields of it; false clears one

--- Is a maintenance in force at an instant?
---@param m haplua.Maintenance
---@param now number
---@return boolean
function M.is_in_force(m, now)
  return #M.in_force({ m }, now) > 0
end

--- Those that are in force at an instant.
---@param all haplua.Maintenance[]
---@param now number
---@return haplua.Maintenance[]
function M.in_force(all, now)
  local found, n = {}, 0
  for i = 1, #all do
    local m = all[i]
    local ends = m.ends
    if not m.ended and m.begins <= now and (not ends or ends > now) then
      n = n + 1
      found[n] = m
    end
  end
  return found
end

--- The next instant at which one of them begins or ends by itself.
---@param all haplua.Maintenance[]  none of them ended
---@param now number
---@return number  math.huge: none does
function M.next_instant(all, now)
  local first = math.huge
  for _, m in ipairs(all) do
    if m.begins > now then
      first = math.min(first, m.begins)
    elseif m.ends then
      first = math.min(first, m.ends)
    end
  end
  return first
end

--- The edit that ends a maintenance.
---@param m haplua.Maintenance
---@param now number
---@param why string
---@param by string?  who; nil: nobody, time or a planner
---@return haplua.Edit
function M.ending(m, now, why, by)
  return { of = m, set = { ended = now, why = why, ended_by = by or false } }
end

--- The edits that end those of `all` whose end has passed.
---@return haplua.Edit[]
function M.expiring(all, now)
  local edits = {}
  for i = 1, #all do
    local m = all[i]
    if m.ends and m.ends <= now and not m.ended then
      edits[#edits + 1] = M.ending(m, now, "expired")
    end
  end
  return edits
end

--- What a list of maintenances is after edits. The list and its maintenances stay as they are.
---@param all haplua.Maintenance[]
---@param edits haplua.Edit[]
---@return haplua.Maintenance[]
function M.after(all, edits)
  local list = table.move(all, 1, #all, 1, {})
  for _, edit in ipairs(edits) do
    if edit.add then
      list[#list + 1] = edit.add
    end
    for i, m in ipairs(edit.of and list or {}) do
      if m == edit.of or m.id and m.id == edit.of.id then
        list[i] = M.with(m, edit.set)
      end
    end
  end
  return list
end

--- A copy of a maintenance with other fields.
---@param m haplua.Maintenance
---@param set table
---@return haplua.Maintenance
function M.with(m, set)
  local copy = {}
  for name, value in pairs(m) do
    copy[name] = value
  end
  for name, value in pairs(set) do
    copy[name] = value or nil
  end
  return copy
end

-- Words.

--- Who made it: "root@web1 (alice behind sudo)".
---@param m {user: string, host: string, login: string?}
---@return string
function M.who(m)
  local text = ("%s@%s"):format(m.user, m.host)
  return m.login and m.login ~= m.user and ("%s (%s behind sudo)"):format(text, m.login) or text
end

--- Is it this person's?
---@param m haplua.Maintenance
---@param person {user: string, host: string, login: string?}
---@return boolean
function M.is_of(m, person)
  return m.origin ~= "by hand" and (m.login or m.user) == (person.login or person.user) and m.host == person.host
end

--- The name that commands take: "m12". A maintenance that is in no journal has none.
---@param m haplua.Maintenance
---@return string
function M.name(m)
  return m.id and m.id > 0 and ("m%d"):format(m.id) or "-"
end

return M
