-- SPDX-License-Identifier: MIT
--
--- A rehearsal for people, and as JSON.

local judge = require("haplua.rehearse.judge")
local scope = require("haplua.plan.scope")

local M = {}

-- So many questions of one sort are shown for a frontend.
local MOST <const> = 6

--- A question in words: "GET https://www.example.com/shop (HTTP/2) from 192.0.2.1".
---@param told haplua.rehearse.Told
---@return string
function M.question(told)
  local default = told.tls and 443 or 80
  local port = told.port ~= default and not told.host:find(":%d+$") and ":" .. told.port or ""
  local extra = {}
  extra[1] = told.version ~= "1.1" and "HTTP/" .. told.version or nil
  extra[#extra + 1] = told.from and "from " .. told.source or nil
  local text = told.target and told.target .. " at " or ""
  return ("%s %s%s://%s%s%s%s"):format(told.method, text, told.tls and "https" or "http", told.host, port,
    told.target and "" or told.path, #extra > 0 and " " .. table.concat(extra, " ") or "")
end

--- What became of a question, in words.
local function outcome(told)
  local where = judge.where(told.after)
  if told.state == "changed" then
    return ("%s, and before: %s"):format(where, judge.where(told.before))
  elseif told.state == "open" and not told.why then
    return where .. ", with the maintenance as without it"
  end
  return told.why and ("%s (%s)"):format(where, told.why) or where
end

--- The lines of questions; those beyond MOST are counted.
local function add_questions(lines, list)
  for i = 1, math.min(#list, MOST) do
    lines[#lines + 1] = ("%s: %s"):format(M.question(list[i]), outcome(list[i]))
  end
  lines[#lines + 1] = #list > MOST and ("and %d more"):format(#list - MOST) or nil
end

local words <const> = {
  closed = "closed", open = "NOT closed", redirected = "redirected before the list is asked", unknown = "not known",
  apart = "not a part of this: its visitors do not reach what is closed elsewhere",
}

--- What the questions of a frontend come to.
local function sorted(frontend)
  local wrong, exceptions, right, first = {}, {}, 0, nil
  for _, told in ipairs(frontend.questions) do
    if frontend.state == "apart" or told.as_wanted then
      right = right + 1
      first = first or told.state == "closed" and told or nil
    else
      table.insert(told.extra and exceptions or wrong, told)
    end
  end
  return wrong, exceptions, right, first
end

--- What a frontend does, in lines.
---@param frontend haplua.rehearse.Frontend
---@return string
function M.frontend(frontend)
  local wrong, exceptions, right, first = sorted(frontend)
  local text = words[frontend.state]
  if frontend.state == "closed" and first then
    text = ("%s, as %s: %s"):format(text, M.question(first), judge.where(first.after))
  end
  local lines = { ("frontend %s: %s (%d of %d questions as wanted)"):format(frontend.name, text, right, #frontend.questions) }
  add_questions(lines, wrong)
  if #exceptions > 0 then
    lines[#lines + 1] = "some requests do not get the maintenance:"
    add_questions(lines, exceptions)
  end
  return table.concat(lines, "\n")
end

--- The text of a rehearsal.
---@param rehearsal haplua.Rehearsal
---@return string
function M.text(rehearsal)
  local lines = {
    ("rehearsed on HAProxy %s, %s: %s"):format(rehearsal.version, rehearsal.program, scope.text(rehearsal.scope)),
  }
  for _, frontend in ipairs(rehearsal.frontends) do
    local state = frontend.state == "apart" and "note" or frontend.as_wanted and "ok" or frontend.as_wanted == nil and "?"
      or "FAIL"
    lines[#lines + 1] = ("%-4s  %s"):format(state, M.frontend(frontend):gsub("\n", "\n      "))
  end
  for _, note in ipairs(rehearsal.notes) do
    lines[#lines + 1] = "note  " .. note:gsub("\n", "\n      ")
  end
  lines[#lines + 1] = rehearsal.as_wanted and "all as wanted" or rehearsal.as_wanted == nil
    and (#rehearsal.frontends == 0 and "no question was asked" or "not all is known") or "NOT all as wanted"
  return table.concat(lines, "\n")
end

--- A rehearsal for JSON.
---@param rehearsal haplua.Rehearsal
---@return table
function M.portable(rehearsal)
  local frontends = {}
  for i, frontend in ipairs(rehearsal.frontends) do
    local questions = {}
    for j, told in ipairs(frontend.questions) do
      questions[j] = {
        question = M.question(told), version = told.version, source = told.source, method = told.method, host = told.host,
        path = told.path, tls = told.tls, wants = told.wants, state = told.state, why = told.why, as_wanted = told.as_wanted,
        extra = told.extra, off = told.off, before = told.before, after = told.after,
      }
    end
    frontends[i] = { name = frontend.name, state = frontend.state, why = frontend.why, as_wanted = frontend.as_wanted,
      questions = questions }
  end
  return { as_wanted = rehearsal.as_wanted, version = rehearsal.version, program = rehearsal.program,
    seconds = rehearsal.seconds, frontends = frontends, notes = rehearsal.notes, scope = scope.text(rehearsal.scope) }
end

return M
