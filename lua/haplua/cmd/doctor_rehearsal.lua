-- SPDX-License-Identifier: MIT
--
--- `maint doctor --rehearse`: a rehearsal of a maintenance of the whole site, and where the reader of the rules says
-- something else.

local errors = require("haplua.error")
local report = require("haplua.rehearse.report")

-- What the reader says where the rehearsal says something.
local SAME <const> = {
  closed = { closed = true, unknown = true }, open = { open = true, unknown = true }, apart = { open = true, unknown = true },
  redirected = { open = true, unknown = true, closed = true }, unknown = { closed = true, open = true, unknown = true },
}

--- Add what the rehearsal says of one frontend.
---@param e haplua.Examination
---@param frontend haplua.rehearse.Frontend
---@param verdict haplua.rules.Verdict?  the reader's
local function add(e, frontend, verdict)
  local text = report.frontend(frontend)
  if verdict and verdict.state == "unknown" and frontend.state ~= "unknown" then
    text = text .. "\nwhich the rules alone do not tell: " .. verdict.why
  elseif verdict and not (SAME[frontend.state] or {})[verdict.state] then
    return e:warn(("%s\nbut by the rules it is %s: %s"):format(text, verdict.state, verdict.why),
      "this is a contradiction: visitors get what the rehearsal says")
  end
  if frontend.as_wanted == false then
    e:fail(text)
  elseif frontend.as_wanted == nil then
    e:warn(text)
  elseif frontend.state == "closed" then
    e:ok(text)
  else
    e:note(text)
  end
end

--- Rehearse, and add the findings.
---@param e haplua.Examination
---@param verdicts haplua.rules.Verdict[]?  the reader's; nil: it could not read the configuration
return function(e, verdicts)
  local place = {}
  for _, name in ipairs({ "switch", "acl", "config", "journal" }) do
    place[name] = e.request[name]
  end
  local ok, found = pcall(require("haplua.rehearse.rehearsal").run, place, { files = {} })
  if not ok then
    if errors.is(found) and found.phase == "rehearsal" then
      return e:warn("it could not be held: " .. found.message, found.advice)
    end
    error(found, 0)
  end
  local by_name = {}
  for _, verdict in ipairs(verdicts or {}) do
    by_name[verdict.frontend] = verdict
  end
  for _, frontend in ipairs(found.frontends) do
    add(e, frontend, by_name[frontend.name])
  end
  for _, note in ipairs(found.notes) do
    e:note(note)
  end
end
