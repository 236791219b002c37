-- SPDX-License-Identifier: MIT
--
--- What a script has deferred, called at its end. haplua.host.globals makes the list.

local function warn(problem)
  io.stderr:write("haplua: a deferred function failed: ", tostring(problem), "\n")
end

--- Call the functions of a list, the latest first. They may wait, and may defer others. Raises what the first of them
-- raises that fails, once all are called; where the script has failed itself, its own error is the one that is reported.
---@param list {fn: function, n: integer}[]  with n arguments each; the entries are removed
---@param problem any  what the script has raised; nil: it has not failed
return function(list, problem)
  local own
  while #list > 0 do
    local one = table.remove(list)
    local ok, raised = pcall(one.fn, table.unpack(one, 1, one.n))
    if not ok and (own ~= nil or problem ~= nil) then
      warn(raised)
    elseif not ok then
      own = raised
    end
  end
  if own ~= nil then
    error(own, 0)
  end
end
