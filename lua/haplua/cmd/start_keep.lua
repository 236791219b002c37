-- SPDX-License-Identifier: MIT
--
--- Have somebody who begins and ends maintenances at their time: the service haplua-keep, started through systemd.

local context = require("haplua.apply.context")
local errors = require("haplua.error")
local task = require("haplua.task")
local terminal = require("haplua.terminal")

-- The folder that exists where systemd is the service manager (sd_booted(3)).
local SYSTEMD = "/run/systemd/system"

-- Seconds for which the service may take to hold the target.
local WITHIN = 10

local ADVICE = "`haplua help keep` says how to install the service\n"
  .. "or run `haplua keep` in another terminal, or give --wait to stay and end it"

--- The unit's file, where systemctl knows one.
local function is_installed()
  if not require("haplua.file").info(SYSTEMD) then
    return false
  end
  return require("run")({ "systemctl", "cat", "--quiet", "haplua-keep.service", stdout = "/dev/null" }) == 0
end

local function ask(c)
  if not (terminal.is_terminal(0) and terminal.is_terminal(2)) then
    return false
  end
  io.stderr:write(("no resident policy keeps %s. Start the service haplua-keep? [y/N] "):format(c.name))
  return (io.read() or ""):lower():find("^y") ~= nil
end

--- Start the service if nobody keeps the target, and it is asked for: by an option, or by an answer on a terminal.
---@param request haplua.Request  its place
---@param wanted boolean?  --start-keep was given
---@return nil  raises `refused` where it was asked for and cannot be started
return function(request, wanted)
  local c = context.open(request)
  if not c.journal or c.store:kept(c.name) then
    return
  end
  local installed = is_installed()
  if not wanted and not (installed and ask(c)) then
    return
  elseif not installed then
    errors.refuse("there is no service haplua-keep to start", ADVICE)
  elseif require("run")({ "systemctl", "start", "haplua-keep.service" }) ~= 0 then
    errors.refuse("systemctl could not start haplua-keep", "journalctl -u haplua-keep shows why")
  end
  local latest = task.now() + WITHIN
  while not c.store:kept(c.name) do
    if task.now() > latest then
      errors.refuse(("haplua-keep runs, and does not keep %s with the journal %s"):format(c.name, c.store.path),
        "systemctl edit haplua-keep: Environment=HAPLUA_SOCKET=...")
    end
    task.sleep(0.05)
  end
end
