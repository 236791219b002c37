-- SPDX-License-Identifier: MIT
--
--- `maint on --wait`: stay until the end of the maintenance, with a countdown on a terminal, and end it.

local context = require("haplua.apply.context")
local during = require("haplua.apply.during")
local haproxy = require("haproxy")
local is_terminal = require("haplua.terminal").is_terminal
local moment = require("haplua.time.instant")
local task = require("haplua.task")

-- Seconds between two looks at the journal, and two steps of the countdown.
local INTERVAL = 1

local function countdown(ends)
  if is_terminal(2) then
    io.stderr:write(("\r%s left, Ctrl-C ends it now \27[K"):format(moment.span(ends - task.time())))
  end
end

local function clear()
  if is_terminal(2) then
    io.stderr:write("\r\27[K")
  end
end

--- Put maintenance on, stay until its end or until somebody else changes the switch, and restore what was there before.
---@param request haplua.Request  with `ends`
---@param print function
return function(request, print)
  local c = context.open(request)
  during.run(request, { action = "on" }, function(result)
    print(result)
    io.stdout:flush()
    while not haproxy.dry_run() and task.time() < request.ends do
      countdown(request.ends)
      task.sleep(math.min(INTERVAL, math.max(0, request.ends - task.time())))
      local wanted = c.journal and c.journal:wanted(c.name, c.switch.acl)
      if wanted and wanted.id ~= result.id then
        break
      end
    end
    clear()
  end, print)
end
