-- SPDX-License-Identifier: MIT
--
--- Regular expressions for the fake HAProxy: the part of PCRE that ACLs are written in.
-- Literals, . ^ $ \A \z \Z, classes with ranges and POSIX names, \d \w \s \h and their opposites, \b \B,
-- \n \r \t \f \e \a \xHH \Q..\E, groups (...) (?:...) (?i:...) (?i) (?<name>...), alternation, * + ? {m,n}
-- greedy, lazy and possessive, back references, (?=...) (?!...) (?>...). Not: look-behind, conditions,
-- recursion, Unicode properties; those are refused with another text than PCRE's.
-- Matches by backtracking over bytes.

local M = {}

-- Reading: a table with the text, a position, and what holds for the expression so far.

local Reader = {}
Reader.__index = Reader

local function fail(reader, message, offset)
  error({ regex = message, offset = offset or reader.at - 1 }, 0)
end

function Reader:peek(n)
  return self.text:sub(self.at, self.at + (n or 1) - 1)
end

function Reader:accept(word)
  if self.text:sub(self.at, self.at + #word - 1) == word then
    self.at = self.at + #word
    return true
  end
end

-- Sets of bytes: a table that has true for each byte that is in it.

local function set_of(pattern)
  local set = {}
  for byte = 0, 255 do
    set[byte] = string.char(byte):find(pattern) and true or nil
  end
  return set
end

local function opposite(set)
  local other = {}
  for byte = 0, 255 do
    other[byte] = not set[byte] or nil
  end
  return other
end

local shorthands = {
  d = set_of("[0-9]"), w = set_of("[A-Za-z0-9_]"), s = set_of("[ \t-\r]"), h = set_of("[ \t]"), v = set_of("[\n-\r]"),
}
for letter in ("dwshv"):gmatch(".") do
  shorthands[letter:upper()] = opposite(shorthands[letter])
end
shorthands.N = opposite(set_of("\n"))

local posix = {
  alpha = "%a", digit = "%d", alnum = "%w", upper = "%u", lower = "%l", space = "%s", punct = "%p", xdigit = "%x",
  cntrl = "%c", blank = "[ \t]", word = "[%w_]", graph = "%g", print = "[%g ]",
}

local controls = { n = "\n", r = "\r", t = "\t", f = "\f", e = "\27", a = "\a" }

local function both_cases(set)
  local wide = {}
  for byte in pairs(set) do
    local char = string.char(byte)
    wide[char:lower():byte()], wide[char:upper():byte()] = true, true
  end
  return wide
end

--- What follows a backslash, where it stands for one byte.
local function escaped_byte(reader, letter)
  if controls[letter] then
    return controls[letter]:byte()
  elseif letter == "x" then
    local hex = reader.text:match("^%x%x?", reader.at) or ""
    reader.at = reader.at + #hex
    return tonumber(hex, 16) or 0
  end
  return letter:byte()
end

local function read_class_item(reader, set)
  local name = reader.text:match("^%[:(%^?%l+):%]", reader.at)
  if name then
    local class = posix[name:gsub("%^", "")]
    if not class then
      fail(reader, "unknown POSIX class name")
    end
    reader.at = reader.at + #name + 4
    local found = set_of(class)
    for byte in pairs(name:sub(1, 1) == "^" and opposite(found) or found) do
      set[byte] = true
    end
    return nil
  end
  local char = reader:peek()
  reader.at = reader.at + 1
  if char ~= "\\" then
    return char:byte()
  end
  local letter = reader:peek()
  reader.at = reader.at + 1
  if shorthands[letter] then
    for byte in pairs(shorthands[letter]) do
      set[byte] = true
    end
    return nil
  end
  return letter == "b" and 8 or escaped_byte(reader, letter)
end

--- Behind a "[".
local function read_class(reader)
  local negated, set, first = reader:accept("^"), {}, true
  while first or reader:peek() ~= "]" do
    if reader.at > #reader.text then
      fail(reader, "missing terminating ] for character class", #reader.text)
    end
    first = false
    local low = read_class_item(reader, set)
    local high = low
    if low and reader:peek() == "-" and reader:peek(2) ~= "-]" and reader.at < #reader.text then
      reader.at = reader.at + 1
      high = read_class_item(reader, set)
      if not high then
        set[low], set[45], low = true, true, nil
      elseif high < low then
        fail(reader, "range out of order in character class", reader.at - 2 + reader.late)
      end
    end
    for byte = low or 1, low and high or 0 do
      set[byte] = true
    end
  end
  reader.at = reader.at + 1
  set = reader.insensitive and both_cases(set) or set
  return negated and opposite(set) or set
end

-- Nodes are functions (text, position, captures, next) -> does it match from here on? `next` is the rest
-- of the expression: a function of (position).

local function node_set(set)
  return function(text, at, _, next)
    local byte = text:byte(at)
    return byte and set[byte] and next(at + 1)
  end
end

local function node_byte(reader, byte)
  local set = { [byte] = true }
  return node_set(reader.insensitive and both_cases(set) or set)
end

local function node_test(test)
  return function(text, at, _, next)
    return test(text, at) and next(at)
  end
end

local function is_word(text, at)
  return at >= 1 and shorthands.w[text:byte(at) or -1] or false
end

local function at_boundary(text, at)
  return is_word(text, at - 1) ~= is_word(text, at)
end

local function at_end(text, at)
  return at == #text + 1 or at == #text and text:byte(at) == 10
end

local assertions = {
  b = at_boundary,
  B = function(text, at) return not at_boundary(text, at) end,
  A = function(_, at) return at == 1 end,
  Z = at_end,
  z = function(text, at) return at == #text + 1 end,
}

local function node_sequence(nodes)
  if #nodes == 1 then
    return nodes[1]
  end
  return function(text, at, captures, next)
    local function go(i, here)
      if i > #nodes then
        return next(here)
      end
      return nodes[i](text, here, captures, function(after)
        return go(i + 1, after)
      end)
    end
    return go(1, at)
  end
end

local function node_alternatives(branches)
  if #branches == 1 then
    return branches[1]
  end
  return function(text, at, captures, next)
    for _, branch in ipairs(branches) do
      if branch(text, at, captures, next) then
        return true
      end
    end
    return false
  end
end

local function node_capture(number, inner)
  return function(text, at, captures, next)
    local before = captures[number]
    local found = inner(text, at, captures, function(after)
      local outer = captures[number]
      captures[number] = text:sub(at, after - 1)
      if next(after) then
        return true
      end
      captures[number] = outer
      return false
    end)
    captures[number] = found and captures[number] or before
    return found
  end
end

local function node_reference(number)
  return function(text, at, captures, next)
    local want = captures[number]
    return want and text:sub(at, at + #want - 1) == want and next(at + #want)
  end
end

--- Match without leaving a way back into it.
local function node_atomic(inner)
  return function(text, at, captures, next)
    local after
    inner(text, at, captures, function(position)
      after = position
      return true
    end)
    return after and next(after)
  end
end

local function node_look(inner, wanted)
  return function(text, at, captures, next)
    local found = inner(text, at, captures, function()
      return true
    end)
    return (found and true or false) == wanted and next(at)
  end
end

local function node_repeat(inner, least, most, lazy)
  return function(text, at, captures, next)
    local function go(count, here)
      local function more()
        return count < most and inner(text, here, captures, function(after)
          return (after > here or count < least) and go(count + 1, after)
        end)
      end
      if count < least then
        return more()
      elseif lazy then
        return next(here) or more()
      end
      return more() or next(here)
    end
    return go(0, at)
  end
end

local read_alternatives

--- Behind "(?".
local function read_special_group(reader)
  local kinds = { [":"] = "plain", ["="] = "ahead", ["!"] = "not_ahead", [">"] = "atomic" }
  local kind = kinds[reader:peek()]
  if kind then
    reader.at = reader.at + 1
    return kind
  end
  local name = reader.text:match("^P?<([%a_][%w_]*)>", reader.at)
  if name then
    reader.at = reader.text:find(">", reader.at, true) + 1
    return "capture"
  elseif reader.text:find("^P?<[=!]", reader.at) then
    fail(reader, "look-behind is not known to the fake HAProxy")
  elseif reader.text:find("^P?<", reader.at) then
    fail(reader, "subpattern name expected", reader.at)
  end
  local flags, ending = reader.text:match("^([%a-]*)([:)])", reader.at)
  if not flags or flags:find("[^imsx-]") then
    fail(reader, "unrecognized character after (? or (?-", reader.at)
  end
  reader.at = reader.at + #flags + 1
  reader.insensitive = flags:match("^[^-]*"):find("i") and true or reader.insensitive and not flags:find("%-.*i")
  return ending == ":" and "plain" or "flags"
end

--- Behind "(".
local function read_group(reader)
  local insensitive = reader.insensitive
  local kind = reader:accept("?") and read_special_group(reader) or "capture"
  if kind == "flags" then
    return nil
  end
  local number
  if kind == "capture" then
    reader.groups = reader.groups + 1
    number = reader.groups
  end
  local inner = read_alternatives(reader)
  if not reader:accept(")") then
    fail(reader, "missing closing parenthesis", #reader.text)
  end
  reader.insensitive = insensitive
  if kind == "capture" then
    return node_capture(number, inner)
  elseif kind == "ahead" or kind == "not_ahead" then
    return node_look(inner, kind == "ahead")
  end
  return kind == "atomic" and node_atomic(inner) or inner
end

--- Behind a backslash.
local function read_escape(reader)
  local letter = reader:peek()
  if letter == "" then
    fail(reader, "\\ at end of pattern", #reader.text)
  end
  reader.at = reader.at + 1
  if shorthands[letter] then
    return node_set(shorthands[letter])
  elseif assertions[letter] then
    return node_test(assertions[letter])
  elseif letter:find("[1-9]") then
    return node_reference(tonumber(letter))
  elseif letter == "Q" then
    local stop = reader.text:find("\\E", reader.at, true)
    local nodes = {}
    for char in reader.text:sub(reader.at, (stop or #reader.text + 1) - 1):gmatch(".") do
      nodes[#nodes + 1] = node_byte(reader, char:byte())
    end
    reader.at = stop and stop + 2 or #reader.text + 1
    return node_sequence(nodes)
  elseif letter:find("[pPRXKGcCkgo]") then
    fail(reader, ("\\%s is not known to the fake HAProxy"):format(letter))
  end
  return node_byte(reader, escaped_byte(reader, letter))
end

local function read_atom(reader)
  local char = reader:peek()
  reader.at = reader.at + 1
  if char == "(" then
    return read_group(reader)
  elseif char == "[" then
    return node_set(read_class(reader))
  elseif char == "\\" then
    return read_escape(reader)
  elseif char == "." then
    return node_set(shorthands.N)
  elseif char == "^" then
    return node_test(assertions.A), true
  elseif char == "$" then
    return node_test(at_end), true
  elseif char:find("[*+?]") or char == "{" and reader.text:find("^%d+,?%d*}", reader.at) then
    fail(reader, "quantifier does not follow a repeatable item", reader.at - 2 + reader.late)
  end
  return node_byte(reader, char:byte())
end

local QUANTIFIER_MAX = 65535

--- How often: least, most, or nil.
local function read_quantifier(reader)
  local char = reader:peek()
  if char == "*" or char == "+" or char == "?" then
    reader.at = reader.at + 1
    return char == "+" and 1 or 0, char == "?" and 1 or math.huge
  end
  local least, comma, most = reader.text:match("^{(%d+)(,?)(%d*)}", reader.at)
  if not least then
    return nil
  elseif tonumber(least) > QUANTIFIER_MAX or (tonumber(most) or 0) > QUANTIFIER_MAX then
    local part = tonumber(least) > QUANTIFIER_MAX and "^{()(%d+)" or "^{%d+,()(%d+)"
    local from = reader.text:match(part, reader.at)
    fail(reader, "number too big in {} quantifier", from + 4)
  end
  reader.at = reader.text:find("}", reader.at, true) + 1
  least = tonumber(least)
  most = comma == "" and least or tonumber(most) or math.huge
  if most < least then
    reader.at = reader.at - 1
    fail(reader, "numbers out of order in {} quantifier")
  end
  return least, most
end

local function read_sequence(reader)
  local nodes = {}
  while reader.at <= #reader.text and not reader:peek():find("[|)]") do
    local node = read_atom(reader)
    local least, most = read_quantifier(reader)
    if node and least then
      if reader:accept("+") then
        node = node_atomic(node_repeat(node, least, most))
      else
        node = node_repeat(node, least, most, reader:accept("?"))
      end
    end
    nodes[#nodes + 1] = node
  end
  return node_sequence(nodes)
end

function read_alternatives(reader)
  local branches = {}
  repeat
    branches[#branches + 1] = read_sequence(reader)
  until not reader:accept("|")
  return node_alternatives(branches)
end

local function compile(pattern, insensitive, late)
  local reader = setmetatable({ text = pattern, at = 1, groups = 0, insensitive = insensitive, late = late }, Reader)
  local node = read_alternatives(reader)
  if reader.at <= #pattern then
    fail(reader, "unmatched closing parenthesis", reader.at - 1 + reader.late)
  end
  return node
end

local function yes()
  return true
end

--- Compile an expression.
---@param pattern string
---@param insensitive? boolean
---@param late? boolean  error offsets as newer PCREs count them: behind what is wrong
---@return (fun(text: string): boolean)? matches, string? problem, integer? offset
function M.compile(pattern, insensitive, late)
  local ok, node = pcall(compile, pattern, insensitive or false, late and 1 or 0)
  if not ok then
    if type(node) ~= "table" then
      error(node, 0)
    end
    return nil, node.regex, node.offset
  end
  return function(text)
    for at = 1, #text + 1 do
      if node(text, at, {}, yes) then
        return true
      end
    end
    return false
  end
end

return M
