-- SPDX-License-Identifier: MIT
--
-- The fake HAProxy of `haplua test` takes, refuses and matches the same regular expressions as the real one, given
-- the same PCRE2. $PATTERNS says how many are tried (400), $SEED which.

local conformance = require("conformance")
local support = require("support")

local SCRIPT = debug.getinfo(1, "S").source:match("^@(.*)/") .. "/../conformance/regexes.lua"

describe("regular expressions of the fake HAProxy", function()
  it("are those of the real one", function()
    local folder <close> = support.folder()
    for name, text in pairs(conformance.files()) do
      folder.write(name, text)
    end
    local real <close> = conformance.start(folder, "admin")
    assert.are.equal(0, run({ "mkdir", folder.path .. "/lib" }))
    assert.are.equal(0, run({ "ln", "-s", conformance.pcre2(), folder.path .. "/lib/libpcre2-8.so.0" }))
    local count = math.tointeger(os.getenv("PATTERNS")) or 400
    local ran = support.haplua({
      SCRIPT, folder.path .. "/admin.sock", real.version, count, os.getenv("SEED") or 1,
      env = { LD_LIBRARY_PATH = folder.path .. "/lib" },
    })
    if ran.err:find("cannot be loaded", 1, true) then
      pending("this machine's C library is older than HAProxy's PCRE2 needs")
    end
    assert.are.equal("", ran.err)
    local refused, matched, differences = ran.out:match("(%d+) refused, (%d+) texts matched, (%d+) differences\n$")
    assert.are.equal("0", differences, ran.out)
    assert.is_true(math.tointeger(refused) > count / 20 and math.tointeger(matched) > count,
      "the generator makes too much of one kind: " .. ran.out)
  end)
end)
