-- SPDX-License-Identifier: MIT
--
--- Conditions of HAProxy's rules, as far as they can be known of a request without sending it.
-- A truth is true, false or nil: not known. Facts on flags and methods: configuration manual, section 7, tried on 2.2 to
-- 3.2.

local regex = require("haplua.regex")

local M = {}

---@class haplua.rules.Value  of a fetch and its converters
---@field found boolean?  nil: not known
---@field text string?  nil: not known

---@class haplua.rules.World  what is supposed of a request, and of the list
---@field list haplua.rules.List
---@field holds boolean  does the list match the request?
---@field asked? fun(text: string): boolean?  HAProxy's word on another value of the list
---@field path string?
---@field host string?
---@field method string?
---@field tls boolean  does it come by TLS?
---@field rewritten boolean?  a rule has changed the path
---@field vars table<string, haplua.rules.Value>

---@class haplua.rules.List  the list of a switch
---@field file string?
---@field id string?  of `-u`
---@field places table<string, boolean>?  "FILE:LINE" of the lines that use it, by HAProxy's word
---@field is_file? fun(name: string): boolean  does a name in the configuration mean the list's file?

local UNKNOWN <const>, NOTHING <const>, FOUND <const> = {}, { found = false }, { found = true }

--- The value of a text.
---@param text string?  nil: not known
---@return haplua.rules.Value
local function known(text)
  return text and { found = true, text = text } or UNKNOWN
end

M.UNKNOWN = UNKNOWN

--- Is this name in the configuration the list's file?
local function is_list_file(list, name)
  return name ~= nil and (name == list.file or list.is_file ~= nil and list.is_file(name))
end

--- What the list says of a value.
local function ask_list(world, value)
  if not world.holds or value.found == false then
    return false
  elseif not world.rewritten then
    return true
  elseif value.text and world.asked then
    return world.asked(value.text)
  end
end

-- Fetches and converters.

--- A name with arguments, such as map_reg(FILE,default).
---@return string name, string[] arguments
local function call(text)
  local name, inside = text:match("^([^%(]*)%((.*)%)$")
  local arguments = {}
  for argument in ((inside or "") .. ","):gmatch("([^,]*),") do
    arguments[#arguments + 1] = argument
  end
  return name or text, inside and arguments or {}
end

--- The parts of an expression: "path,map_reg(a,b)" has two.
local function split(expression)
  local parts, depth, part = {}, 0, ""
  for c in expression:gmatch(".") do
    depth = depth + (c == "(" and 1 or c == ")" and -1 or 0)
    if c == "," and depth == 0 then
      parts[#parts + 1], part = part, ""
    else
      part = part .. c
    end
  end
  parts[#parts + 1] = part
  return parts
end

local fetches = {}

function fetches.path(world)
  return known(world.path)
end

function fetches.base(world)
  return known(world.path and world.host and world.host .. world.path)
end

function fetches.method(world)
  return known(world.method)
end

function fetches.ssl_fc(world)
  return known(world.tls and "1" or "0")
end

function fetches.var(world, arguments)
  return world.vars[arguments[1]] or NOTHING
end

function fetches.str(_, arguments)
  return known(table.concat(arguments, ","))
end

function fetches.always_true()
  return known("1")
end

function fetches.always_false()
  return known("0")
end

function fetches.bool(_, arguments)
  local text = arguments[1]
  return known((text == "true" or tonumber(text) and tonumber(text) ~= 0) and "1" or "0")
end

fetches.int = fetches.str
fetches["req.hdr"] = function(world, arguments)
  return arguments[1] == "host" and known(world.host) or UNKNOWN
end
fetches.hdr = fetches["req.hdr"]

--- The value of a converter's result.
local function convert(world, value, name, arguments)
  if name:find("^map") and is_list_file(world.list, arguments[1]) then
    local truth = ask_list(world, value)
    if truth == nil then
      return arguments[2] and FOUND or UNKNOWN
    end
    return truth and FOUND or arguments[2] and known(arguments[2]) or NOTHING
  elseif name:find("^map") then
    return arguments[2] and FOUND or UNKNOWN
  elseif value.text and (name == "lower" or name == "upper") then
    return known(value.text[name](value.text))
  elseif value.found == false then
    return NOTHING
  end
  return UNKNOWN
end

--- The value of a fetch with its converters.
---@param expression string
---@return haplua.rules.Value
function M.value(world, expression)
  local parts = split(expression)
  local name, arguments = call(parts[1])
  local value = fetches[name] and fetches[name](world, arguments) or UNKNOWN
  for i = 2, #parts do
    value = convert(world, value, call(parts[i]))
  end
  return value
end

-- Criteria.

-- The endings of fetches that stand for a method: path_beg is `path -m beg`.
local SUFFIXES <const> = { beg = true, ["end"] = true, sub = true, reg = true, dir = true, dom = true, len = true }

local matches = {}

function matches.str(text, pattern)
  return text == pattern
end

function matches.beg(text, pattern)
  return text:sub(1, #pattern) == pattern
end

matches["end"] = function(text, pattern)
  return pattern == "" or text:sub(-#pattern) == pattern
end

function matches.sub(text, pattern)
  return text:find(pattern, 1, true) ~= nil
end

function matches.bool(text)
  return tonumber(text) ~= nil and tonumber(text) ~= 0
end

function matches.reg(text, pattern, insensitive)
  local expression = regex.compile(pattern, insensitive, false)
  if expression then
    return expression:matches(text)
  end
end

local function negated(truth)
  if truth == nil then
    return nil
  end
  return not truth
end

--- The truth that one of several is true.
---@param truth_of fun(item: any): boolean?
local function any_of(list, truth_of)
  local any = false
  for _, item in ipairs(list) do
    local truth = truth_of(item)
    if truth then
      return true
    elseif truth == nil then
      any = nil
    end
  end
  return any
end

--- Does one of the patterns that stand in the line itself match?
local function match_patterns(criterion, value)
  local method, text = criterion.method, value.text
  if #criterion.patterns == 0 and not criterion.files[1] then
    if text and (method == nil or method == "bool") then
      return matches.bool(text)
    end
    return nil
  end
  local match, fold = matches[method or "str"], criterion.insensitive and method ~= "reg"
  return any_of(criterion.patterns, function(pattern)
    if match and text then
      return match(fold and text:lower() or text, fold and pattern:lower() or pattern, criterion.insensitive)
    end
  end)
end

--- The words of a criterion, sorted: what it fetches, flags, files and patterns.
local function parse(parts)
  local criterion, i = { expression = parts[1], files = {}, patterns = {} }, 2
  while parts[i] and parts[i]:find("^%-") do
    local flag = parts[i]
    if flag == "--" then
      i = i + 1
      break
    elseif flag == "-i" then
      criterion.insensitive = true
    elseif flag == "-f" or flag == "-m" or flag == "-u" then
      i = i + 1
      if flag == "-f" then
        criterion.files[#criterion.files + 1] = parts[i]
      else
        criterion[flag == "-m" and "method" or "id"] = parts[i]
      end
    elseif flag ~= "-n" and flag ~= "-M" then
      break
    end
    i = i + 1
  end
  table.move(parts, i, #parts, 1, criterion.patterns)
  local fetch, suffix, rest = parts[1]:match("^([%w%.]+)_(%l+)(.*)$")
  if SUFFIXES[suffix] and (fetch ~= "capture" and fetch ~= "rand") then
    criterion.expression, criterion.method = fetch .. rest, criterion.method or suffix
  end
  return criterion
end

--- Does a criterion use the list?
local function uses(criterion, list, place)
  for _, name in ipairs(criterion.files) do
    if is_list_file(list, name) then
      return true
    end
  end
  return list.id ~= nil and criterion.id == list.id or (list.places or {})[place] == true
end

--- The truth of a criterion: the words after `acl NAME`, or those between braces.
---@param world haplua.rules.World
---@param parts string[]
---@param place string  "FILE:LINE"
---@return boolean?
local function criterion_holds(world, parts, place)
  local criterion = parse(parts)
  local value = M.value(world, criterion.expression)
  local method = criterion.method
  if method == "found" then
    return value.found
  elseif uses(criterion, world.list, place) then
    if method == "bool" or method == "len" or method == "int" then
      return nil
    end
    local truth = ask_list(world, value)
    local others = #criterion.patterns > 0 and match_patterns(criterion, value)
    if truth or others then
      return true
    elseif truth == nil then
      return nil
    end
    return others
  elseif value.found == false then
    return false
  elseif #criterion.files > 0 then
    return match_patterns(criterion, value) or nil
  end
  return match_patterns(criterion, value)
end

-- Conditions.

local predefined <const> = {
  TRUE = { "always_true" }, FALSE = { "always_false" }, HTTP = { "always_true" }, WAIT_END = { "always_true" },
  METH_GET = { "method", "GET", "HEAD" }, METH_HEAD = { "method", "HEAD" }, METH_POST = { "method", "POST" },
  METH_PUT = { "method", "PUT" }, METH_DELETE = { "method", "DELETE" }, METH_OPTIONS = { "method", "OPTIONS" },
  METH_CONNECT = { "method", "CONNECT" }, METH_TRACE = { "method", "TRACE" },
  HTTP_URL_SLASH = { "path", "-m", "beg", "/" },
}

---@class haplua.rules.Acls  a section's ACLs: name -> definitions, which count as one or the other
---@alias haplua.rules.Definition {words: string[], place: string}

--- The truth of an ACL of a section.
local function acl_holds(world, acls, name)
  local definitions = acls[name]
  if not definitions then
    return predefined[name] and criterion_holds(world, predefined[name], "")
  end
  return any_of(definitions, function(definition)
    return criterion_holds(world, definition.words, definition.place)
  end)
end

---@alias haplua.rules.Term {negated: boolean, name: string?, words: string[]?}  an ACL's name, or the words between braces

--- The words between braces from `at` on.
---@return string[] inside, integer last
local function braces(parts, at)
  local inside = {}
  while parts[at + 1] and parts[at + 1] ~= "}" do
    at = at + 1
    inside[#inside + 1] = parts[at]
  end
  return inside, at + 1
end

--- The words of a condition as terms. AND binds tighter than OR.
---@param parts string[]
---@param first integer  the place of `if` or `unless`
---@return haplua.rules.Term[][]  one of these lists must hold, each term of it
function M.terms(parts, first)
  local found, negate, i = { {} }, false, first + 1
  while parts[i] do
    local marks, word = parts[i]:match("^(!*)(.*)$")
    negate = negate ~= (#marks % 2 == 1)
    if word == "or" or word == "||" then
      found[#found + 1] = {}
    elseif word ~= "" then
      local term = { negated = negate, name = word }
      if word == "{" then
        term.words, i = braces(parts, i)
      end
      local all = found[#found]
      all[#all + 1], negate = term, false
    end
    i = i + 1
  end
  return found
end

--- The truth of a rule's condition.
---@param world haplua.rules.World
---@param acls haplua.rules.Acls
---@param parts string[]  the words of the rule
---@param first integer?  the place of `if` or `unless`; nil: the rule has no condition
---@param place string  "FILE:LINE"
---@param usual boolean?  take what is not known of a visitor as false
---@return boolean?
function M.holds(world, acls, parts, first, place, usual)
  if not first then
    return true
  end
  local function term_fails(term)
    local truth
    if term.words then
      truth = term.words[1] and criterion_holds(world, term.words, place)
    else
      truth = acl_holds(world, acls, term.name)
    end
    if truth == nil and usual then
      truth = false
    end
    if term.negated then
      return truth
    end
    return negated(truth)
  end
  local any = any_of(M.terms(parts, first), function(terms)
    return negated(any_of(terms, term_fails))
  end)
  if parts[first] == "unless" then
    return negated(any)
  end
  return any
end

return M
