-- SPDX-License-Identifier: MIT
--
--- The live view of scripts/watch.lua: is there a terminal for it, and which HAProxys does it show?

local haproxy = require("haproxy")
local task = require("haplua.task")
local terminal = require("haplua.terminal")

-- The targets of the runs of one start: the first run shows all of them, and the others end.
local targets = {}

--- Does the terminal show UTF-8? As the C library finds it.
local function is_utf8()
  for _, name in ipairs({ "LC_ALL", "LC_CTYPE", "LANG" }) do
    local value = os.getenv(name)
    if value and value ~= "" then
      return value:lower():gsub("-", ""):find("utf8", 1, true) ~= nil
    end
  end
  return false
end

local function has_terminal()
  local kind = os.getenv("TERM")
  return terminal.is_terminal(0) and terminal.is_terminal(1) and kind ~= nil and kind ~= "" and kind ~= "dumb"
end

--- Show the view, where there is a terminal for it, until a key ends it.
---@param args table  `acl`, `every`, `ascii`, as scripts/watch.lua has them
---@return integer? status  nil: there is no terminal
return function(args)
  if not has_terminal() then
    return nil
  end
  targets[#targets + 1] = haproxy.target()
  if #targets > 1 then
    return 0
  end
  task.sleep(0) -- the other runs begin
  local all = targets
  targets = {}
  require("haplua.view.main").run(all, {
    every = math.max(args.every, 0.1), acl = args.acl, unicode = not args.ascii and is_utf8(),
    colour = (os.getenv("NO_COLOR") or "") == "",
  })
  return 0
end
