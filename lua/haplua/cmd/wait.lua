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

--- Show a text in the last line of a terminal, in place of the text before.
local function show(text)
  if is_terminal(2) then
    io.stderr:write("\r", text, "\27[K")
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
      show(("%s left, Ctrl-C ends it now "):format(moment.span(request.ends - task.time())))
      task.sleep(math.min(INTERVAL, math.max(0, request.ends - task.time())))
      local wanted = c.journal and c.journal:wanted(c.name, c.switch.acl)
      if wanted and wanted.id ~= result.id then
        break
      end
    end
    show("")
  end, print)
end
