-- SPDX-License-Identifier: MIT
--
--- The interactive prompt: it runs each line as a chunk and prints the values. The prompt itself runs as a script, so
-- a line has all that a script has, and tasks that a line spawns go on while the next line is typed.

local advice = require("haplua.host.advice")
local visible = require("haplua.error").visible
local readline = require("haplua.terminal").readline

--- True for the error of a chunk that lacks its end.
local function unfinished(message)
  return message and message:find("<eof>$") ~= nil
end

--- Read lines until they are a whole chunk. An expression becomes a chunk that returns its values.
---@return function? chunk, string? message  neither: the input has ended
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

--- A value as print() writes it, with control characters made visible.
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
