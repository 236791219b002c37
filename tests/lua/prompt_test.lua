-- SPDX-License-Identifier: MIT
--
-- The prompt, on a terminal of script(1).

local support = require("support")

--- The output of haplua on a terminal where these lines are typed: without CR, from the first prompt on.
local function typed(lines, environment)
  local words = {}
  for i, word in ipairs(support.program("-s", "/nonexistent")) do
    words[i] = "'" .. word .. "'"
  end
  local status, out = run({
    "script", "-qec", table.concat(words, " "), "/dev/null", stdin = lines, stdout = "capture", env = environment,
  })
  return out:gsub("\r", ""):match("Ctrl%-D ends it%.\n(.*)$"), status
end

describe("the prompt", function()
  it("prints the values of a line, and goes on after an error", function()
    local shown, status = typed("1 + 1\nx = 5 function f()\nreturn x, nil end\nf()\nnope\nhaproxy.info()\n)\n\n")
    assert.equal(0, status)
    for _, text in ipairs({
      "2\n", ">> ", "5\tnil\n", "prompt:1: undefined name 'nope'\n",
      "'show info' at /nonexistent: no such file or directory\n  is HAProxy running", "unexpected symbol near ')'",
    }) do
      assert.is_truthy(shown:find(text, 1, true), text .. " in " .. shown)
    end
  end)

  it("works without libedit, too", function()
    local folder <close> = support.folder()
    folder.write("libedit.so.2", "")
    local shown, status = typed("20 + 3\nif true\nthen print('yes') end\n", { LD_LIBRARY_PATH = folder.path })
    assert.equal(0, status)
    assert.is_truthy(shown:find("23\n.*>> .*yes\n"), shown)
  end)

  it("lets tasks go on, and ends with the status of os.exit", function()
    local shown, status = typed(
      "task.spawn(function() for i = 1, 3 do task.sleep(0) end print('over') os.exit(7) end)\n"
        .. "require('haplua.terminal').readline('? ')\n")
    assert.equal(7, status)
    assert.is_truthy(shown:find("over", 1, true), shown)
  end)

  it("has one reader at a time", function()
    local shown = typed("t = task.spawn(function() task.sleep(0) print(pcall(require('haplua.terminal').readline, '? ')) end)\n")
    assert.matches("false\tanother task reads from the terminal", shown)
  end)

  it("needs an input that can be waited for", function()
    local folder <close> = support.folder()
    local file = folder.write("input", "text\n")
    local words = support.program("-e", "print(pcall(require('haplua.terminal').readline, '> '))")
    local status, out = run({
      "sh", "-c", 'f=$1; shift; exec "$@" <"$f"', "sh", file, stdout = "capture", table.unpack(words),
    })
    assert.equal(0, status)
    assert.matches("^false\t%-e:1: cannot read from the terminal: operation not permitted\n$", out)
  end)
end)
