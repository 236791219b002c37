-- SPDX-License-Identifier: MIT
--
--- What may happen to a request at a frontend: outcomes, and how they differ.

local M = {}

---@class haplua.rules.Outcome  what happens to a request
---@field kind "answer"|"dropped"|"backend"|"computed"|"nowhere"|"unread"
---@field status integer?  of an answer by HAProxy itself
---@field backend string?  whose servers get the request
---@field line haplua.rules.Line?  the rule that decides
---@field text string  for people

--- Does an outcome keep the application from the visitor? nil: not known.
function M.is_closing(outcome)
  if outcome.kind == "dropped" then
    return true
  elseif outcome.kind == "answer" then
    local status = outcome.status
    if status >= 300 and status < 400 then
      return nil
    end
    return status >= 400
  elseif outcome.kind == "backend" then
    return false
  end
end

function M.is_same(a, b)
  return a.kind == b.kind and a.status == b.status and a.backend == b.backend and a.line == b.line
    and (a.decided_by or a.line) == (b.decided_by or b.line)
end

--- The outcomes before the one that a request usually has.
function M.before(outcomes, usual)
  local found = {}
  for _, outcome in ipairs(outcomes) do
    if M.is_same(outcome, usual) then
      break
    end
    found[#found + 1] = outcome
  end
  return found
end

--- Rules that may send a request elsewhere before the rule that usually decides.
function M.exceptions_of(outcomes)
  local found = {}
  for _, outcome in ipairs(outcomes) do
    local closes = M.is_closing(outcome)
    if closes == false or closes == nil and outcome.kind ~= "answer" then
      local rule = outcome.decided_by or outcome.line
      found[#found + 1] = rule and ("%s:%d: %s"):format(rule.file, rule.line, table.concat(rule.words, " ")) or outcome.text
    end
  end
  return found
end

--- An outcome that a rule may bring about whose condition was not read, and that is not the usual one.
function M.unread_of(outcomes, usual, closing)
  for _, outcome in ipairs(outcomes) do
    if outcome.possible and not M.is_same(outcome, usual) and M.is_closing(outcome) ~= closing then
      return outcome
    end
  end
end

--- The servers of a backend close, where a rule that the list makes true has sent the request to them.
function M.is_sent_away(on)
  return on.kind == "backend" and on.decided_by ~= nil and on.decided_by.words[1] == "use_backend"
end

--- An outcome that may close where the list matches, and not where it does not match.
---@param on haplua.rules.Outcome[]
---@param off haplua.rules.Outcome[]
---@return haplua.rules.Outcome?
function M.may_close(on, off)
  for _, outcome in ipairs(on) do
    local is_both = false
    for _, other in ipairs(off) do
      is_both = is_both or M.is_same(outcome, other)
    end
    if outcome.possible and not is_both and M.is_closing(outcome) then
      return outcome
    end
  end
end

return M
