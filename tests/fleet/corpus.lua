-- SPDX-License-Identifier: MIT
--
--- Play the corpus of calls to etcd (tests/fleet/corpus/*.txt) on a client, and compare its answers. The fake etcd
-- (haplua.test.etcd) is held to it; a real etcd shall give the same answers, on a cluster that nobody has written to.
--
--   # a remark
--   > txn {"success": [["put", {"key": "a", "value": "1"}]]}      a call of the client, and its argument
--   < {"responses": [{}], "revision": 2, "succeeded": true}       its answer
--   < error refused 11                                            or the kind and code of the error that it raises
--   > grant {"ttl": 60} as L1                                     "$L1" stands for the id from now on
--   > watch {"key": "a"} as W1                                    begins a watch without waiting
--   > next W1                                                     the first answer within 2 seconds

local errors = require("haplua.error")
local json = require("haplua.json")

local M = {}

--- Put the ids of leases in the place of their names, and make operations of ["put", {...}].
local function argument(value, names)
  if type(value) == "string" then
    return names[value] or value
  elseif type(value) ~= "table" then
    return value
  end
  local made = {}
  for key, item in pairs(value) do
    made[key] = argument(item, names)
  end
  if type(made[1]) == "string" and type(made[2]) == "table" then
    made[2][1] = made[1]
    return made[2]
  end
  return made
end

--- The other way: names in the place of ids.
local function portable(value, ids)
  if math.type(value) == "integer" and ids[value] then
    return ids[value]
  elseif type(value) ~= "table" then
    return value
  end
  local made = {}
  for key, item in pairs(value) do
    made[key] = portable(item, ids)
  end
  return made
end

---@class corpus.State
---@field client table
---@field names table<string, integer>
---@field ids table<integer, string>
---@field watches table<string, table>

--- Make one call.
---@param state corpus.State
---@return string answer
local function call(state, line)
  local verb, rest = line:match("^(%S+)%s*(.*)$")
  local text, name = rest:match("^(.*) as (%w+)$")
  if verb == "next" then
    local found, kind = state.watches[rest]:next(2)
    return found and json.encode(portable(found, state.ids)) or kind
  end
  local ok, found = pcall(function()
    local given = argument(json.decode(text or rest), state.names)
    if verb == "keepalive" or verb == "revoke" or verb == "compact" then
      given = given[1]
    elseif verb == "grant" then
      given = given.ttl
    end
    return state.client[verb](state.client, given)
  end)
  if not ok and errors.is(found) then
    return ("error %s %s"):format(found.kind, found.code or "-")
  elseif not ok then
    error(found, 0)
  elseif verb == "grant" then
    state.names["$" .. name], state.ids[found.id] = found.id, "$" .. name
  elseif verb == "watch" then
    state.watches[name] = found
    return "begun"
  end
  return found == nil and "nothing" or json.encode(portable(found, state.ids))
end

--- Play a text.
---@param client table  as of haplua.etcd.client
---@param text string
---@return string[] differences, string played  the text with the answers that came
function M.play(client, text)
  local state, differences, played, answer = { client = client, names = {}, ids = {}, watches = {} }, {}, {}, nil
  local n = 0
  for line in text:gmatch("([^\n]*)\n") do
    n = n + 1
    local asked, expected = line:match("^> (.*)$"), line:match("^< (.*)$")
    if asked then
      answer = call(state, asked)
      played[#played + 1] = line
      played[#played + 1] = "< " .. answer
    elseif not expected then
      played[#played + 1] = line
    elseif expected ~= answer then
      differences[#differences + 1] = ("line %d: %s, not %s"):format(n, answer, expected)
    end
  end
  for _, watch in pairs(state.watches) do
    watch:close()
  end
  return differences, table.concat(played, "\n") .. "\n"
end

return M
