-- SPDX-License-Identifier: MIT
--
--- The part of haplua.reply that is written in Lua: the lists of `show acl`, the matches of `get acl`, the pairs of
-- `show info`, and rows in which a misspelt field raises, instead of passing for one that is empty. HAProxy escapes
-- nothing in these answers, so a stored pattern may look like a row or a field. src/bindings/haproxy/reply.c loads this
-- module with the first use.

local error_module = require("haplua.error")

local M = {}

local LOADED = "pattern loaded from file '"
local UINT64_MAX_HEAD = 1844674407370955161 -- 2^64 - 1 without its last digit, which is 5

--- A metatable for rows: to read a field that is neither in the set of names nor one of another version raises. Without
-- a set, each row has the fields that are in it.
---@param set? table<string, any>
function M.metatable(set)
  return {
    __metatable = false,
    __index = function(row, key)
      local fields = set or row
      if type(key) == "string" and rawget(fields, key) == nil then
        require("haplua.base.no_field")(key, fields)
      end
    end,
  }
end

local function set_of(...)
  local set = {}
  for _, name in ipairs({ ... }) do
    set[name] = true
  end
  return set
end

local list_meta = M.metatable(set_of("id", "file", "text", "curr_ver", "next_ver", "entry_cnt"))
local match_meta = M.metatable(set_of("type", "case", "found", "pattern", "index", "value"))

--- Raise `protocol`: this text does not read as the reply that it should be.
local function mismatch(text)
  error(error_module.new({ kind = "protocol", message = "the answer was cut or is not understood", reply = text }), 0)
end

--- A number of 64 bits without sign, as an integer that is below zero from 2^63 on; nil: it has more bits. HAProxy 2.6
-- counts entries below zero after some commits, and prints 18446744073709551615.
local function counter(digits)
  if #digits < 19 then
    return math.tointeger(tonumber(digits))
  end
  local head, last = math.tointeger(tonumber(digits:sub(1, -2)) or 0), tonumber(digits:sub(-1))
  if head and (head < UINT64_MAX_HEAD or head == UINT64_MAX_HEAD and last <= 5) then
    return head * 10 + last
  end
end

--- Cut "FILE) TEXT" in two. Where FILE itself holds ") ", the text decides: it repeats the name.
---@return string? file, string? text  nothing where there is no ") "
local function cut_file(line)
  local from, at = line:find(") ", 1, true)
  local file_end = from
  while from do
    if line:sub(at + 1, at + #LOADED) == LOADED
      and line:sub(at + #LOADED + 1, at + #LOADED + from) == line:sub(1, from - 1) .. "'" then
      file_end = from
      break
    end
    from, at = line:find(") ", at + 1, true)
  end
  if file_end then
    return line:sub(1, file_end - 1), line:sub(file_end + 2)
  end
end

--- Where `word` stands for the last time in a text.
local function last(text, word)
  local at, next_at = nil, text:find(word, 1, true)
  while next_at do
    at, next_at = next_at, text:find(word, next_at + 1, true)
  end
  return at
end

local function list_of(line)
  local id, at = line:match("^(%-?%d+) %(()")
  local list = { id = math.tointeger(tonumber(id)) }
  if not list.id then
    mismatch(line)
  end
  list.file, list.text = cut_file(line:sub(at))
  if list.file == "" then
    list.file = nil
  end
  local text = list.text or mismatch(line)
  local ending = last(text, ". curr_ver=") or #text
  local current, upcoming, count = text:match("^%. curr_ver=(%d+) next_ver=(%d+) entry_cnt=(%d+)$", ending)
  if current then
    current, upcoming, count = counter(current), counter(upcoming), counter(count)
  end
  if current and upcoming and count then
    list.text, list.curr_ver, list.next_ver, list.entry_cnt = text:sub(1, ending - 1), current, upcoming, count
  end
  return setmetatable(list, list_meta)
end

--- The lines of a text, whose last LF may be missing.
local function lines(text)
  local from = 1
  return function()
    local at = from
    if at <= #text then
      from = (text:find("\n", at, true) or #text + 1) + 1
      return text:sub(at, from - 2)
    end
  end
end

function M.lists(text)
  local found = {}
  for line in lines(text) do
    if line:sub(1, 1) ~= "#" then
      found[#found + 1] = list_of(line)
    end
  end
  return found
end

--- The head of a line of `get acl` or `get map`, up to "yes" or "no".
---@return string? type  nil: the line has none
---@return string case, string word  "match" or, for a map, "found"
---@return string rest
local function match_head(line)
  local kind, case, word, rest = line:match("^type=([^,]*), case=(%a+), (%a+)=(.*)$")
  if (case == "sensitive" or case == "insensitive") and (word == "match" or word == "found") then
    return kind, case, word, rest
  end
end

--- The text in quotes; `unknown` gives "". nil: it is neither.
local function quoted(text)
  return text == "unknown" and "" or text:match('^"(.*)"$')
end

--- Read `"K", value="V", type="T"`. The type is sought from the right.
local function key_and_value(text)
  local key, value = "", text:match("^unknown, value=(.*)$")
  if not value then
    key, value = text:match('^"(.-)", value=(.*)$')
  end
  if not value or value == "none" then
    return key, value and ""
  end
  value = value:match('^(.*), type="')
  return key, value and quoted(value)
end

local function match_of(record)
  local kind, case, word, rest = match_head(record)
  local match = { type = kind and kind:find("^unknown%(") and "method" or kind, case = case, found = rest ~= "no" }
  if not kind then
    mismatch(record)
  elseif match.found then
    local index, name, value = rest:match("^yes, idx=([^,]*), (%a+)=(.*)$")
    match.index = index
    if word == "found" and name == "key" then
      match.pattern, match.value = key_and_value(value)
    elseif word == "match" and name == "pattern" then
      match.pattern = quoted(value)
    end
    if not match.pattern or word == "found" and not match.value then
      mismatch(record)
    end
  end
  return setmetatable(match, match_meta)
end

function M.matches(text)
  local starts, found, line_end = { text ~= "" and 1 or nil }, {}, text:find("\n", 1, true)
  while line_end do
    if match_head(text:match("^[^\n]*", line_end + 1)) then -- a pattern may hold LF: a record ends before the next head
      starts[#starts + 1] = line_end + 1
    end
    line_end = text:find("\n", line_end + 1, true)
  end
  for i, at in ipairs(starts) do
    found[i] = match_of(text:sub(at, (starts[i + 1] or #text + 2) - 2))
  end
  return found
end

-- Fields of `show info` that are text whatever they look like: a node may be called 007.
local text_fields = set_of("Name", "Version", "node", "description")

function M.pairs(text)
  local found = {}
  for line in lines(text) do
    local name, value = line:match("^([^:]+): ?(.*)$")
    if not name then
      mismatch(line)
    elseif value ~= "" and value ~= "-" then
      local integer = not text_fields[name] and value:find("^%-?%d+$") and math.tointeger(tonumber(value))
      found[name] = integer or value
    end
  end
  return setmetatable(found, M.metatable())
end

return M
