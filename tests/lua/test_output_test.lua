-- SPDX-License-Identifier: MIT

-- `haplua test`: differences line by line, --watch, and the counters of the fake's servers.

local support = require("support")

local function run_test(text)
  local folder <close> = support.folder()
  folder.write("a_test.lua", 'local test = require("haplua.test")\n' .. text)
  return support.haplua({ "test", "a_test.lua", cwd = folder.path }).out
end

describe("a failed assertion", function()
  it("shows texts of several lines as a difference", function()
    local out = run_test([[it("is", function()
      assert.equal("one\ntwo\nthree\nfour\nfive\nsix", "one\ntwo\nthree\n4\nfive\nsix\nseven")
    end)]])
    assert.is_truthy(out:find("        - expected, + got:\n          ...\n          two\n          three\n        - four\n"
      .. "        + 4\n          five\n          six\n        + seven\n        at a_test.lua", 1, true), out)
  end)

  it("shows tables as a difference, element by element", function()
    local out = run_test([[it("is", function()
      local a, b = {}, {}
      for i = 1, 40 do
        a[i], b[i] = { id = i, name = "n" .. i }, { id = i, name = "n" .. i }
      end
      b[20].name, b[41] = "other", false
      assert.same(a, b)
    end)]])
    assert.is_truthy(out:find('        - expected, + got:\n          ...\n          [20]:\n'
      .. '            id = 20\n        -   name = "n20"\n        +   name = "other"\n          [21]:\n'
      .. '            id = 21\n          ...\n', 1, true), out)
    assert.is_truthy(out:find("        + [41] = false\n", 1, true), out)
  end)

  it("shows no difference of what is short, or ends elsewhere", function()
    local out = run_test([[it("is", function()
      local loop = { 1 }
      loop.loop = loop
      assert.equal("a", "b")
    end)
    it("is not", function() assert.same({ 1, 2 }, { 1, 3 }) end)
    it("loops", function()
      local loop = { 1, ("x"):rep(70) }
      loop.loop = loop
      assert.same({ 1, ("x"):rep(70), loop = {} }, loop)
    end)]])
    assert.is_truthy(out:find("0 passed, 3 failed", 1, true), out)
    local _, n = out:gsub("expected, %+ got", "")
    assert.equal(1, n, out)
  end)
end)

describe("the fake HAProxy", function()
  it("shows the counters, rates and times that a test sets on a server", function()
    local out = run_test([[it("counts", function()
      local site = test.haproxy({ servers = { "app/a1", "app/a2", "other/b1" } })
      local a1 = site:server("app/a1")
      a1.hrsp_5xx = a1.hrsp_5xx + 5
      a1.hrsp_2xx, a1.req_tot, a1.rate, a1.rtime = 95, 100, 12, 250
      site:server("app/a2").hrsp_5xx = 1
      local rows = {}
      for _, row in ipairs(haproxy.stat()) do
        rows[row.pxname .. "/" .. row.svname] = row
      end
      local row, backend = rows["app/a1"], rows["app/BACKEND"]
      assert.same({ 5, 95, 100, 12, 250, 0 }, { row.hrsp_5xx, row.hrsp_2xx, row.req_tot, row.rate, row.rtime, row.eresp })
      assert.same({ 6, 12, 250 }, { backend.hrsp_5xx, backend.rate, backend.rtime })
      assert.same({ 0, 0 }, { rows["other/BACKEND"].hrsp_5xx, rows["other/b1"].rtime })
      site:reload()
      assert.equal(0, site:server("app/a1").hrsp_5xx)
    end)]])
    assert.is_truthy(out:find("1 passed", 1, true), out)
  end)
end)

describe("haplua test --watch", function()
  it("runs the tests again when a file changes, and ends by a signal", function()
    local folder <close> = support.folder()
    run({ "mkdir", folder.path .. "/policies" })
    local policy = folder.write("policies/p.lua", "return 1")
    folder.write("a_test.lua", 'local test = require("haplua.test")\n'
      .. 'it("is", function() assert.equal(0, test.run("policies/p.lua").status) end)')
    local words, seen, waiting = support.program("-e", [[
      local words = { "/proc/self/exe", "test", "--watch", "a_test.lua" }
      function words.stdout(line) print(line) io.stdout:flush() end
      run(words)
    ]]), {}, 0
    local watching
    words.cwd, words.stderr = folder.path, "null"
    function words.stdout(line)
      seen[#seen + 1] = line:match("^%d+ passed, %d+ failed") or line:match("^.* has changed$")
      if line:find("^%(waiting") then
        waiting = waiting + 1
        if waiting == 1 then
          folder.write("policies/p.lua", "return 0 -- mended")
        else
          watching:cancel()
        end
      end
    end
    watching = task.spawn(run, words)
    local ok, problem = pcall(watching.wait, watching)
    assert.same({ false, "interrupted" }, { ok, problem.kind })
    assert.same({ "0 passed, 1 failed", policy:match("policies/.*") .. " has changed", "1 passed, 0 failed" }, seen)
  end)
end)
