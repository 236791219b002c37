-- SPDX-License-Identifier: MIT
--
--- `maint on --wait`: stay until the end of the maintenance, with a countdown on a terminal, and end it.

local during = require("haplua.apply.during")
local haproxy = require("haproxy")
local moment = require("haplua.time.instant")
local task = require("haplua.task")

-- Seconds between two looks at the journal, and two steps of the countdown.
local INTERVAL = 1

--- Begin a maintenance, stay until its end or until somebody ends it, and end it. `maint change` may move the end.
---@param request haplua.Request  with `ends`
---@param print function
---@return integer? status  of what visitors got at its beginning
return function(request, print)
  local status
  during.run(request, "wait", function(result, c)
    print(result)
    status = require("haplua.apply.result").status(result, request.cut)
    io.stdout:flush()
    local progress <close> = require("haplua.base.progress").begin()
    local m = result.about
    while not haproxy.dry_run() and m and not m.ended and task.time() < (m.ends or math.huge) do
      local left = m.ends and m.ends - task.time()
      progress(("%s%s; Ctrl-C ends it now "):format(m.id and m.id > 0 and ("m%d: "):format(m.id) or "",
        left and ("ends in %s"):format(moment.span(left)) or "no end"))
      task.sleep(math.min(INTERVAL, math.max(0, left or INTERVAL)))
      m = c.store:maintenance(c.name, m.id)
    end
  end, print)
  return status
end
