-- SPDX-License-Identifier: MIT
--
--- The resident policies as conversations (conversations.lua, resident.lua). Further fields:
--   row       fields of the journal's row that differ from the usual ones (books.lua)
--   holds     what HAProxy holds while the policy runs; says: what it prints then, or one of several texts
--   stays     seconds for which `holds` must last
--   jump      seconds by which the wall clock is set after that
--   afterwards   what HAProxy holds then; says_afterwards: what the policy prints
--   stop      false: it ends by itself; else it gets SIGTERM
--   no_reload true: a reload loses a change that was made by hand, or that nothing restores
--   behind    seconds by which the clock is set back, where the policy would wait for the usual 30

local moment = require("haplua.time.instant")

local A, ALL = "^/a\n^/b\n", "^.*$\n"
local HOUR = 3600

local function lists(text)
  return { acl = text, journal = text }
end

local function keep()
  return { "scripts/keep.lua" }
end

--- A window from `from` to `to`, in seconds from now.
local function window(from, to, ...)
  local more = { ... }
  return function()
    local opens = os.time() + from
    return { "scripts/window.lua", "run", ("%s for %ds"):format(moment.iso(opens), to - from), table.unpack(more) }
  end
end

local list = {
  {
    name = "keep, after a reload",
    before = { journal = A },
    row = { worker = 1 },
    holds = lists(A),
    says = "#9999 is on for",
    slow = false, -- it is short: `make check` runs it for all of them
    sparse = 6,
  },
  {
    name = "keep, something broken off",
    before = { journal = A },
    row = { outcome = false },
    holds = lists(A),
    says = "was broken off; #9999 is on",
  },
  {
    name = "keep, its end",
    before = lists(A),
    row = { ends = -60 },
    holds = lists(""),
    says = { "ended as planned", "'expire' by process" },
  },
  {
    name = "keep, by hand",
    before = { acl = "^/hand\n", journal = A },
    holds = lists("^/hand\n"),
    says = { "it is kept so: it matches ^/hand", "'by hand' by process" },
    no_reload = true,
  },
  {
    name = "keep, at rest",
    before = lists(A),
    holds = lists(A),
    says = "kept to",
    stays = 1.5,
    sparse = 2,
  },
  {
    name = "keep, a switch",
    before = {
      journal = A, bypass = "127.0.0.7\n", bypass_file = "127.0.0.7\n", info_file = "since\nreason stale\n",
      main_file = "^/stale\n",
    },
    row = { worker = 1 },
    holds = {
      journal = A, bypass = "127.0.0.7\n", bypass_file = "127.0.0.7\n", main = A, main_file = A,
      info = "since\nreason old\nreason_html old\n", info_file = "since\nreason old\nreason_html old\n",
    },
    says = "is on for",
    switch = true,
    sparse = 3,
  },
  {
    name = "keep, the clock set ahead",
    before = lists(A),
    row = { ends = HOUR },
    holds = lists(A),
    says = "kept to",
    jump = 2 * HOUR,
    afterwards = lists(""),
    says_afterwards = { "ended as planned", "'expire' by process" },
    sparse = 2,
  },
  {
    name = "keep, the clock set back",
    before = lists(A),
    row = { ends = HOUR },
    holds = lists(A),
    says = "kept to",
    jump = -2 * HOUR,
    afterwards = lists(A),
    says_afterwards = "kept to",
    sparse = 2,
  },
  {
    name = "window, no journal",
    words = window(-HOUR, HOUR, "--no-journal"),
    holds = { acl = ALL },
    says = "is open until",
    wanted = {},
    between = { acl = ALL },
    journal = false,
    no_reload = true,
  },
  {
    name = "window",
    words = window(-HOUR, HOUR),
    holds = lists(ALL),
    says = "is open until",
    wanted = {},
    between = lists(ALL),
  },
  {
    name = "window, its end",
    words = window(-HOUR, 2),
    holds = {},
    says = { "is closed", "no window opens any more" },
    wanted = {},
    stop = false,
    behind = -1,
    sparse = 2,
  },
  {
    name = "window, the clock set ahead",
    words = window(-HOUR, HOUR),
    holds = lists(ALL),
    says = "is open until",
    jump = 2 * HOUR,
    afterwards = {},
    says_afterwards = "is closed",
    wanted = {},
    stop = false,
    sparse = 2,
  },
  {
    name = "window, the clock set back",
    words = window(-HOUR, HOUR),
    holds = lists(ALL),
    says = "is open until",
    jump = -2 * HOUR,
    afterwards = { journal = ALL }, -- its beginning is to come
    says_afterwards = "; #9999 is off",
    wanted = {},
    sparse = 2,
  },
}

for _, conversation in ipairs(list) do
  conversation.resident, conversation.slow = true, conversation.slow ~= false
  conversation.words = conversation.words or keep
  conversation.journal = conversation.journal ~= false
  conversation.wanted = conversation.wanted or conversation.afterwards or conversation.holds
  local allowed = conversation.between
  for part, text in pairs(allowed or {}) do
    allowed[part] = function(found)
      return found == text
    end
  end
end

return list
