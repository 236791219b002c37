-- SPDX-License-Identifier: MIT
--
--- What the answers of a rehearsal say. Without any I/O.
-- Each question is asked three times: while nothing is closed (`off`), as it is now (`before`), and with the maintenance
-- (`after`). The list has closed what does not go where it goes while nothing is closed.

local M = {}

---@class haplua.rehearse.Answer  to a question
---@field backend string?  that took the request; nil: none
---@field through string[]?  backends on the way there: their server is a frontend of the same HAProxy
---@field status integer?  nil: no answer came
---@field by_server boolean?  it came from what stands in the place of the servers
---@field location string?
---@field problem string?  why it could not be asked

---@class haplua.rehearse.Told: haplua.rehearse.Question  a question with its answers
---@field off haplua.rehearse.Answer
---@field before haplua.rehearse.Answer
---@field after haplua.rehearse.Answer
---@field state "closed"|"open"|"redirected"|"as before"|"changed"|"unknown"
---@field why string?
---@field as_wanted boolean?  nil: it cannot be told

--- Did two requests end the same way?
---@param a haplua.rehearse.Answer
---@param b haplua.rehearse.Answer
function M.same(a, b)
  return a.backend == b.backend and a.status == b.status and a.by_server == b.by_server and a.location == b.location
end

--- Where a request ended, in words.
---@param answer haplua.rehearse.Answer
---@return string
function M.where(answer)
  local status = answer.status and tostring(answer.status) or "no answer"
  if answer.location then
    status = status .. " to " .. answer.location
  end
  if not answer.backend then
    return answer.problem or status .. " without a backend"
  end
  local way = table.concat(answer.through or {}, " > ")
  return ("backend %s%s"):format(way ~= "" and way .. " > " or "", answer.backend)
    .. (answer.by_server and "" or answer.status and " (" .. status .. ")" or "")
end

local function is_redirect(answer)
  return answer.status ~= nil and answer.status >= 300 and answer.status < 400 and answer.status ~= 304
end

--- Has the maintenance taken a request that it shall take?
---@return string state, string? why
local function closing(off, after)
  if M.same(off, after) then
    if is_redirect(after) and not after.by_server then
      return "redirected"
    elseif not after.by_server and after.status and after.status >= 400 or not after.backend and not after.status then
      return "unknown", "the answer is the same where nothing is closed"
    end
    return "open"
  end
  if after.by_server and not after.backend then
    return "open", "it comes from HAProxy's cache"
  end
  local was_closed = not off.by_server and (off.status or 500) >= 400
  if was_closed and after.by_server then
    return "unknown", "the list opens what is closed without it"
  elseif after.backend ~= off.backend and after.by_server or not after.status or after.status >= 400 then
    return "closed"
  elseif was_closed then
    return "open", "the list opens what is closed without it"
  end
  return "unknown", ("the list makes a difference, but the answer is %d, which is no error"):format(after.status)
end

--- Judge one question.
---@param told haplua.rehearse.Told
---@param nature string?  why nothing can be known of this frontend by asking
function M.judge(told, nature)
  local off, before, after = told.off, told.before, told.after
  if told.wants == "closed" then
    told.state, told.why = closing(off, after)
    told.as_wanted = told.state == "closed" or told.state == "redirected"
  elseif told.wants == "open" then
    told.state = M.same(off, after) and "open" or "closed"
    told.as_wanted = told.state == "open"
  else
    told.state = M.same(before, after) and "as before" or "changed"
    told.as_wanted = told.state == "as before"
  end
  if after.problem and off.problem then
    told.state, told.why, told.as_wanted = "unknown", after.problem, nil
  elseif nature and told.state ~= "redirected" and (told.state ~= "as before" or not M.same(off, after)) then
    told.state, told.why, told.as_wanted = "unknown", nature, nil
  elseif told.state == "unknown" then
    told.as_wanted = nil
  end
end

---@class haplua.rehearse.Frontend  what a frontend does
---@field name string
---@field state "closed"|"open"|"redirected"|"unknown"|"apart"  apart: its visitors do not reach what is closed elsewhere
---@field why string?
---@field questions haplua.rehearse.Told[]
---@field as_wanted boolean?

--- Is every question of a sort as wanted? nil: some cannot be told.
local function all_as_wanted(questions)
  local all = true
  for _, told in ipairs(questions) do
    if not told.extra and told.as_wanted == false then
      return false
    elseif not told.extra and told.as_wanted == nil then
      all = nil
    end
  end
  return all
end

--- The state of a frontend by its questions inside the scope.
local function state_of(questions)
  local counts, first = {}, nil
  for _, told in ipairs(questions) do
    if told.wants == "closed" and not told.extra then
      counts[told.state] = (counts[told.state] or 0) + 1
      first = first or told.state == "unknown" and told or nil
    end
  end
  local state = counts.open and "open" or counts.unknown and "unknown" or counts.closed and "closed"
    or counts.redirected and "redirected" or "unknown"
  return state, state == "unknown" and first and first.why or nil
end

--- The backends whose visitors the list keeps away somewhere.
local function closed_backends(questions)
  local found, any = {}, false
  for _, told in ipairs(questions) do
    if told.state == "closed" and told.wants == "closed" then
      any = true
      found[told.off.backend or ""] = true
    end
  end
  return found, any
end

--- Is a frontend one of another site: nothing of it is closed, and none of its visitors reaches what is closed elsewhere?
---@param backends string[]  that its rules name; "*": a computed name
local function is_apart(questions, closed, backends)
  local by_rules = true
  for _, name in ipairs(backends) do
    by_rules = by_rules and name ~= "*" and not closed[name]
  end
  for _, told in ipairs(questions) do
    local is_error = told.state == "unknown" and M.same(told.off, told.after) and by_rules
    if told.state == "closed" or told.state == "unknown" and not is_error or told.named or closed[told.off.backend or ""] then
      return false
    end
  end
  return true
end

--- Judge all questions.
---@param questions haplua.rehearse.Told[]
---@param natures table<string, string>  of frontends of which nothing can be known by asking, why
---@param backends table<string, string[]>  that the rules of each frontend name; "*": a computed name
---@return haplua.rehearse.Frontend[] frontends, boolean? as_wanted  nil: some cannot be told
function M.all(questions, natures, backends)
  local frontends, by_name, as_wanted = {}, {}, true
  for _, told in ipairs(questions) do
    M.judge(told, natures[told.frontend])
    if not by_name[told.frontend] then
      by_name[told.frontend] = { name = told.frontend, questions = {} }
      frontends[#frontends + 1] = by_name[told.frontend]
    end
    table.insert(by_name[told.frontend].questions, told)
  end
  local closed, any = closed_backends(questions)
  for _, frontend in ipairs(frontends) do
    frontend.state, frontend.why = state_of(frontend.questions)
    frontend.as_wanted = all_as_wanted(frontend.questions)
    if (frontend.state == "open" or frontend.state == "unknown") and any
      and is_apart(frontend.questions, closed, backends[frontend.name] or {}) then
      frontend.state, frontend.as_wanted = "apart", true
    end
    if frontend.as_wanted == false then
      as_wanted = false
    elseif frontend.as_wanted == nil and as_wanted then
      as_wanted = nil
    end
  end
  if #frontends == 0 then
    as_wanted = nil
  end
  return frontends, as_wanted
end

return M
