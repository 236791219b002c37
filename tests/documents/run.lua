-- SPDX-License-Identifier: MIT
--
-- run.lua - run the commands of a document, and compare what they print with what the document says.
-- Usage: sh tests/documents/part.sh haplua tests/documents/run.lua [--bare=FOLDER] [--write] [--list] [--place=NAME] DOCUMENT
-- --write puts what a command prints into the document, where the two differ (not what a prompt prints): look at it before
-- you commit it.
-- --list prints the commands for a bare machine, and runs nothing; --bare names the folder that holds what they printed,
-- in files 1, 2, and so on (tests/documents/bare.sh). --place is the module that gives the machine: place, unless given, or
-- machines. tests/documents/reader.lua has the marks of a document.
-- Status: 0 if all is as the document says.

package.path = arg[0]:match("^(.*)/") .. "/?.lua;" .. package.path

local reader = require("reader")

local COMMAND_SECONDS <const> = tonumber(os.getenv("COMMAND_SECONDS")) or 120
local MOST_LEFT_OUT <const> = 6

local options, document = {}, nil
for _, word in ipairs(arg) do
  local option, value = word:match("^%-%-(%l+)=?(.*)$")
  if option then
    options[option] = value
  else
    document = word
  end
end

local place = require(options.place or "place")
local failures, count, bare, left_out, differing = 0, 0, 0, {}, {}

--- Run one command, and type into it. Returns the lines that it printed; of one that stays, those before it was interrupted.
local function play(text, steps, typed)
  local lines, done, there = {}, 0, nil
  local ok, err = pcall(task.deadline, COMMAND_SECONDS, function()
    local shell <close> = task.spawn(place.shell, text, function(line)
      lines[#lines + 1] = line
    end, typed)
    for i, step in ipairs(steps) do
      while #lines < i and not shell:done() do
        task.sleep(0.02)
      end
      place.unseen(step)
      done = i
    end
    if done > 0 then
      while #lines <= done and not shell:done() do
        task.sleep(0.02)
      end
      there = #lines
      place.interrupt()
    end
    shell:wait()
  end)
  if not ok then
    print(("not ok: $ %s: %s"):format(text, err))
    failures = failures + 1
    place.interrupt()
  end
  return { table.unpack(lines, 1, there) }
end

local function fail(command, printed)
  failures = failures + 1
  print(("not ok: %s:%d: $ %s\n  the document says:\n    %s\n  printed:\n    %s"):format(document, command.line, command.text,
    table.concat(command.expected, "\n    "), table.concat(printed, "\n    ")))
end

--- What the next command for a bare machine has printed there.
local function recorded()
  bare = bare + 1
  local lines = {}
  for line in place.read(("%s/%d"):format(options.bare, bare)):gmatch("[^\n]*") do
    lines[#lines + 1] = line
  end
  return lines
end

local function run_block(block)
  local steps = {}
  for _, mark in ipairs(block.marks) do
    if mark.kind == "before" then
      play(mark.text, {})
    elseif mark.kind == "then" then
      steps[#steps + 1] = mark.text
    end
  end
  for _, command in ipairs(reader.commands(block)) do
    local typed
    if reader.mark(block, "typed") then
      typed, command.expected = reader.typed(command.expected)
    end
    local printed = reader.mark(block, "bare") and recorded() or play(command.text, steps, typed)
    printed = typed and reader.answers(printed) or printed
    while command.expected[#command.expected] == "" do
      table.remove(command.expected)
    end
    while printed[#printed] == "" do
      table.remove(printed)
    end
    count = count + 1
    if not reader.agrees(command.expected, printed, reader.mark(block, "any order") ~= nil) then
      fail(command, printed)
      if not typed then
        differing[#differing + 1] = { command = command, printed = printed }
      end
    end
  end
end

--- Put what was printed into the document.
local function rewrite()
  local lines = {}
  for line in place.read(document):gmatch("([^\n]*)\n") do
    lines[#lines + 1] = line
  end
  for i = #differing, 1, -1 do
    local command, printed = differing[i].command, differing[i].printed
    local _, more = command.text:gsub("\n", "")
    local at, out = command.line + more + 1, {}
    for k, line in ipairs(printed) do
      out[k] = line == "" and "" or "    " .. line
    end
    for _ = 1, #command.expected do
      table.remove(lines, at)
    end
    table.move(lines, at, #lines, at + #out)
    table.move(out, 1, #out, at, lines)
  end
  place.write(document, table.concat(lines, "\n") .. "\n")
end

local function run_document(blocks)
  for _, block in ipairs(blocks) do
    if reader.mark(block, "on") then
      place.go(reader.mark(block, "on"))
    end
    local file = reader.mark(block, "file")
    local why = reader.mark(block, "not run") or not options.bare and reader.mark(block, "bare")
    if file then
      place.put(file, table.concat(block.lines, "\n") .. "\n")
    elseif why then
      for _, command in ipairs(reader.commands(block)) do
        left_out[#left_out + 1] = ("%s:%d: $ %s (%s)"):format(document, command.line, command.text, why)
      end
    else
      run_block(block)
    end
  end
  if options.write and #differing > 0 then
    rewrite()
  end
end

local blocks = reader.blocks(place.read(document))
if options.list then
  for _, block in ipairs(blocks) do
    for _, command in ipairs(reader.mark(block, "bare") and reader.commands(block) or {}) do
      print(command.text)
    end
  end
  return
end
place.start(reader.blocks(place.read("README.md")))
run_document(blocks)
print(("%d commands run, %d not as the document says, %d left out"):format(count, failures, #left_out))
for _, line in ipairs(left_out) do
  print("  left out: " .. line)
end
os.exit(failures == 0 and count > 0 and #left_out <= MOST_LEFT_OUT)
