-- SPDX-License-Identifier: MIT
--
-- modules.lua - write the C source of the compiled-in Lua modules to standard output.
-- Usage: lua5.4 src/run/modules.lua NAME[=FILE]...
-- Without FILE, NAME is looked up like require() does; one that is not there is left out. Debug
-- information is left out, too: tracebacks show the script's lines alone, and it is a third of the
-- time that a module takes to load.

--- A C string literal, cut into lines that every compiler takes.
local function literal(bytes)
  local out = {}
  for i = 1, #bytes, 24 do
    local piece = bytes:sub(i, i + 23):gsub(".", function(c)
      return ("\\%03o"):format(c:byte())
    end)
    out[#out + 1] = '\t "' .. piece .. '"'
  end
  return table.concat(out, "\n")
end

print('/* Written by src/run/modules.lua. */\n#include "run/modules.h"\n\nconst struct module modules[] = {')
for _, word in ipairs(arg) do
  local name, file = word:match("^([^=]+)=?(.*)$")
  if file == "" then
    file = package.searchpath(name, package.path)
  end
  local f = file and assert(io.open(file, "rb"))
  if f then
    local chunk = assert(load(f:read("a"), "=" .. name))
    local code = string.dump(chunk, true)
    f:close()
    print(("\t{\"%s\",\n%s,\n\t %d},"):format(name, literal(code), #code))
  end
end
print("\t{NULL, NULL, 0},\n};")
