-- SPDX-License-Identifier: MIT

local support = require("support")

local function failure(...)
  return tostring(support.failure(...))
end

describe("run", function()
  it("gives the exit status", function()
    assert.equal(0, (run({ "true" })))
    assert.equal(1, (run({ "false" })))
    assert.equal(200, (run({ "sh", "-c", "exit 200" })))
  end)

  it("gives 128 + n for signal n", function()
    assert.equal(128 + 15, (run({ "sh", "-c", "kill -TERM $$" })))
    assert.equal(128 + 9, (run({ "sh", "-c", "kill -KILL $$" })))
  end)

  it("captures all of the streams that the options name", function()
    local status, out, err = run({
      "sh", "-c", "echo out; echo err >&2", stdout = "capture", stderr = "capture",
    })
    assert.same({ 0, "out\n", "err\n" }, { status, out, err })
    status, out, err = run({ "sh", "-c", "echo out; echo err >&2", stdout = "null", stderr = "capture" })
    assert.same({ 0, nil, "err\n" }, { status, out, err })
    status, out = run({ "true", stdout = "capture" })
    assert.same({ 0, "" }, { status, out })
    _, out = run({ "head", "-c", "1000000", "/dev/zero", stdout = "capture" })
    assert.equal(("\0"):rep(1000000), out)
  end)

  it("writes standard input, also more than a pipe holds", function()
    local text = ("0123456789abcdef"):rep(20000)
    local _, out = run({ "cat", stdin = text, stdout = "capture" })
    assert.equal(text, out)
    _, out = run({ "cat", stdin = "", stdout = "capture" })
    assert.equal("", out)
    _, out = run({ "cat", stdin = 42, stdout = "capture" })
    assert.equal("42", out)
  end)

  it("succeeds where a child leaves its input unread", function()
    assert.equal(0, (run({ "true", stdin = ("x"):rep(1000000) })))
  end)

  it("uses no shell", function()
    local _, out = run({ "printf", "%s|", "a b", "$HOME", "*", ";echo", "'", "", stdout = "capture" })
    assert.equal("a b|$HOME|*|;echo|'||", out)
  end)

  it("changes the environment and keeps the rest", function()
    local _, out = run({
      "sh", "-c", [[printf '%s|%s|%s' "$A" "${PATH:+path}" "${HOME-none}"]],
      env = { A = "x y", HOME = false }, stdout = "capture",
    })
    assert.equal("x y|path|none", out)
  end)

  it("changes the folder", function()
    local folder <close> = support.folder()
    local _, out = run({ "pwd", cwd = folder.path, stdout = "capture" })
    assert.equal(folder.path .. "\n", out)
  end)

  it("ends all that a program of a group has started", function()
    local grandchild
    local t = task.spawn(run, { "sh", "-c", "sleep 10000 & echo $!; wait", group = true, stdout = function(line)
      grandchild = math.tointeger(line)
    end })
    while not grandchild do
      task.sleep(0.005)
    end
    t:cancel()
    pcall(t.wait, t)
    while require("haplua.process").alive(grandchild) do
      task.sleep(0.005)
    end
  end)

  it("streams lines to a function while the child goes on", function()
    local lines, folder <close> = {}, support.folder()
    local gate = folder.path .. "/gate"
    run({ "mkfifo", gate })
    local status = run({
      "sh", "-c", 'echo one; read line <"$0"; echo "$line"; echo; printf "no end"', gate,
      stdout = function(line)
        lines[#lines + 1] = line
        if line == "one" then -- the child is still there, and waits for this
          run({ "sh", "-c", 'echo two >"$0"', gate })
        end
      end,
    })
    assert.equal(0, status)
    assert.same({ "one", "two", "", "no end" }, lines)
  end)

  it("streams both outputs, each to its function", function()
    local out, err = {}, {}
    run({
      "sh", "-c", "for i in 1 2 3; do echo o$i; echo e$i >&2; done",
      stdout = function(line) out[#out + 1] = line end,
      stderr = function(line) err[#err + 1] = line end,
    })
    assert.same({ { "o1", "o2", "o3" }, { "e1", "e2", "e3" } }, { out, err })
  end)

  it("ends the child when the function raises", function()
    local pid
    local err = failure(run, {
      "sh", "-c", "echo $$; exec sleep 3600",
      stdout = function(line)
        pid = line
        error("enough", 0)
      end,
    })
    assert.equal("enough", err)
    assert.is_nil((io.open("/proc/" .. pid .. "/stat")))
  end)

  it("says what cannot be started", function()
    assert.matches("cannot start '/nowhere/at/all': no such file", failure(run, { "/nowhere/at/all" }))
    assert.matches("cannot start 'no%-such%-program'", failure(run, { "no-such-program" }))
    assert.matches("cannot start '/'", failure(run, { "/" }))
    assert.matches("cannot start 'true'", failure(run, { "true", cwd = "/nowhere" }))
    task.sleep(0)
  end)

  it("takes words, and refuses unknown options", function()
    assert.matches("table expected", failure(run, "true"))
    assert.matches("a list with the program", failure(run, {}))
    assert.matches("argument: .*got nil", failure(run, setmetatable({ "a" }, { __len = function() return 2 end })))
    assert.matches("argument: .*with it", failure(run, { "a\0b" }))
    assert.matches("argument: .*got table", failure(run, { "a", {} }))
    assert.matches("unknown option 'output'", failure(run, { "true", output = "x" }))
    assert.matches("unknown option 'stdot'; did you mean 'stdout'%?$", failure(run, { "true", stdot = "null" }))
    assert.matches("unknown option '3'", failure(run, { "true", [3] = "x" }))
    assert.matches("stdout: a string or function expected, got boolean$", failure(run, { "true", stdout = true }))
    assert.matches("cwd: a string expected, got table$", failure(run, { "true", cwd = {} }))
    assert.matches("stdout is .* not 'x'", failure(run, { "true", stdout = "x" }))
    assert.matches("stderr: .*got boolean", failure(run, { "true", stderr = true }))
    assert.matches("env: a table expected", failure(run, { "true", env = "A=1" }))
    assert.matches("env: names are strings", failure(run, { "true", env = { "A=1" } }))
    assert.matches("env: .*got table", failure(run, { "true", env = { A = {} } }))
    assert.matches("env: .*with it", failure(run, { "true", env = { A = "x\0y" } }))
    assert.matches("env: a name", failure(run, { "true", env = { ["A=B"] = "x" } }))
    assert.matches("env: a name", failure(run, { "true", env = { [""] = "x" } }))
    assert.matches("cwd: .*got table", failure(run, { "true", cwd = {} }))
    assert.matches("stdin: .*got table", failure(run, { "true", stdin = {} }))
  end)

  it("takes numbers as words", function()
    local _, out = run({ "echo", 1, 2.5, stdout = "capture" })
    assert.equal("1 2.5\n", out)
  end)

  it("takes thousands of words and variables", function()
    local words, env = { "sh", "-c", 'echo $# "$V4000"', "sh" }, {}
    for i = 1, 4000 do
      words[#words + 1] = "w"
      env["V" .. i] = tostring(i)
    end
    words.env, words.stdout = env, "capture"
    local _, out = run(words)
    assert.equal("4000 4000\n", out)
  end)
end)

describe("a child whose task is ended", function()
  it("is terminated", function()
    local ready, pid = support.event(), nil
    local t = task.spawn(run, {
      "sh", "-c", "echo $$; exec sleep 3600",
      stdout = function(line)
        pid = line
        ready.set(true)
      end,
    })
    ready.wait()
    t:cancel()
    assert.matches("interrupted", failure(t.wait, t))
    assert.is_nil((io.open("/proc/" .. pid .. "/stat")))
  end)

  it("can clean up", function()
    local ready = support.event()
    local folder <close> = support.folder()
    local t = task.spawn(run, {
      "sh", "-c", [[trap 'echo bye >"$0"; exit' TERM; echo ready; while :; do sleep 0.01; done]],
      folder.path .. "/bye", stdout = ready.set,
    })
    ready.wait()
    t:cancel()
    pcall(t.wait, t)
    assert.is_truthy(io.open(folder.path .. "/bye"))
  end)

  it("is killed when it ignores the signal", function()
    local ran = support.haplua({
      "-e",
      [[
        local pid, t
        t = task.spawn(run, {
          "sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.01; done",
          stdout = function(line)
            pid = line
            t:cancel()
          end,
        })
        print(select(2, pcall(t.wait, t)).kind)
        print(io.open("/proc/" .. pid .. "/stat"))
      ]],
    })
    assert.matches("^interrupted\nnil", ran.out)
    assert.equal(0, ran.status)
  end)

  it("gets the signal that haplua got", function()
    local ran = support.signalled({ "HUP" }, [[
      local _ <close> = setmetatable({}, { __close = function() print("closed") end })
      run{ "sh", "-c", "trap 'echo hup; exit' HUP; echo ready; while :; do sleep 0.01; done",
        stdout = function(line) print(line); io.stdout:flush() end }
    ]])
    assert.equal(128 + 1, ran.status)
    assert.equal("closed", ran.out)
  end)
end)

describe("a program that os.execute or io.popen starts", function()
  it("ends by SIGPIPE", function()
    local script = [[kill -PIPE $$; echo "goes on"]]
    local pipe = io.popen(("sh -c '%s'"):format(script))
    assert.equal("", pipe:read("a"))
    pipe:close()
    local _, how, status = os.execute(("sh -c '%s'"):format(script))
    assert.equal(13, how == "signal" and status or status - 128)
  end)

  it("may close its end of a pipe: writes then fail", function()
    local pipe = io.popen("exec 0<&-; echo closed >/dev/null", "w")
    pipe:setvbuf("no")
    local failed
    for _ = 1, 1000 do
      failed = failed or select(2, pipe:write(("x"):rep(65536)))
    end
    assert.matches("Broken pipe", failed)
    pipe:close()
  end)
end)

describe("a function that gets a child's lines", function()
  it("may yield from a coroutine that goes on in another task", function()
    local co
    local first = task.spawn(function()
      co = coroutine.create(function()
        return run({
          "sh", "-c", "echo a; sleep 0.1; echo b; sleep 0.1; exit 5",
          stdout = function(line)
            coroutine.yield(line)
          end,
        })
      end)
      return select(2, coroutine.resume(co))
    end)
    assert.equal("a", first:wait())
    first = nil -- luacheck: ignore 311 (the collector is to have it)
    collectgarbage()
    collectgarbage()
    task.sleep(0.2) -- the child writes while no task runs the coroutine
    assert.are.same({ true, "b" }, { coroutine.resume(co) })
    assert.are.same({ true, 5 }, { coroutine.resume(co) })
  end)
end)

describe("a child whose call cannot wait", function()
  it("ends with haplua, and is no zombie", function()
    local ran = support.haplua({ "-e", [[
      local co = coroutine.create(function()
        run{ "sh", "-c", "echo $$; exec sleep 3600", stdout = coroutine.yield }
      end)
      print(select(2, coroutine.resume(co)))
    ]] })
    assert.matches("^%d+\n$", ran.out)
    assert.is_nil((io.open("/proc/" .. ran.out:match("%d+") .. "/stat")))
  end)

  it("is not started", function()
    local folder <close> = support.folder()
    local problem = failure(string.gsub, "x", "x", function()
      run({ "touch", folder.path .. "/started" })
    end)
    assert.matches("this call waits, which is not possible", problem)
    assert.is_nil((io.open(folder.path .. "/started")))
  end)
end)
