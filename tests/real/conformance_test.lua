-- SPDX-License-Identifier: MIT
--
-- The fake HAProxy of `haplua test` answers as the real one does: tests/conformance/corpus.txt against
-- $HAPROXY and the fake of the same version. $CONFORMANCE=all lists the differences that are let pass.

local conformance = require("conformance")
local fakes = require("haplua.test.haproxy")
local site = require("site")
local support = require("support")

local HAPROXY = os.getenv("HAPROXY") or "haproxy"
local ASK = (os.getenv("BUILD") or "build") .. "/ask"
local PATH = os.getenv("PATH") .. ":/usr/sbin:/sbin"

--- A HAProxy for one session: its folder, and a function that asks it.
local function start(folder, level)
  local log, socket = {}, folder.path .. "/admin.sock"
  local function note(line)
    log[#log + 1] = line
  end
  local process = task.spawn(run, {
    HAPROXY, "-db", "-f", folder.write("haproxy.cfg", conformance.config(folder.path, level)),
    stdout = note, stderr = note, env = { PATH = PATH },
  })
  local target, latest = haproxy.connect(socket), task.now() + 20
  while not pcall(target.send, target, "show cli level") do
    if process:done() or task.now() > latest then
      process:cancel()
      error("HAProxy does not start:\n  " .. table.concat(log, "\n  "), 0)
    end
    task.sleep(0.005)
  end
  return process, function(bytes)
    local status, out = run({ ASK, socket, bytes, stdout = "capture" })
    return out .. (status == 0 and "" or "<no end>")
  end, target:info().Version
end

--- One session at one level. Adds to `differences`; returns the number of commands.
local function play(session, version, level, differences)
  local folder <close> = support.folder()
  for name, text in pairs(conformance.files()) do
    folder.write(name, text)
  end
  local process, ask, full_version = start(folder, level)
  local fake = fakes.new(conformance.options(folder.path, full_version, level))
  local refs = { real = "", fake = "" }
  local function answer(who, entry, asked)
    local text = entry.text:gsub("{(%a+)}", { DIR = folder.path, ref = refs[who] })
    local reply = asked(text)
    refs[who] = reply:match("0x%x+") or refs[who]
    return conformance.normalised(reply)
  end
  local ok, problem = pcall(function()
    for _, entry in ipairs(session) do
      local real = answer("real", entry, ask)
      local faked = answer("fake", entry, function(text)
        return fake:answer(text) or "<no end>"
      end)
      if real ~= faked then
        table.insert(differences, { entry = entry, real = real, fake = faked, level = level })
      end
    end
  end)
  process:cancel()
  pcall(process.wait, process)
  if not ok then
    error(("HAProxy %s, level %s, session '%s': %s"):format(version, level, session.name, tostring(problem)), 0)
  end
  return #session
end

local function told(difference)
  return ("corpus.txt:%d, level %s: %q\n  real %q\n  fake %q"):format(difference.entry.line, difference.level,
    difference.entry.text, difference.real, difference.fake)
end

describe("the fake HAProxy", function()
  for _, level in ipairs(conformance.levels) do
    it("answers as the real one does at level " .. level, function()
      local version = ("%d.%d"):format(site.version())
      local count, differences, failures, passed = 0, {}, {}, {}
      for _, session in ipairs(conformance.corpus(version)) do
        count = count + play(session, version, level, differences)
      end
      for _, difference in ipairs(differences) do
        table.insert(difference.entry.depends and failures or passed, told(difference))
      end
      if os.getenv("CONFORMANCE") == "all" then
        print(("HAProxy %s, level %s: %d commands, %d differences let pass"):format(version, level, count, #passed))
        print(table.concat(passed, "\n"))
      end
      assert.is_true(count > 250, "the corpus has shrunk")
      assert.equal("", table.concat(failures, "\n"), #failures .. " differences that haplua depends on")
    end)
  end
end)
