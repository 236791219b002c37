-- SPDX-License-Identifier: MIT
--
--- The interactive prompt: it runs each line as a chunk, for each target, and prints the values. The prompt itself runs as
-- a script, so a line has all that a script has, and tasks that a line spawns go on while the next line is typed.
-- SIGINT interrupts what the line does, and not the prompt.

local core = require("haplua.core")
local advice = require("haplua.host.advice")
local completion = require("haplua.host.completion")
local is_error = require("haplua.error").is
local show = require("haplua.host.show")
local terminal = require("haplua.terminal")

local NO_LIBEDIT = [[
libedit is not installed: there is no editing of lines, no history and no completion. Its package is libedit2 on Debian,
libedit on Fedora, Alpine and Arch.]]

---@class haplua.PromptTarget
---@field target haplua.Target
---@field globals table  of the lines that run for it

--- The targets of the prompt. The globals of a line are kept from line to line, for each target its own.
---@param addresses string[]
---@return haplua.PromptTarget[]
local function targets_of(addresses)
  local list = {}
  local _, route = core.current():address()
  for i, address in ipairs(addresses) do
    local globals = { help = require("haplua.host.explain") }
    globals._G = globals
    if #addresses > 1 then
      require("haplua.host.prefix")(globals, address)
    end
    list[i] = {
      target = i == 1 and core.current() or core.open(address, route), globals = setmetatable(globals, { __index = _G }),
    }
  end
  return list
end

--- True for the error of a chunk that lacks its end.
local function unfinished(message)
  return message and message:find("<eof>$") ~= nil
end

--- What stands before a line: how the run is confined.
local function mark()
  local marks = { core.dry_run() and "-n" or nil }
  if core.restricted() then
    marks[#marks + 1] = pcall(core.permit, core.current()) and "--only" or "--read-only"
  end
  return table.concat(marks, " ") .. "> "
end

--- Read lines until they are a whole chunk. An expression becomes a chunk that returns its values.
---@param read fun(prompt: string): string?
---@return string? text, string? message  neither: the input has ended
local function read_chunk(read)
  local text = read(mark())
  if not text then
    return nil
  end
  local expression = "return " .. text:gsub("^%s*=", "")
  if load(expression, "=prompt", "t") then
    return expression
  end
  while true do
    local chunk, message = load(text, "=prompt", "t")
    if chunk then
      return text
    end
    local more = unfinished(message) and read(">> ")
    if not more then
      return nil, message
    end
    text = text .. "\n" .. more
  end
end

--- Print an error, what the error object says besides, and what to do.
local function report(problem)
  io.stderr:write(is_error(problem) and show.error(problem) or show.value(problem), "\n")
  local found, text = pcall(advice, problem)
  if found and text then
    io.stderr:write(text, "\n")
  end
end

--- Print what a chunk has returned, or its error. Raises what ends the prompt.
---@return boolean go_on  false: it was interrupted
local function finish(one, ok, ...)
  if not ok then
    local problem = ...
    if is_error(problem) and problem.kind == "interrupted" then
      if not terminal.forgive() then
        error(problem, 0)
      end
      io.stderr:write("interrupted\n")
      return false
    end
    report(problem)
    return true
  end
  local texts = table.pack(...)
  for i = 1, texts.n do
    texts[i] = show.value(texts[i], terminal.width())
  end
  if texts.n > 0 then
    local print = one.globals.print
    print(table.concat(texts, "\t"))
  end
  return true
end

--- Run a chunk for each target, one after the other.
---@param list haplua.PromptTarget[]
---@param text string
local function run_chunk(list, text)
  for _, one in ipairs(list) do
    core.use(one.target)
    if not finish(one, pcall(load(text, "=prompt", "t", one.globals))) then
      break
    end
  end
  core.use(list[1].target)
end

local function greet(addresses)
  print(("haplua's prompt, on %s. help explains, %sCtrl-D ends it."):format(table.concat(addresses, ", "),
    terminal.can_edit() and "TAB completes, " or ""))
  if not terminal.can_edit() then
    print(NO_LIBEDIT)
  end
end

---@param ... string  the addresses of the targets
return function(...)
  local list <const>, session <close> = targets_of({ ... }), terminal.session() -- luacheck: ignore session
  local remember = require("haplua.host.history").open()
  local function read(text)
    local line = terminal.readline(text, function(line, point)
      local ok, insert, below = pcall(completion, list[1].globals, line, point, terminal.width())
      return ok and insert or "", ok and below or nil
    end)
    if line then
      remember(line)
    end
    return line
  end
  greet({ ... })
  while true do
    local ok, text, message = pcall(read_chunk, read)
    if not ok then
      if not terminal.forgive() then
        error(text, 0)
      end
      print()
    elseif text then
      run_chunk(list, text)
    elseif message then
      io.stderr:write(message, "\n")
    else
      print()
      return
    end
  end
end
