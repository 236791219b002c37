-- SPDX-License-Identifier: MIT
--
--- Random regular expressions, and texts that some of them match: for tests/real/regex_test.lua.

local M = {}

-- Each piece is {pattern, text that it matches}. The texts are guesses: only HAProxy and the fake have to agree.

local letters = { "a", "b", "c", "A", "B", "x", "1", "2", "/", "-", "_", ".", " ", "\t", "\128", "\195\164" }

local escapes = {
  { "\\d", "7" }, { "\\D", "d" }, { "\\w", "w" }, { "\\W", "-" }, { "\\s", " " }, { "\\S", "s" }, { "\\h", "\t" },
  { "\\H", "h" }, { "\\v", "\11" }, { "\\V", "v" }, { "\\N", "n" }, { "\\R", "\11" }, { "\\X", "x" }, { "\\C", "c" },
  { "\\t", "\t" }, { "\\r", "\11" }, { "\\e", "e" }, { "\\a", "a" }, { "\\f", "f" }, { "\\cA", "\1" }, { "\\x41", "A" },
  { "\\x{62}", "b" }, { "\\x", "x" }, { "\\0", "0" }, { "\\012", "1" }, { "\\o{141}", "a" }, { "\\101", "A" }, { "\\.", "." },
  { "\\/", "/" }, { "\\-", "-" }, { "\\Qa.b\\E", "a.b" }, { "\\Q*", "*" }, { "\\E", "" }, { "\\p{L}", "l" }, { "\\P{Lu}", "u" },
  { "\\pN", "4" }, { "\\K", "" }, { "\\G", "" }, { "\\b", "" }, { "\\B", "" }, { "\\A", "" }, { "\\z", "" }, { "\\Z", "" },
}

local classes = {
  { "[abc]", "b" }, { "[^abc]", "d" }, { "[a-c]", "c" }, { "[^a-c]", "z" }, { "[]a]", "]" }, { "[^]a]", "b" }, { "[a-]", "-" },
  { "[-a]", "-" }, { "[\\w.]", "." }, { "[[:alpha:]]", "a" }, { "[[:^digit:]]", "a" }, { "[[:xdigit:]_]", "f" },
  { "[[:word:]]", "_" }, { "[\\x41-\\x43]", "B" }, { "[\\b]", "\8" }, { "[\\Qa-\\E]", "-" }, { "[A-z]", "_" },
  { "[^\\s]", "s" },  { "[\\h\\v]", "\t" }, { "[\128-\255]", "\195" },
}

local assertions = { { "^", "" }, { "$", "" }, { ".", "x" }, { ".*", "" }, { "", "" }, { "(?#note)", "" }, { "#", "#" } }

-- What PCRE2 refuses, always or without the group that it names.
local doubtful = {
  { "\\1", "a" }, { "\\2", "b" }, { "\\g{1}", "a" }, { "\\g{-1}", "b" }, { "\\k<n>", "n" }, { "\\k{n}", "n" }, { "\\g<n>", "n" },
  { "\\8", "8" }, { "\\q", "q" }, { "\\", "" }, { "\\u0041", "A" }, { "\\N{U+41}", "A" }, { "[\\d-x]", "-" },
  { "[[:nope:]]", "n" },
  { "[c-a]", "b" }, { "[a", "a" }, { "[[.a.]]", "a" }, { "(?R)", "" }, { "(?1)", "" }, { "(?&n)", "" },
  { "(?P=n)", "" }, { "(?P>n)", "" }, { "(?+1)", "" }, { "(?z)", "" }, { "(*NOPE)", "" }, { "(*", "" }, { "(?n)", "" },
}

local settings = { "(?i)", "(?s)", "(?m)", "(?x)", "(?U)", "(?C)", "(?-i)", "(?xx)", "(*ACCEPT)", "(*FAIL)", "(*SKIP)",
  "(*PRUNE)", "(*COMMIT)", "(*THEN)" }

local beginnings = { "(*UTF)", "(*UCP)", "(*ANYCRLF)", "(*CR)", "(*BSR_ANYCRLF)", "(*NO_JIT)", "(*LIMIT_MATCH=9)", "(*NOTEMPTY)",
  "(*UTF)(*UCP)" }

local quantifiers = {
  { "*", 2 }, { "+", 2 }, { "?", 1 }, { "{2}", 2 }, { "{1,3}", 2 }, { "{2,}", 3 }, { "{0}", 0 }, { "{,2}", 1 }, { "{x}", 1 },
  { "{100}", 1 },
}

local doubtful_quantifiers = { { "{3,1}", 1 }, { "{99999}", 1 }, { "{", 1 }, { "**", 2 }, { "{2}{2}", 4 } }

local openings = { "(", "(", "(?:", "(?:", "(?i:", "(?-i:", "(?s:", "(?m:", "(?x:", "(?i-s:", "(?>", "(?|", "(?=", "(?!", "(?^:",
  "(*atomic:", "(?(?=a)" }

local doubtful_openings = { "(?<=", "(?<!", "(?<n>", "(?P<n>", "(?'n'", "(?(1)", "(?(n)", "(?J)(?<n>", "(?<1>", "(?y:" }

---@param random fun(n: integer): integer
local function pick(random, list, doubted)
  return doubted and random(8) == 1 and doubted[random(#doubted)] or list[random(#list)]
end

local alternatives

local function atom(random, depth)
  local kind = random(20)
  if kind <= 9 then
    local letter = pick(random, letters)
    return letter, letter
  elseif kind <= 13 then
    return table.unpack(pick(random, escapes, doubtful))
  elseif kind <= 15 then
    return table.unpack(pick(random, classes))
  elseif kind <= 17 then
    return table.unpack(pick(random, assertions))
  elseif kind == 18 and random(2) == 1 then
    return pick(random, settings), ""
  elseif depth > 3 then
    return "x", "x"
  end
  local pattern, text = alternatives(random, depth + 1)
  return pick(random, openings, doubtful_openings) .. pattern .. ")", text
end

local function repeated(random, depth)
  local pattern, text = atom(random, depth)
  if random(3) > 1 then
    return pattern, text
  end
  local quantifier = pick(random, quantifiers, doubtful_quantifiers)
  return pattern .. quantifier[1] .. pick(random, { "", "", "?", "+" }), text:rep(quantifier[2])
end

function alternatives(random, depth)
  local patterns, texts = {}, {}
  for i = 1, random(4) == 1 and random(3) or 1 do
    local parts, found = {}, {}
    for j = 1, random(4) do
      parts[j], found[j] = repeated(random, depth)
    end
    patterns[i], texts[i] = table.concat(parts), table.concat(found)
  end
  return table.concat(patterns, "|"), pick(random, texts)
end

--- Change a byte or two of a text, or none.
local function damaged(random, text, pieces)
  for _ = 1, random(3) - 1 do
    local at = random(#text + 1)
    text = text:sub(1, at - 1) .. pick(random, pieces) .. text:sub(at + random(2) - 1)
  end
  return text
end

local signs = { "(", ")", "[", "]", "{", "}", "*", "+", "?", "|", "^", "$", "\\", ".", "-", "a", "1", ",", ":", "<", "=" }

--- A pattern, not empty, and texts to match with it. None has NUL or LF: HAProxy's socket would not take them.
---@param random fun(n: integer): integer
---@return string pattern, string[] texts
function M.make(random)
  local pattern, text = alternatives(random, 1)
  if random(20) == 1 then
    pattern = pick(random, beginnings) .. pattern
  elseif random(12) == 1 then
    pattern = damaged(random, pattern, signs)
  end
  local texts = { text, text:upper(), "x" .. text .. "b", damaged(random, text, letters), damaged(random, text, letters) }
  for i = 1, #texts do
    texts[i] = texts[i] == "" and "a" or texts[i]
    if pattern:find("(*UTF)", 1, true) and not utf8.len(texts[i]) then
      texts[i] = texts[i]:gsub("[\128-\255]", "z") -- what HAProxy does with the other is not defined
    end
  end
  return pattern == "" and "a" or pattern, texts
end

return M
