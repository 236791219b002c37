-- SPDX-License-Identifier: MIT
--
-- real_words.lua - check that a real HAProxy reads the words that haplua has encoded as the same words, and
-- divides a raw text that haplua accepts into words as the model below does.
-- Usage: haplua tests/fuzz/real_words.lua [SECONDS [SEED]]   ($HAPROXY: the program)
-- It starts a HAProxy on a private socket, adds random words as patterns of an ACL and as keys and values
-- of a map, hundreds over one connection, and reads them back with `show`. At the first difference it prints
-- the seed and ends with status 1.

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

-- Words. Most pieces have bytes with a special meaning in some version of HAProxy.

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

--- A random word, not empty, without NUL and LF.
local function word()
  local parts = {}
  local n = math.random(1000) == 1 and math.random(1, 3000) or math.random(1, math.random(1, 12))
  for i = 1, n do
    parts[i] = math.random(4) == 1 and any_byte() or pieces[math.random(#pieces)]
  end
  return table.concat(parts)
end

--- The words of a command without their escapes, as HAProxy reads them. HAProxy drops a CR at the end of a command;
-- haplua writes a space after it, so that HAProxy keeps it.
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

-- Rounds. Each empties its list at the end.

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

--- Add keys and values: HAProxy must find the end of each key.
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

--- Replace a map: its entries go as payloads, but for those that none can carry.
function rounds.replaced(target, map)
  local entries, sent, found = {}, {}, {}
  for i = 1, PER_ROUND do
    local key = word()
    entries[i] = { key = math.random(30) == 1 and key or key:gsub("[ \t\r]", "_"), value = word() }
    sent[i] = entries[i].key .. " " .. entries[i].value
  end
  target:map_replace(map, entries)
  for i, text in ipairs(target:map_list(map)) do
    found[i] = text.key .. " " .. text.value
  end
  return 2 * compare("entry", sent, found), target:map_clear(map)
end

--- Does haplua accept a raw text? It always refuses the second command, so nothing is sent.
local function passes(target, text)
  local _, problem = pcall(target.batch, target, { text, "\n" })
  return tostring(problem):find("a newline cannot be sent", 1, true) ~= nil
end

--- Send raw texts that haplua accepts: each must be one command, with the words of the model.
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
