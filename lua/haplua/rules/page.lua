-- SPDX-License-Identifier: MIT
--
--- What HAProxy makes of the file of a page: does it take it, and does it send all of it? tests/real/page_check_test.lua
-- holds this against HAProxy 2.2 to 3.2.

local M = {}

---@alias haplua.rules.PageForm
---| "errorfile"  a whole answer, with status and headers: errorfile, http-error ... errorfile, http-errors
---| "lf-file"  HAProxy fills in what stands behind percent signs
---| "file"  sent as it is

---@class haplua.rules.PageFinding
---@field state "ok"|"note"|"warn"|"fail"
---@field text string
---@field advice string?

-- What HAProxy 2.2 to 3.2 fill in for %NAME, all of them.
local ALIASES <const> = {}
for name in ([[B CC CS H HM HP HQ HU HV ID ST T Ta Tc Td Th Ti Tl Tq TR Tr Ts Tt Tu Tw U ac b bc bi bp bq ci cp f fc
  fi fp ft hr hrl hs hsl lc ms o pid r rc rt s sc si sp sq sslc sslv t tr trg trl tsc]]):gmatch("%S+") do
  ALIASES[name] = true
end

-- Bytes of an answer that no page can have: what HAProxy keeps of it beside its text.
local OVERHEAD <const> = 64

-- Bytes of a file that is read as HAProxy's configuration says, unless that says otherwise.
M.BUFSIZE, M.MAXREWRITE = 16384, 1024

local function add(findings, state, text, advice)
  findings[#findings + 1] = { state = state, text = text, advice = advice }
end

--- How a page is used, by its text.
---@param text string
---@return haplua.rules.PageForm
function M.form(text)
  return text:find("^[\r\n]*HTTP/") and "errorfile" or text:find("%[", 1, true) and "lf-file" or "file"
end

--- The page as one answer: with what HAProxy adds it fits into a buffer.
local function check_size(found, n, form, bufsize, maxrewrite)
  local room = bufsize - maxrewrite
  local text = ("%d bytes; tune.bufsize is %d, of which %d are for headers that HAProxy adds"):format(n, bufsize, maxrewrite)
  local advice = ("make it smaller than %d bytes: put its images elsewhere; or raise tune.bufsize"):format(room)
  if n > bufsize - OVERHEAD then
    add(found, "fail", text .. (form == "errorfile" and ": HAProxy does not start with it"
      or ": HAProxy does not start with it, or answers 500 in its place"), advice)
  elseif n > room then
    add(found, "warn", text .. ": with more headers, visitors get status 500 in its place", advice)
  elseif form == "lf-file" and n > room * 3 // 4 then
    add(found, "note", text .. ": what HAProxy fills in counts, too")
  else
    add(found, "ok", text)
  end
end

--- The end of `%[...]`: HAProxy takes brackets within quotes and parentheses for text.
local function end_of_expression(text, at)
  local depth, quote = 0, nil
  for i = at, #text do
    local c = text:sub(i, i)
    if quote then
      quote = c ~= quote and quote or nil
    elseif c == "'" or c == '"' then
      quote = depth > 0 and c or nil
    elseif c == "(" then
      depth = depth + 1
    elseif c == ")" then
      depth = depth - 1
    elseif c == "]" and depth <= 0 then
      return i
    elseif c == "\n" then
      return nil
    end
  end
end

local function line_of(text, at)
  local _, n = text:sub(1, at):gsub("\n", "")
  return n + 1
end

--- Say of a percent sign what HAProxy makes of it.
---@return integer next, string? filled  behind it; what HAProxy fills in
local function check_percent(found, text, at)
  local rest = text:sub(at + 1, at + 40)
  local place = ("line %d: '%%%s'"):format(line_of(text, at), rest:match("^[^\n]*"):sub(1, 12))
  local advice = "write %% for a percent sign"
  rest = rest:gsub("^{[^}\n]*}", "")
  local name = rest:match("^%a%w*")
  if rest:sub(1, 1) == "%" then
    return at + 2
  elseif rest:sub(1, 1) == "[" then
    local from = text:find("[", at, true)
    local to = end_of_expression(text, from + 1)
    if not to then
      add(found, "fail", place .. " has no ']': HAProxy does not start with it", advice)
    end
    return (to or at) + 1, to and text:sub(from + 1, to - 1)
  elseif name and ALIASES[name] then
    add(found, "note", place .. (": HAProxy fills in its log's %%%s"):format(name), "if that is not meant, " .. advice)
  elseif rest:find("^[%w%s]") and not rest:find("^[\r\n]") or rest == "" then
    add(found, "fail", place .. ": HAProxy does not start with it", advice)
  else
    add(found, "fail", place .. ": HAProxy leaves the percent sign out", advice)
  end
  return at + 1
end

--- The percent signs of a page that is read as a log-format text. Returns the expressions in it.
local function check_percents(found, text)
  local at, expressions = 1, {}
  while true do
    at = text:find("%", at, true)
    if not at then
      return expressions
    end
    local expression
    at, expression = check_percent(found, text, at)
    expressions[#expressions + 1] = expression
  end
end

--- Status line and headers of an errorfile. Returns its body.
local function check_head(found, text)
  local function fail(form, ...)
    add(found, "fail", form:format(...) .. ": HAProxy does not start with it")
    return text
  end
  local head, body = text:match("^(.-\n)\r?\n(.*)$")
  local status = text:match("^HTTP/1%.[01] (%d%d%d)[ \r\n]")
  if not status then
    return fail("it does not begin with a status line such as HTTP/1.1 503 Service Unavailable")
  elseif not head then
    return fail("no blank line stands between headers and page")
  end
  local headers = {}
  for line in head:gsub("^[^\n]*\n", ""):gmatch("([^\n]*)\n") do
    local name, value = line:match("^([%w!#$%%&'*+.^_`|~-]+):[ \t]*(.-)[ \t\r]*$")
    if not name then
      return fail("the header '%s' is no NAME: VALUE", line:gsub("\r", ""):sub(1, 40))
    end
    headers[name:lower()] = value
  end
  local length = headers["content-length"]
  if headers["transfer-encoding"] then
    fail("Transfer-Encoding stands in it")
  elseif length and tonumber(length) ~= #body then
    fail("Content-Length is %s, and the page has %d bytes", length, #body)
  elseif (status == "204" or status == "304" or status:sub(1, 1) == "1") and body ~= "" then
    fail("an answer of %s has no page", status)
  elseif status:sub(1, 1) ~= "5" then
    add(found, "warn", ("its status is %s: programs and search engines take the page for the site"):format(status),
      "HTTP/1.1 503 Service Unavailable")
  end
  if not headers["content-type"] and body ~= "" then
    add(found, "warn", "it has no Content-Type: browsers guess what it is", "Content-Type: text/html; charset=utf-8")
  end
  if not (headers["cache-control"] or ""):find("no%-") then
    add(found, "note", "without Cache-Control: no-store, caches may keep the page when the site is open again")
  end
  return body
end

--- What the page loads, and where its links lead: the site is closed.
local function check_references(found, body)
  local seen = {}
  local function check(url, what)
    local is_own = not url:find("^%a[%w+.-]*:") and not url:find("^//")
    if url == "" or url:find("^#") or url:find("%[", 1, true) or url:find("^data:") or seen[what .. url] then
      return
    end
    seen[what .. url] = true
    if what == "links" and not is_own then
      return
    elseif what == "links" then
      add(found, "note", ("it links to %s, which is closed as well if the whole site is"):format(url))
    elseif is_own then
      add(found, "warn", ("it loads %s, in whose place this page comes while the whole site is closed"):format(url),
        "write it into the page: <style>, data:image/svg+xml,...")
    else
      add(found, "note", ("it loads %s: without that host the page is incomplete"):format(url))
    end
  end
  for tag, attributes in body:gmatch("<(%a+)(%s[^>]*)>") do
    local is_link = tag:lower() == "a" or tag:lower() == "form"
    for name, _, url in attributes:gmatch("%s(%a+)%s*=%s*([\"'])(.-)%2") do
      name = name:lower()
      if name == "src" or name == "href" or name == "action" then
        check(url, is_link and "links" or "loads")
      end
    end
  end
  for url in body:gmatch("url%(%s*[\"']?(.-)[\"']?%s*%)") do
    check(url, "loads")
  end
end

--- Compare a map of words with the fields that a page uses of it.
---@param found haplua.rules.PageFinding[]
---@param words string  the map's text
---@param expressions string[]  those of the page
local function check_words(found, words, expressions)
  local most, lines = 0, 0
  for _, expression in ipairs(expressions) do
    most = math.max(most, tonumber(expression:match("var%(txn%.words%),field%((%d+),|%)")) or 0)
  end
  for line in words:gmatch("[^\n]+") do
    local language, rest = line:match("^(%l%l[%w-]*)%s+(%S.*|.*)$")
    local _, n = (rest or ""):gsub("|", "")
    if language and n + 1 < most then
      add(found, "fail", ("the words of '%s' are %d, and the page uses %d"):format(language, n + 1, most))
    elseif language and (rest:find("||", 1, true) or rest:find("|%s*$")) then
      add(found, "fail", ("a word of '%s' is empty"):format(language))
    elseif language and rest:find('["<>]') then
      add(found, "fail", ("the words of '%s' have a quotation mark, or < or >, which break the page"):format(language),
        "write &quot; &lt; &gt;")
    end
    lines = lines + (language and 1 or 0)
  end
  if most > 0 and lines > 0 then
    add(found, "ok", ("%d languages, %d words each"):format(lines, most))
  end
end

---@class haplua.rules.PageOptions
---@field form haplua.rules.PageForm?  nil: by its text
---@field bufsize integer?  HAProxy's tune.bufsize
---@field maxrewrite integer?  HAProxy's tune.maxrewrite
---@field words string?  the text of the map of words

--- What is to be said of a page.
---@param text string
---@param options haplua.rules.PageOptions
---@return haplua.rules.PageFinding[]
function M.check(text, options)
  local found, form = {}, options.form or M.form(text)
  check_size(found, #text, form, options.bufsize or M.BUFSIZE, options.maxrewrite or M.MAXREWRITE)
  local body, expressions = text, {}
  if text == "" then
    add(found, "fail", "it is empty")
  elseif form == "errorfile" then
    body = check_head(found, text)
  elseif form == "lf-file" then
    expressions = check_percents(found, text)
    if text:find("\0", 1, true) then
      add(found, "fail", "it has a NUL byte: HAProxy leaves out what follows")
    end
  end
  check_references(found, body)
  if options.words and form == "lf-file" then
    check_words(found, options.words, expressions)
  end
  return found
end

return M
