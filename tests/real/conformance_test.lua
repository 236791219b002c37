-- SPDX-License-Identifier: MIT
--
-- The fake HAProxy of `haplua test` answers as a real one does: send tests/conformance/corpus.txt to $HAPROXY and to a
-- fake of the same version. With $CONFORMANCE=all, list the differences that are allowed.

local conformance = require("conformance")
local fakes = require("haplua.test.haproxy")
local site = require("site")
local support = require("support")

--- Play a session at one level. Adds the differences to a list, and returns the number of requests.
local function play(session, version, level, differences)
  local folder <close> = support.folder()
  for name, text in pairs(conformance.files()) do
    folder.write(name, text)
  end
  local real <close> = conformance.start(folder, level)
  local fake = fakes.new(conformance.options(folder.path, real.version, level))
  local refs = { real = "", fake = "" }
  local function answer(who, entry, asked)
    local text = entry.text:gsub("{(%a+)}", { DIR = folder.path, ref = refs[who] })
    local reply = asked(text)
    refs[who] = reply:match("0x%x+") or refs[who]
    return conformance.normalised(reply)
  end
  local ok, problem = pcall(function()
    for _, entry in ipairs(session) do
      local right = answer("real", entry, real.ask)
      local faked = answer("fake", entry, function(text)
        return fake:answer(text) or "<no end>"
      end)
      if right ~= faked then
        table.insert(differences, { entry = entry, real = right, fake = faked, level = level })
      end
    end
  end)
  if not ok then
    error(("HAProxy %s, level %s, session '%s': %s"):format(version, level, session.name, tostring(problem)), 0)
  end
  return #session
end

local function text_of(difference)
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
        table.insert(difference.entry.depends and failures or passed, text_of(difference))
      end
      if os.getenv("CONFORMANCE") == "all" then
        print(("HAProxy %s, level %s: %d requests, %d allowed differences"):format(version, level, count, #passed))
        print(table.concat(passed, "\n"))
      end
      assert.is_true(count > 250, "the corpus has shrunk")
      assert.equal("", table.concat(failures, "\n"), #failures .. " differences that haplua depends on")
    end)
  end
end)
