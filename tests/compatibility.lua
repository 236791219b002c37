-- SPDX-License-Identifier: MIT
--
-- compatibility.lua - write or check the table of docs/compatibility.md.
--
--   lua5.4 tests/compatibility.lua make FOLDER    write it, from the files that tests/versions_check.sh
--                                                 and tests/real/compatibility_test.lua have left in FOLDER
--   lua5.4 tests/compatibility.lua check          check that it has a row for each feature and no empty cell
--
-- Each line of FOLDER/VERSION has the id of a feature (or `version`), a tab, and a text. FOLDER/VERSION.log is the
-- output of the tests.

package.path = "tests/real/?.lua;" .. package.path

local features = require("features")

local PAGE = "docs/compatibility.md"
local VERSIONS = { { "2.2", "bullseye" }, { "2.6", "bookworm" }, { "3.0", "trixie" }, { "3.2", "forky" } }
local BEGIN, END = "<!-- versions -->\n", "<!-- /versions -->\n"

local function fail(...)
  io.stderr:write("compatibility.lua: ", string.format(...), "\n")
  os.exit(1)
end

local function content(path)
  local f <close> = io.open(path)
  return f and f:read("a") or fail("%s is not there", path)
end

--- Read one version's file.
---@return table<string, string> cells  text by id
local function cells(path)
  local found = {}
  for id, text in content(path):gmatch("([^\t\n]+)\t([^\n]+)\n") do
    found[id] = text
  end
  return found
end

--- Read the results of tests/real.
---@return string text, table<string, integer> why  how many tests were skipped for which reason
local function results(path)
  local text = "\n" .. content(path)
  local passed, failed, broken, skipped = text:match("\nlua: (%d+) passed, (%d+) failed, (%d+) broken, (%d+) skipped\n$")
  if not passed or failed ~= "0" or broken ~= "0" then
    fail("%s: not all tests passed", path)
  end
  local why = {}
  for reason in text:gmatch("\nskipped: [^\n]*%.lua:%d+: ([^\n]*)") do
    why[reason] = (why[reason] or 0) + 1
  end
  return skipped == "0" and "all passed" or ("all passed, %s skipped"):format(skipped), why
end

local function line(words)
  return "| " .. table.concat(words, " | ") .. " |\n"
end

local function table_of(folder)
  local found, head, rule = {}, { "feature" }, { "---" }
  local tests, notes = { "tests/real" }, {}
  for i, version in ipairs(VERSIONS) do
    local path = folder .. "/" .. version[1]
    found[i] = cells(path)
    head[i + 1], rule[i + 1] = ("%s (Debian %s)"):format(found[i].version or "?", version[2]), "---"
    local why
    tests[i + 1], why = results(path .. ".log")
    for reason, n in pairs(why) do
      notes[#notes + 1] = ("- HAProxy %s, %d: %s.\n"):format(version[1], n, (reason:gsub("%.$", "")))
    end
  end
  table.sort(notes)
  local text = { line(head), line(rule) }
  for _, feature in ipairs(features) do
    local row = { feature[2] }
    for i, version in ipairs(VERSIONS) do
      row[i + 1] = found[i][feature[1]] or fail("HAProxy %s: nothing about '%s'", version[1], feature[1])
    end
    text[#text + 1] = line(row)
  end
  text[#text + 1] = line(tests)
  if #notes > 0 then
    text[#text + 1] = "\nSkipped tests, which need what that version does not have:\n\n" .. table.concat(notes)
  end
  return table.concat(text)
end

--- The parts of the page before, between and after the two marks.
local function parts()
  local text = content(PAGE)
  local first, past = text:find(BEGIN, 1, true)
  local last, behind = text:find(END, past or 1, true)
  if not first or not last then
    fail("%s does not have its two marks", PAGE)
  end
  return text:sub(1, past), text:sub(past + 1, last - 1), text:sub(last, behind) .. text:sub(behind + 1)
end

local function make(folder)
  local before, _, behind = parts()
  local made = table_of(folder)
  local f <close> = assert(io.open(PAGE, "w"))
  f:write(before, "\n", made, "\n", behind)
end

local function check()
  local _, text = parts()
  local rows = {}
  for row in text:gmatch("[^\n]+") do
    local words = {}
    for cell in row:gmatch("| ([^|]*) %f[|]") do
      words[#words + 1] = cell
    end
    if #words > 0 then
      rows[#rows + 1] = words
    end
  end
  if #rows ~= #features + 3 then
    fail("%s has %d rows for %d features: `make check-versions` makes it", PAGE, #rows - 3, #features)
  end
  for i, row in ipairs(rows) do
    local feature = features[i - 2]
    if feature and row[1] ~= feature[2] then
      fail("%s: '%s' where '%s' belongs: `make check-versions` makes it", PAGE, row[1], feature[2])
    end
    for n = 2, #VERSIONS + 1 do
      if not row[n] or not row[n]:find("%S") then
        fail("%s: nothing about '%s' on HAProxy %s", PAGE, row[1], VERSIONS[n - 1][1])
      end
    end
  end
end

if arg[1] == "make" and arg[2] then
  make(arg[2])
elseif arg[1] == "check" then
  check()
else
  io.stderr:write("usage: lua5.4 tests/compatibility.lua make FOLDER | check\n")
  os.exit(2)
end
