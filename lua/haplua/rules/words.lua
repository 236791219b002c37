-- SPDX-License-Identifier: MIT
--
--- A line of HAProxy's configuration as words, split as HAProxy splits it (configuration manual, section 2.2; tried on
-- 2.2 to 3.2).

local M = {}

-- What a backslash makes of the next character, outside of single quotes. Before any other character it stands for itself.
local escaped <const> = {
  [" "] = " ", ["\\"] = "\\", ["#"] = "#", ['"'] = '"', ["'"] = "'", n = "\n", r = "\r", t = "\t",
}

--- The character for which a backslash stands, and the number of characters that it takes.
---@return string? character, integer length
local function escape(line, at, quoted)
  local after = line:sub(at + 1, at + 1)
  local hex = line:match("^x(%x%x)", at + 1)
  if hex then
    return string.char(tonumber(hex, 16)), 4
  elseif quoted and after == "$" then
    return "$", 2
  end
  return escaped[after], 2
end

--- The value of a variable such as ${NAME}, ${NAME-default} or $NAME in double quotes, and the end of it.
---@return string? value, integer|string last  the last character; or, without a value, the problem
local function variable(line, at, environment)
  local body, last = line:match("^%${(.-)}()", at)
  if not body then
    body, last = line:match("^%$([%a_][%w_]*)()", at)
  end
  local name, default = (body or ""):match("^%.?([%a_][%w_]*)(.*)$")
  if not name or default ~= "" and default:sub(1, 1) ~= "-" then
    return nil, "a $ in double quotes begins the name of a variable"
  end
  return environment[name] or default:sub(2), last - 1
end

--- Split a line. A # that is not quoted ends it.
---@param line string
---@param environment table<string, string>  the variables
---@return string[]? words  nil: HAProxy refuses the line
---@return string? problem
function M.split(line, environment)
  local words, word, quote, at = {}, nil, nil, 1
  while at <= #line do
    local c, length = line:sub(at, at), 1
    local literal
    if c == "\\" and quote ~= "'" then
      literal, length = escape(line, at, quote)
      literal, length = literal or c, literal and length or 1
    elseif quote and c == quote then
      quote = nil
    elseif quote == '"' and c == "$" then
      local last
      literal, last = variable(line, at, environment)
      if not literal then
        return nil, last
      end
      length = last - at + 1
    elseif quote then
      literal = c
    elseif c == '"' or c == "'" then
      quote, word = c, word or ""
    elseif c == "#" then
      break
    elseif c:find("%s") then
      words[#words + 1], word = word, nil
    else
      literal = c
    end
    word = literal and (word or "") .. literal or word
    at = at + length
  end
  if quote then
    return nil, "a quote has no end"
  end
  words[#words + 1] = word
  return words
end

return M
