-- SPDX-License-Identifier: MIT
--
--- `maint on --wait`: stay while maintenance lasts, with a countdown on a terminal, and end it.

local context = require("haplua.apply.context")
local during = require("haplua.apply.during")
local haproxy = require("haproxy")
local moment = require("haplua.time.instant")
local task = require("haplua.task")

-- How often to look whether somebody else has ended it, and to draw the countdown; in seconds.
local LOOK = 1

--- Show what is left, where somebody sees it.
local function countdown(ends)
  if require("haplua.terminal").is_terminal(2) then
    io.stderr:write(("\r%s left, Ctrl-C ends it now \27[K"):format(moment.span(ends - task.time())))
  end
end

local function clear()
  if require("haplua.terminal").is_terminal(2) then
    io.stderr:write("\r\27[K")
  end
end

--- Put maintenance on, stay until its end, and restore what was there before.
---@param options haplua.MaintenanceOptions
return function(options)
  local c = context.open(options)
  during.run(setmetatable({ action = "on" }, { __index = options }), function(change)
    options.print(change)
    io.stdout:flush()
    while not haproxy.dry_run() and task.time() < options.ends do
      countdown(options.ends)
      task.sleep(math.min(LOOK, math.max(0, options.ends - task.time())))
      local wanted = c.journal and c.journal:wanted(c.name, c.switch.acl)
      if wanted and wanted.id ~= change.id then
        break
      end
    end
    clear()
  end, options.print)
end
