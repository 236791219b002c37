-- SPDX-License-Identifier: MIT
--
--- What a command of the shell prints: dofile("tests/output_of.lua")(command), in the top folder.

---@param command string
---@return string
return function(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read("a")
end
