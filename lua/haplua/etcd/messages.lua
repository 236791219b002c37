-- SPDX-License-Identifier: MIT
--
--- Calls of the client as etcd's messages, and its answers as tables of the client (haplua.etcd.client describes both).
-- Pure: no I/O. Names and numbers are those of etcd's rpc.proto; src/etcd/messages.proto has the fields in use.

local options = require("haplua.base.options")

local M = {}

local text = "text"
local count = options.where("an integer from 0 on", function(value)
  return math.type(value) == "integer" and value >= 0
end)

-- The options of a range, a deletion and a watch.
local range_kinds = {
  key = text, range_end = text, prefix = "boolean", limit = count, revision = count, serializable = "boolean",
  keys_only = "boolean", count_only = "boolean",
}
local delete_kinds = { key = text, range_end = text, prefix = "boolean" }
local put_kinds = { key = text, value = text, lease = "integer" }
local watch_kinds = {
  key = text, range_end = text, prefix = "boolean", revision = count,
  silence = options.where("seconds over 0", function(value)
    return type(value) == "number" and value > 0 and value - value == 0
  end),
}

--- The key behind the last that begins with `prefix`; "\0" where there is none: from the key on, everything.
---@param prefix string
---@return string
function M.range_end(prefix)
  local head = prefix:gsub("\xff+$", "")
  return head == "" and "\0" or head:sub(1, -2) .. string.char(head:byte(-1) + 1)
end

--- Key and end of what an operation names. A key that is empty stands, with an end, for the first one.
local function bounds(call, op)
  if not op.key then
    options.misuse(call, "the option 'key' is missing")
  elseif op.prefix and op.range_end then
    options.misuse(call, "either 'prefix' or 'range_end'")
  end
  return op.key == "" and (op.prefix or op.range_end) and "\0" or op.key, op.prefix and M.range_end(op.key) or op.range_end
end

---@param call string  whose argument it is, for messages
---@return table message
function M.range(call, op)
  options.check(call, op, range_kinds)
  local key, range_end = bounds(call, op)
  return {
    key = key, range_end = range_end, limit = op.limit, revision = op.revision, serializable = op.serializable,
    keys_only = op.keys_only, count_only = op.count_only,
  }
end

---@return table message
function M.watch(call, op)
  options.check(call, op, watch_kinds)
  local key, range_end = bounds(call, op)
  return { create = { key = key, range_end = range_end, start_revision = op.revision, progress_notify = true } }
end

local make_op = {
  put = function(call, op)
    options.check(call, op, put_kinds)
    return { put = { key = op.key, value = op.value, lease = op.lease } }
  end,
  delete = function(call, op)
    options.check(call, op, delete_kinds)
    local key, range_end = bounds(call, op)
    return { delete = { key = key, range_end = range_end } }
  end,
  range = function(call, op)
    return { range = M.range(call, op) }
  end,
}

local function ops(call, given)
  local made = {}
  for i, op in ipairs(given or {}) do
    local make = make_op[op[1]]
    if not make then
      options.misuse(call, "an operation begins with 'put', 'delete' or 'range'")
    end
    local rest = {}
    for name, value in pairs(op) do
      rest[name] = name ~= 1 and value or nil
    end
    made[i] = make(call, rest)
  end
  return made
end

local results = { ["="] = 0, [">"] = 1, ["<"] = 2, ["!="] = 3 }
local targets = {
  version = { 0, "version" }, create = { 1, "create_revision" }, mod = { 2, "mod_revision" }, value = { 3, "value" },
  lease = { 4, "lease" },
}
local compare_kinds = {
  key = text, target = options.one_of("mod", "create", "version", "value", "lease"),
  result = options.one_of("=", "!=", "<", ">"), value = options.any("text", "integer"),
}

local function compare(call, given)
  options.check(call, given, compare_kinds)
  local target = targets[given.target]
  if not (given.key and target and given.result and given.value) then
    options.misuse(call, "a condition has key, target, result and value")
  elseif (given.target == "value") ~= (type(given.value) == "string") then
    options.misuse(call, "the value of a condition is a text for the target 'value', else an integer")
  end
  return { key = given.key, target = target[1], result = results[given.result], [target[2]] = given.value }
end

local txn_kinds = { compare = "table", success = "table", failure = "table" }

--- The message of a transaction, and whether it may write.
---@return table message, boolean writes
function M.txn(call, given)
  options.check(call, given, txn_kinds)
  local message = { compare = {}, success = ops(call, given.success), failure = ops(call, given.failure) }
  for i, one in ipairs(given.compare or {}) do
    message.compare[i] = compare(call, one)
  end
  local writes = false
  for _, list in ipairs({ message.success, message.failure }) do
    for _, op in ipairs(list) do
      writes = writes or not op.range
    end
  end
  return message, writes
end

-- Answers.

---@param response table
---@return table
function M.ranged(response)
  return {
    revision = response.header and response.header.revision, count = response.count, more = response.more, kvs = response.kvs,
  }
end

--- The answer to a transaction. Those of its ranges have its revision.
---@return table
function M.transacted(response)
  local made = { succeeded = response.succeeded, revision = response.header.revision, responses = {} }
  for i, one in ipairs(response.responses) do
    local range = one.range and M.ranged(one.range)
    if range then
      range.revision = range.revision or made.revision
    end
    made.responses[i] = range or { deleted = one.delete and one.delete.deleted }
  end
  return made
end

local types = { [0] = "put", [1] = "delete" }

--- What a watch hands out of a response that has events.
---@return table
function M.watched(response)
  local events = {}
  for i, event in ipairs(response.events) do
    events[i] = { type = types[event.type], kv = event.kv }
  end
  return { revision = response.header.revision, events = events }
end

return M
