-- SPDX-License-Identifier: MIT
--
--- The folders in which haplua looks for a policy by its name.

local file = require("haplua.file")

local M = {}

--- The folders in which a name is looked for, in this order. `own`: a folder of the user or the machine. It counts only
-- if nobody but root and this user may write to it: whoever may write to the folder that one happens to be in must not
-- choose what a name means. The others are those of this program: in its source tree, or where `make install` has put
-- them.
---@return {path: string, own: boolean}[]
function M.all()
  local program = (file.link("/proc/self/exe") or ""):match("^.*/") or ""
  local home, settings = os.getenv("HOME") or "", os.getenv("XDG_CONFIG_HOME") or ""
  if settings:sub(1, 1) ~= "/" then
    settings = home .. "/.config"
  end
  return {
    { path = "./policies", own = true },
    { path = settings .. "/haplua/policies", own = true },
    { path = "/etc/haplua/policies", own = true },
    { path = program .. "scripts", own = false },
    { path = program .. "../share/haplua/scripts", own = false },
  }
end

--- Does a policy in a folder that is `own` count: may only root and this user write to it, and to the folder?
---@param path string
---@return boolean
function M.counts(path)
  return file.is_ours(path) and file.is_ours(path:match("^(.*)/"))
end

return M
