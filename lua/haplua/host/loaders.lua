-- SPDX-License-Identifier: MIT
--
--- load(), loadfile() and dofile() as Lua has them, but that a chunk's globals are the script's, unless others were
--- given.

local load, loadfile = load, loadfile

--- Put the three into the globals of a script.
---@param globals table
return function(globals)
  function globals.load(chunk, name, mode, ...)
    if select("#", ...) == 0 then
      return load(chunk, name, mode, globals)
    end
    return load(chunk, name, mode, ...)
  end

  function globals.loadfile(path, mode, ...)
    if select("#", ...) == 0 then
      return loadfile(path, mode, globals)
    end
    return loadfile(path, mode, ...)
  end

  function globals.dofile(path)
    local chunk, problem = loadfile(path, nil, globals)
    if not chunk then
      error(problem, 0)
    end
    return chunk()
  end
end
