-- SPDX-License-Identifier: MIT
--
-- Answers the questions of tests/window/oracle.py: reads one on each line of standard input, as JSON, and prints one
-- line for each.

local calendar = require("haplua.calendar")
local json = require("haplua.json")
local window = require("haplua.window")

local function answer(question)
  local list = {}
  local specs = {}
  for i, spec in ipairs(question.specs) do
    specs[i] = window.parse(spec)
    assert(window.parse(tostring(specs[i])) == specs[i], spec)
  end
  for _, text in ipairs(question.calendars) do
    specs[#specs + 1] = calendar.parse(text)
  end
  local asked = window.new(specs, { tz = question.tz, except = question.except })
  for occurrence in asked:occurrences(question.from) do
    if #list >= 2 * question.n then
      break
    end
    list[#list + 1] = ("%.0f"):format(occurrence.opens)
    list[#list + 1] = ("%.0f"):format(occurrence.closes)
  end
  return table.concat(list, " ")
end

for line in io.lines() do
  local ok, text = pcall(answer, json.decode(line))
  print(ok and text or "error " .. tostring(text))
end
