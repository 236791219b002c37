-- SPDX-License-Identifier: MIT
--
--- Read the commands and the files of a document in Markdown. Pure.
--
-- A block of code is indented by four blanks. In it a line "$ COMMAND" is a command, and the lines below it are what it
-- prints; "..." stands for any lines. A command goes on where its line ends with "\" or has "<<'END'". Comments right
-- above a block say how it is used, one mark in each:
--
--   <!-- docs: not run: REASON -->      its commands are not run, or they are no commands of this machine
--   <!-- docs: bare: REASON -->         its commands are run on a bare machine only (tests/documents/bare.sh)
--   <!-- docs: before: COMMAND -->      run this, unseen, before the first command; several are possible
--   <!-- docs: then: COMMAND -->        the command stays: run this once the first line is there, the next `then` once
--                                       the second one is there, and so on; at the end interrupt the command
--   <!-- docs: typed: REASON -->        the command is a prompt: type the lines that begin with "> "
--   <!-- docs: any order: REASON -->    several processes print: lines and ids (m12) may change places
--   <!-- docs: file: PATH -->           the block is a file: write it
--   <!-- docs: on: MACHINE -->          this block and those below it are for this machine (tests/documents/machines.lua)

local M = {}

---@class documents.Block
---@field line integer        its first line in the document
---@field lines string[]      without the four blanks
---@field marks {kind: string, text: string}[]

---@class documents.Command
---@field line integer
---@field text string
---@field expected string[]

--- The blocks of code of a document, in order.
---@param text string
---@return documents.Block[]
function M.blocks(text)
  local blocks, marks, block, number, blanks, in_list = {}, {}, nil, 0, 0, false
  for line in (text:gsub("\n?$", "\n")):gmatch("(.-)\n") do
    number = number + 1
    local code = line:match("^    (.*)")
    local kind, words = line:match("^<!%-%- docs: ([%l ]-): (.-) %-%->$")
    if code and not in_list then
      if not block then
        block = { line = number, lines = {}, marks = marks }
        blocks[#blocks + 1] = block
        marks, blanks = {}, 0
      end
      for _ = 1, blanks do
        block.lines[#block.lines + 1] = ""
      end
      block.lines[#block.lines + 1] = code
      blanks = 0
    elseif line == "" then
      blanks = blanks + 1
    else
      block, blanks = nil, 0
      if kind then
        marks[#marks + 1] = { kind = kind, text = words }
      elseif #marks > 0 then
        error(("line %d: a mark stands right above a block of code"):format(number), 0)
      end
    end
    in_list = not block and line ~= "" and (line:find("^%- ") or line:find("^%d+%. ") or in_list and line:find("^  "))
  end
  return blocks
end

--- The text of a block's first mark of a kind; nil if it has none.
---@param block documents.Block
---@param kind string
---@return string?
function M.mark(block, kind)
  for _, mark in ipairs(block.marks) do
    if mark.kind == kind then
      return mark.text
    end
  end
end

local kinds = {
  on = true, ["not run"] = true, bare = true, before = true, ["then"] = true, ["any order"] = true, file = true,
  typed = true,
}

--- The commands of a block. Raises a text for an unknown mark.
---@param block documents.Block
---@return documents.Command[]
function M.commands(block)
  for _, mark in ipairs(block.marks) do
    if not kinds[mark.kind] then
      error(("line %d: '%s' is no mark"):format(block.line, mark.kind), 0)
    end
  end
  local commands, command, ends = {}, nil, nil
  for i, line in ipairs(block.lines) do
    local text = line:match("^%$ (.*)")
    if ends then
      command.text = command.text .. "\n" .. line
      ends = line ~= ends and (ends ~= "\\" or line:find("\\$")) and ends or nil
    elseif text then
      command = { line = block.line + i - 1, text = text, expected = {} }
      commands[#commands + 1] = command
      ends = text:match("<<'(%w+)'") or text:match("\\$")
    elseif command then
      command.expected[#command.expected + 1] = line
    end
  end
  return commands
end

--- Of what a document shows of a prompt: what is typed (os.exit() is the last line), and what is printed, as M.answers()
-- gives it.
---@param expected string[]
---@return string typed
---@return string[] printed
function M.typed(expected)
  local typed, printed = {}, {}
  for _, line in ipairs(expected) do
    local text = line:match("^> (.*)")
    table.insert(text and typed or printed, text or line)
  end
  return table.concat(typed, "\n") .. "\nos.exit()\n", printed
end

--- What a prompt has printed, without the prompt.
---@param printed string[]
---@return string[]
function M.answers(printed)
  local lines = {}
  for i, line in ipairs(printed) do
    lines[i] = line:gsub("^> ", "")
  end
  while lines[#lines] == ">" or lines[#lines] == "" do
    table.remove(lines)
  end
  return lines
end

-- What differs from one run to the next.
local volatile = {
  { "%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d [+-]%d%d%d%d", "TIME" },
  { "%d%d%d%d%-%d%d%-%d%d %d%d:%d%d", "MINUTE" },
  { "^%d%d:%d%d:%d%d", "CLOCK" },
  { "%d+%.%d+ s%f[%W]", "SECONDS" },
  { "#0x%x+", "POINTER" },
  { "process %d+", "PROCESS" },
  { "replaced by %d+", "REPLACED" },
  { "HAProxy %d+%.%d+%.%d+[%w.+~-]*, /[%w/._-]+", "HAPROXY" },
  { "took = [%d.]+%a+", "took = TIME" },
  { "etcd %d[%d.]+, %a+, revision %d+", "etcd VERSION" },
  { "https://10%.0%.0%.%d:2379: etcd:", "ENDPOINT: etcd:" },
  { "%x%x%x%x%x%x%x%x%x%x%x%x+", "HEX" },
  { "(%S)   +", "%1  " }, -- the width of a column
}

local function steady(line)
  for _, rule in ipairs(volatile) do
    line = line:gsub(rule[1], rule[2])
  end
  return (line:gsub("%s+$", ""))
end

--- The lines in alphabetical order, without ids.
local function in_order(lines)
  local ordered = {}
  for i, line in ipairs(lines) do
    ordered[i] = line:gsub("%f[%w]m%d+%f[%W]", "ID")
  end
  table.sort(ordered)
  return ordered
end

--- Is this what the document says? Times, numbers of processes, seconds, HAProxy's version and the width of
-- columns count as equal.
---@param expected string[]
---@param printed string[]
---@param any_order boolean?  lines and ids may change places
---@return boolean
function M.agrees(expected, printed, any_order)
  if any_order then
    expected, printed = in_order(expected), in_order(printed)
  end
  local function from(i, k)
    if i > #expected then
      return k > #printed
    elseif expected[i] == "..." then
      return from(i + 1, k) or k <= #printed and from(i, k + 1)
    end
    return k <= #printed and steady(expected[i]) == steady(printed[k]) and from(i + 1, k + 1)
  end
  return from(1, 1)
end

return M
