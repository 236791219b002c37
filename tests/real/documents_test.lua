-- SPDX-License-Identifier: MIT
--
-- The commands of the documents do what the documents say. tests/documents/ has the reader, and the machine on which it
-- runs them.

local support = require("support")

-- document -> at least so many commands of it are run
local documents = {
  ["README.md"] = 20, ["docs/tutorial.md"] = 10, ["docs/testing.md"] = 1, ["docs/windows.md"] = 4, ["docs/metrics.md"] = 2,
  ["docs/maintenance.md"] = 5, ["docs/scripting.md"] = 1, ["docs/hooks.md"] = 2,
}

--- Run the commands of a document. Skips the test where this user cannot have namespaces.
local function play(path)
  local words = { "sh", "tests/documents/part.sh", table.unpack(support.program("tests/documents/run.lua", path)) }
  words.stdout, words.stderr = "capture", "capture"
  local status, out, err = run(words)
  if status == 77 then
    pending("this user cannot have namespaces")
  end
  return status, out .. err
end

describe("the commands of", function()
  for path, least in pairs(documents) do
    it(path .. " print what it says", function()
      local status, text = play(path)
      assert(status == 0, text)
      local count = tonumber(text:match("(%d+) commands run"))
      assert(count >= least, text)
    end)
  end

  it("README.md are in its picture", function()
    local words = support.program("tests/documents/picture.lua", "README.md")
    words.stdout = "capture"
    local status, picture = run(words)
    assert.equal(0, status)
    local file <close> = assert(io.open("docs/first-use.svg"))
    assert.equal(file:read("a"), picture)
  end)

  it("a document whose prompt answers something else fail", function()
    local folder <close> = support.folder()
    local status, text = play(folder.write("x.md", "<!-- docs: typed: x -->\n\n    $ haplua\n    ...\n    > = 6 * 7\n    41\n"))
    assert.equal(1, status)
    assert.matches("printed:.*\n    42\n", text)
  end)

  it("a document that says something else fail", function()
    local folder <close> = support.folder()
    local status, text = play(folder.write("x.md", "# x\n\n    $ echo one\n    two\n    $ echo 3\n    3\n"))
    assert.equal(1, status)
    assert.matches("x.md:3: %$ echo one", text)
    assert.matches("2 commands run, 1 not as the document says", text)
  end)
end)
