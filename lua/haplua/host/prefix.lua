-- SPDX-License-Identifier: MIT
--
--- With several targets, each run's lines say whose they are.

--- Give a script's globals a print() and an io whose lines begin with `name`.
---@param globals table  the script's own
---@param name string  the target
return function(globals, name)
  local mark, at_start = name .. ": ", true

  --- Write text so that each line begins with the mark, also one written in pieces.
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
