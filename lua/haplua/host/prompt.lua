-- SPDX-License-Identifier: MIT
--
--- The interactive prompt: each line is a chunk, and its values are printed. It runs as a script, so everything
-- that a script has is there, and tasks that a line spawns go on while the next one is typed.

local advice = require("haplua.host.advice")
local visible = require("haplua.error").visible
local readline = require("haplua.terminal").readline

--- Is the chunk's only fault that it is not finished?
local function unfinished(message)
  return message and message:find("<eof>$") ~= nil
end

--- Read lines until they are a whole chunk. An expression is taken as one to print.
---@return function|nil chunk, string? message  nothing at the end of the input
local function read_chunk(environment)
  local text = readline("> ")
  if not text then
    return nil
  end
  local chunk = load("return " .. text, "=prompt", "t", environment)
  local message
  while not chunk do
    chunk, message = load(text, "=prompt", "t", environment)
    if chunk or not unfinished(message) then
      break
    end
    local more = readline(">> ")
    if not more then
      break
    end
    text = text .. "\n" .. more
  end
  return chunk, message
end

--- As print() would write it, but that nothing in it steers the terminal.
local function shown(value)
  return (tostring(value):gsub("[^\n\t]+", visible))
end

local function show(ok, ...)
  if ok then
    local texts = table.pack(...)
    for i = 1, texts.n do
      texts[i] = shown(texts[i])
    end
    if texts.n > 0 then
      print(table.concat(texts, "\t"))
    end
    return
  end
  local problem = ...
  if require("haplua.error").is(problem) and problem.kind == "interrupted" then
    error(problem, 0)
  end
  io.stderr:write(shown(problem), "\n")
  local found, text = pcall(advice, problem)
  if found and text then
    io.stderr:write(text, "\n")
  end
end

local greeting = [[
haplua's prompt, on %s. Try: maint = require("haplua.maintenance")
maint.status{acl = "#9999"}, servers(), haproxy.info().Version. Ctrl-D ends it.]]

return function()
  local environment = setmetatable({}, { __index = _G })
  print(greeting:format(tostring(haproxy.target())))
  while true do
    local chunk, message = read_chunk(environment)
    if chunk then
      show(pcall(chunk))
    elseif message then
      io.stderr:write(message, "\n")
    else
      print()
      return
    end
  end
end
