-- SPDX-License-Identifier: MIT
--
--- Conditions of HAProxy's rules, as far as they can be known of a request without sending it.
-- A truth is true, false or nil: not known. Facts on flags and methods: configuration manual, section 7, tried on 2.2 to
-- 3.2.

local regex = require("haplua.regex")
local value_of = require("haplua.rules.value")

local M = {}

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

--- Does a pattern match a text?
---@param method string
---@param text string
---@param pattern string
---@param insensitive boolean?
---@return boolean?
function M.match(method, text, pattern, insensitive)
  local match, fold = matches[method], insensitive and method ~= "reg"
  if match then
    return match(fold and text:lower() or text, fold and pattern:lower() or pattern, insensitive)
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

--- Does one of these patterns match?
---@param patterns string[]
local function match_patterns(criterion, value, patterns)
  local method, text = criterion.method, value.text
  if #patterns == 0 and not criterion.files[1] then
    if text and (method == nil or method == "bool") then
      return matches.bool(text)
    end
    return nil
  end
  return any_of(patterns, function(pattern)
    if text and (method or not value.number) then
      return M.match(method or "str", text, pattern, criterion.insensitive)
    end
  end)
end

--- Does one of a criterion's patterns match, those of its files among them?
local function match_all(world, criterion, value)
  local truth = match_patterns(criterion, value, criterion.patterns)
  if not value.text and criterion.files[1] then
    return nil
  end
  for _, name in ipairs(not truth and criterion.files or {}) do
    local is_changed = (world.changed or {})[name]
    local text, patterns = not is_changed and world.read and world.read(name) or nil, {}
    for line in (text or ""):gmatch("[^\n]+") do
      line = line:match("^%s*(.-)%s*$")
      patterns[#patterns + 1] = line ~= "" and line:sub(1, 1) ~= "#" and line or nil
    end
    local in_file = match_patterns(criterion, value, patterns)
    truth = in_file or truth
    if not text or in_file == nil then
      truth = truth or nil
    end
  end
  return truth
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
        criterion.folds = criterion.folds or criterion.insensitive -- -i counts for the files after it
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
    if value_of.is_list_file(list, name) then
      return true
    end
  end
  return list.id ~= nil and criterion.id == list.id or (list.places or {})[place] == true
end

--- Can it be told which paths a criterion matches?
local function is_read(world, criterion)
  for _, name in ipairs(criterion.files) do
    if (world.changed or {})[name] or not (world.read and world.read(name)) then
      return false
    end
  end
  return matches[criterion.method or "str"] ~= nil
end

--- The truth of a criterion: the words after `acl NAME`, or those between braces.
---@param world haplua.rules.World
---@param parts string[]
---@param place string  "FILE:LINE"
---@return boolean? truth, haplua.rules.Value value
local function truth_of(world, parts, place)
  if not parts[1] then
    return nil, value_of.UNKNOWN
  end
  local criterion = parse(parts)
  local value = value_of.of(world, criterion.expression)
  local method = criterion.method
  if method == "found" then
    return value.found, value
  elseif uses(criterion, world.list, place) then
    if method == "bool" or method == "len" or method == "int" then
      return nil, value_of.UNKNOWN
    end
    local fold = criterion.insensitive and (criterion.folds or not criterion.files[1])
    local truth = value_of.ask_list(world, value, method or "str", fold)
    local others = #criterion.patterns > 0 and match_patterns(criterion, value, criterion.patterns)
    if truth or others then
      return true, value
    elseif truth == nil then
      return nil, value_of.UNKNOWN
    end
    return others, value
  elseif value.found == false then
    return false, value
  elseif value.partial and method ~= "beg" and method ~= "str" and method or value.is_path and not is_read(world, criterion) then
    value = value_of.UNKNOWN
  end
  return match_all(world, criterion, value), value
end

--- The truth of a criterion, for a usual visitor where that is asked for.
---@param usual boolean?  what is not known because each visitor has another one counts as false
---@return boolean?
local function criterion_holds(world, parts, place, usual)
  local truth, value = truth_of(world, parts, place)
  if truth == nil and usual and value.varies then
    return false
  end
  return truth
end

-- Conditions.

local predefined <const> = {
  TRUE = { "always_true" }, FALSE = { "always_false" }, HTTP = { "always_true" }, WAIT_END = { "always_true" },
  METH_GET = { "method", "GET", "HEAD" }, METH_HEAD = { "method", "HEAD" }, METH_POST = { "method", "POST" },
  METH_PUT = { "method", "PUT" }, METH_DELETE = { "method", "DELETE" }, METH_OPTIONS = { "method", "OPTIONS" },
  METH_CONNECT = { "method", "CONNECT" }, METH_TRACE = { "method", "TRACE" },
  HTTP_URL_SLASH = { "path", "-m", "beg", "/" },
}

-- A user's own words: what `uses` a list, and what a criterion is made of.
M.uses, M.parse = uses, parse

---@class haplua.rules.Acls  a section's ACLs: name -> definitions, which count as one or the other
---@alias haplua.rules.Definition {words: string[], place: string, doubtful: boolean?}

--- The truth of an ACL of a section.
local function acl_holds(world, acls, name, usual)
  local definitions = acls[name]
  if not definitions then
    return predefined[name] and criterion_holds(world, predefined[name], "", usual)
  end
  return any_of(definitions, function(definition)
    if definition.doubtful then
      return nil
    end
    return criterion_holds(world, definition.words, definition.place, usual)
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
      truth = term.words[1] and criterion_holds(world, term.words, place, usual)
    else
      truth = acl_holds(world, acls, term.name, usual)
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
