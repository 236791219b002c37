-- SPDX-License-Identifier: MIT
--
--- The output of a script that runs on several targets: each line begins with the name of its target.

--- Give the globals of a run a print() and an io.write() that mark their lines.
---@param globals table  the run's own
---@param name string  the target
return function(globals, name)
  local mark, at_start = name .. ": ", true

  --- Write a text, which may end within a line. Each line begins with the mark.
  local function write(text)
    for line, ending in text:gmatch("([^\n]*)(\n?)") do
      if line ~= "" or ending ~= "" then
        io.stdout:write(at_start and mark or "", line, ending)
        at_start = ending ~= ""
      end
    end
  end

  function globals.print(...)
    local words = table.pack(...)
    for i = 1, words.n do
      words[i] = tostring(words[i])
    end
    write(table.concat(words, "\t") .. "\n")
  end

  globals.io = setmetatable({
    write = function(...)
      write(table.concat({ ... }))
      return io.stdout
    end,
  }, { __index = io })
end
