-- SPDX-License-Identifier: MIT
--
-- real_words.lua - any list of words, encoded by haplua, is split back into the same words by a real
-- HAProxy; and any raw text that haplua lets through is split as the model below says.
-- Usage: haplua tests/fuzz/real_words.lua [SECONDS [SEED]]   ($HAPROXY: the program)
-- Starts a HAProxy of its own on a private socket. Words go out as patterns of an ACL and as keys and
-- values of a map, hundreds on a connection, and are read back by `show`. The first difference ends it,
-- with the seed; status 1.

local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/../lua/?.lua;" .. package.path
local support = require("support")
local visible = require("haplua.error").visible

local PER_ROUND = 500

local config = [[
global
    stats socket %s/socket level admin
    stats timeout 30s
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend f
    bind unix@%s/visitors
    acl words path -u 1 -m str
    http-request deny if words
    http-request set-var(txn.x) path,map_str(%s)
]]

--- Wait until the HAProxy answers.
local function wait_for(target, process)
  while not pcall(target.info, target) do
    assert(not process:done(), "HAProxy has ended")
    task.sleep(0.01)
  end
end

-- Words. Mostly of bytes that some version of HAProxy takes, or took, for more than themselves.

local pieces = {
  " ", "\t", "\\", ";", "<", ">", "<<", "<<%EOF", '"', "'", "\r", "#", "%", "$", "@", "@1", "@!1", "{", "}", "=", "*",
  "\\n", "\\\\", "\\;", "\\ ", "#0x10", "-", "-m", "--", "quit", "prompt", "show info", ";show info", "[3]: ", "0x1 ",
  "> ", "a", "bc", "/path", "\u{fc}", "\x01", "\x7f", "\x80", "\xff", "!", "|", "&", ",", ":", "?", "(", "[", "~", "^",
}

local function any_byte()
  local byte
  repeat
    byte = math.random(1, 255)
  until byte ~= 10
  return string.char(byte)
end

--- A word: at least a byte, no NUL, no LF.
local function word()
  local parts = {}
  local n = math.random(1000) == 1 and math.random(1, 3000) or math.random(1, math.random(1, 12))
  for i = 1, n do
    parts[i] = math.random(4) == 1 and any_byte() or pieces[math.random(#pieces)]
  end
  return table.concat(parts)
end

--- How HAProxy reads a command: the words without their escapes. A CR at its very end is dropped; haplua
-- writes a space behind it, so that it stays.
local function split(text)
  local words, current, i = {}, nil, 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == " " or c == "\t" then
      words[#words + 1] = current
      current = nil
    else
      if c == "\\" then
        i = i + 1
        c = text:sub(i, i)
      end
      current = (current or "") .. c
    end
    i = i + 1
  end
  words[#words + 1] = current
  return words
end

-- Rounds. Each leaves its list empty.

local function compare(what, sent, found)
  for i = 1, math.max(#sent, #found) do
    if sent[i] ~= found[i] then
      error(("%s %d of %d:\n  sent  %s\n  found %s"):format(what, i, #sent,
        visible(tostring(sent[i])), visible(tostring(found[i]))), 0)
    end
  end
  return #sent
end

local rounds = {}

function rounds.patterns(target)
  local words = {}
  for i = 1, PER_ROUND do
    words[i] = word()
  end
  target:acl_add("#1", words)
  return compare("pattern", words, target:acl_list("#1")), target:acl_clear("#1")
end

--- Two words beside each other: where the first ends is where the key ends.
function rounds.pairs(target, map)
  local entries, sent, found = {}, {}, {}
  for i = 1, PER_ROUND / 2 do
    entries[i] = { key = word(), value = word() }
    sent[i] = entries[i].key .. " " .. entries[i].value
  end
  target:map_add(map, entries)
  for i, text in ipairs(target:map_list(map)) do
    found[i] = text.key .. " " .. text.value
  end
  return 2 * compare("entry", sent, found), target:map_clear(map)
end

--- Does haplua let a raw text through? The second command is refused in any case, so nothing is sent.
local function passes(target, text)
  local _, problem = pcall(target.batch, target, { text, "\n" })
  return tostring(problem):find("a newline cannot be sent", 1, true) ~= nil
end

--- Raw texts: what haplua lets through is one command, and its words are the model's.
function rounds.raw(target)
  local commands, words = {}, {}
  for _ = 1, PER_ROUND do
    local text = "add acl #1 " .. word()
    local model = split(text)
    if model[4] and passes(target, text) then
      commands[#commands + 1] = text
      words[#words + 1] = model[4]
    end
  end
  target:batch(commands)
  return compare("raw text", words, target:acl_list("#1")), target:acl_clear("#1")
end

local function main(seconds, seed)
  local folder <close> = support.folder()
  local map = folder.write("map", "")
  local target = haproxy.connect(folder.path .. "/socket")
  local process <close> = task.spawn(run, {
    os.getenv("HAPROXY") or "haproxy", "-q", "-db", "-f",
    folder.write("haproxy.cfg", config:format(folder.path, folder.path, map)),
    stdout = "null", stderr = "inherit", env = { PATH = os.getenv("PATH") .. ":/usr/sbin:/sbin" },
  })
  wait_for(target, process)
  print(("real_words: HAProxy %s, seed %d"):format((target:version()), seed))
  math.randomseed(seed)
  local total, latest = 0, task.now() + seconds
  repeat
    for _, name in ipairs({ "patterns", "pairs", "raw" }) do
      total = total + rounds[name](target, map)
    end
  until task.now() >= latest
  print(("real_words: %d words in %.0f s, all the same"):format(total, seconds))
end

local seed = math.tointeger(tonumber(arg[2])) or os.time()
local ok, problem = pcall(main, tonumber(arg[1]) or 60, seed)
if not ok then
  error(type(problem) == "string" and ("seed %d: %s"):format(seed, problem) or problem, 0)
end
