-- SPDX-License-Identifier: MIT

local file = require("haplua.file")
local support = require("support")
local watch = require("haplua.watch")

local function shell(command, ...)
  assert.equal(0, (run({ "sh", "-c", command, "sh", stdout = "null", ... })))
end

local code = support.code

--- "opened conf changed conf": events in their order, by the files' names.
local function text(events)
  local words = {}
  for i, event in ipairs(events or {}) do
    words[i] = event.what .. " " .. (event.path and event.path:match("[^/]*$") or "-")
  end
  return table.concat(words, " ")
end

describe("a watch", function()
  local folder, path, w

  before_each(function()
    folder = support.folder()
    path = folder.path .. "/conf"
    w = assert(watch.open())
  end)

  after_each(function()
    local _ <close> = folder
    w:close()
  end)

  it("reports what another process does to a file", function()
    folder.write("conf", "text")
    assert.is_true(w:add(path))
    assert.is_nil(w:wait(0))
    shell('cat "$1" >/dev/null', path)
    assert.same({ { path = path, what = "opened" } }, w:wait())
    shell('echo more >>"$1"', path)
    assert.equal("opened conf changed conf", text(w:wait()))
    shell('rm "$1"', path)
    assert.equal("removed conf", text(w:wait()))
    shell(': >"$1"', path)
    assert.equal("created conf opened conf", text(w:wait()))
    shell('mv "$1" "$1.old"', path)
    assert.equal("removed conf", text(w:wait()))
    assert.is_nil(w:wait(0))
  end)

  it("wakes a task that waits, and only for files that are watched", function()
    folder.write("conf", "")
    folder.write("other", "")
    assert(w:add(path))
    local got
    local waiter <close> = task.spawn(function()
      got = w:wait()
    end)
    task.sleep(0)
    shell('cat "$1/other"; ls "$1"; touch "$1/third"; cat "$1"/conf', folder.path)
    waiter:wait()
    assert.equal("opened conf", text(got))
  end)

  it("stays with the name when another file is renamed over it", function()
    folder.write("conf", "old")
    assert(w:add(path))
    local old <close> = assert(io.open(path, "a"))
    w:wait(0)
    for _ = 1, 3 do
      assert(file.replace(path, "new"))
      assert.equal("created conf", text(w:wait(0)))
    end
    old:write("who still has the old one open")
    old:flush()
    assert.is_nil(w:wait(0))
    shell('cat "$1" >/dev/null', path)
    assert.equal("opened conf", text(w:wait(0)))
  end)

  it("watches a missing file in a folder that exists", function()
    assert.is_true(w:add(path))
    assert.equal("ENOENT", (code(w:add(folder.path .. "/no/conf"))))
    assert.equal("ENOTDIR", (code(w:add("/dev/null/conf"))))
    assert.equal("EINVAL", (code(w:add(folder.path .. "/"))))
    assert.equal("EINVAL", (code(w:add(folder.path .. "/.."))))
    folder.write("conf", "")
    assert.equal("created conf opened conf", text(w:wait(0)))
  end)

  it("takes several files in several folders, and one twice", function()
    assert(file.folder(folder.path .. "/sub"))
    assert(w:add(path))
    assert(w:add(folder.path .. "/map"))
    assert(w:add(folder.path .. "/sub/conf"))
    assert(w:add(path))
    folder.write("map", "")
    folder.write("sub/conf", "")
    folder.write("conf", "")
    local events = w:wait(0)
    assert.equal("created map opened map created conf opened conf created conf opened conf", text(events))
    assert.equal(folder.path .. "/sub/conf", events[3].path)
    assert.equal(path, events[5].path)
    -- another path to the same folder is another name
    assert(w:add(folder.path .. "/sub/../conf"))
    folder.write("conf", "x")
    events = w:wait(0)
    assert.equal("opened conf opened conf changed conf changed conf", text(events))
  end)

  it("watches in the working folder", function()
    local words = support.program("-e", [[
      local w <close> = assert(require("haplua.watch").open())
      assert(w:add("conf"))
      io.open("conf", "w"):close()
      local events = w:wait()
      print(events[1].path, events[1].what)
    ]])
    words.cwd, words.stdin, words.stdout = folder.path, "", "capture"
    local status, out = run(words)
    assert.same({ 0, "conf\tcreated\n" }, { status, out })
  end)

  it("ignores that a folder is opened, but not that one is created or removed", function()
    assert(w:add(path))
    assert(file.folder(path))
    assert.equal("created conf", text(w:wait(0)))
    shell('ls "$1" "$1/conf"', folder.path)
    assert.is_nil(w:wait(0))
    shell('rmdir "$1"', path)
    assert.equal("removed conf", text(w:wait(0)))
  end)

  it("reports equal events once, in the order of the last time", function()
    folder.write("conf", "")
    assert(w:add(path))
    shell('for i in 1 2 3 4 5 6 7 8 9; do echo "$i" >>"$1"; cat "$1" >/dev/null; done; rm "$1"; : >"$1"', path)
    assert.equal("changed conf removed conf created conf opened conf", text(w:wait(0)))
    shell('rm "$1"; : >"$1"; rm "$1"', path)
    assert.equal("created conf opened conf removed conf", text(w:wait(0)))
    assert.is_nil(w:wait(0))
  end)

  it("reports what this process does itself; info() is no event", function()
    folder.write("conf", "")
    assert(w:add(path))
    assert(file.info(path))
    assert(file.real(path))
    assert.is_nil(w:wait(0))
    assert(file.read(path))
    assert.equal("opened conf", text(w:wait(0)))
    assert.is_nil(w:wait(0))
  end)

  it("reports a file as lost when its folder is removed, and can watch it again", function()
    local sub = folder.path .. "/sub"
    for _, gone in ipairs({ 'rm -r "$1"', 'mv "$1" "$1.old"' }) do
      assert(file.folder(sub))
      folder.write("sub/conf", "")
      assert(w:add(sub .. "/conf"))
      assert(w:add(path))
      w:wait(0)
      shell(gone, sub)
      local events = w:wait()
      assert.equal("lost conf", text({ events[#events] }))
      assert.equal(sub .. "/conf", events[#events].path)
      shell('mkdir -p "$1.old"; : >"$1.old/conf"', sub)
      assert.is_nil(w:wait(0))
      folder.write("conf", "")
      assert.matches("opened conf", text(w:wait(0)))
      shell('rm -r "$1.old"', sub)
    end
  end)

  it("reports that the kernel had to drop events", function()
    local limit = tonumber(file.read("/proc/sys/fs/inotify/max_queued_events"))
    if limit > 100000 then
      return pending("the queue is too long")
    end
    folder.write("a", "")
    folder.write("b", "")
    assert(w:add(folder.path .. "/a"))
    for _ = 1, limit // 2 + 10 do -- two alike, one after the other, are one
      io.open(folder.path .. "/a"):close()
      io.open(folder.path .. "/b"):close()
    end
    local found = text(w:wait(0))
    while not found:find("lost %-") do
      found = assert(text(w:wait(0)))
    end
    while w:wait(0) do
      found = found .. " "
    end
    io.open(folder.path .. "/a"):close()
    assert.equal("opened a", text(w:wait(0)))
  end)

  it("waits as long as it was asked to, also while other files change", function()
    assert(w:add(path))
    local began = task.now()
    local other <close> = task.spawn(function()
      for _ = 1, 3 do
        folder.write("other", "")
        task.sleep(0.01)
      end
    end)
    assert.is_nil(w:wait(0.2))
    assert.is_true(task.now() - began >= 0.2)
    other:wait()
  end)

  it("can be interrupted as any wait", function()
    assert(w:add(path))
    local ok, err = pcall(task.deadline, 0.01, w.wait, w)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    local waiter <close> = task.spawn(w.wait, w)
    task.sleep(0)
    waiter:cancel()
    ok, err = pcall(waiter.wait, waiter)
    assert.is_false(ok)
    assert.equal("interrupted", err.kind)
    folder.write("conf", "")
    assert.equal("created conf opened conf", text(w:wait(1)))
  end)

  it("ends by a signal, with cleanups", function()
    local r = support.signalled({ "TERM" }, ([[
      local w <close> = assert(require("haplua.watch").open())
      assert(w:add(%q))
      local cleanup <close> = setmetatable({}, { __close = function()
        print("cleanup")
      end })
      ready()
      w:wait()
    ]]):format(path))
    assert.equal(128 + 15, r.status)
    assert.equal("cleanup", r.out)
  end)

  it("serves one task at a time, and ends the wait when it is closed", function()
    assert(w:add(path))
    local err
    local waiter <close> = task.spawn(function()
      local _
      _, err = pcall(w.wait, w)
    end)
    task.sleep(0)
    local ok, refusal = pcall(w.wait, w)
    assert.is_false(ok)
    assert.matches("another task waits", refusal)
    w:close()
    waiter:wait()
    assert.matches("the watch was closed", err)
    w:close()
    for _, call in ipairs({ function() w:wait() end, function() w:add(path) end }) do
      ok, err = pcall(call)
      assert.is_false(ok)
      assert.matches("closed", err)
    end
    assert.is_false((pcall(watch.open().wait, watch.open(), -1)))
  end)

  it("closes its descriptor", function()
    local function descriptors()
      task.sleep(0)
      local _, out = run({ "sh", "-c", ('ls -l /proc/%d/fd | grep -c inotify'):format(support.pid()), stdout = "capture" })
      return tonumber(out)
    end
    collectgarbage() -- what other tests have dropped
    collectgarbage()
    local before = descriptors()
    do
      local _ <close> = assert(watch.open())
      assert.equal(before + 1, descriptors())
    end
    assert.equal(before, descriptors())
    watch.open()
    collectgarbage()
    collectgarbage()
    assert.equal(before, descriptors())
  end)

  it("is not disturbed when waits that are over are collected", function()
    support.in_time(function(seconds)
      local waits = task.spawn(function()
        w:wait(0)
        return w:wait(4 * seconds)
      end)
      task.sleep(seconds)
      collectgarbage()
      collectgarbage()
      local waited_on = not pcall(w.wait, w, 0) -- another task waits
      assert.is_nil(waits:wait())
      return waited_on
    end)
  end)

  it("wakes the process for events alone", function()
    -- voluntary context switches of a process that waits
    local r = support.haplua({ "-e", ([[
      local function switches()
        local f <close> = io.open("/proc/self/status")
        return tonumber(f:read("a"):match("\nvoluntary_ctxt_switches:%%s*(%%d+)"))
      end
      local w <close> = assert(require("haplua.watch").open())
      assert(w:add(%q))
      w:wait(0)
      local before = switches()
      w:wait(0.5)
      print(switches() - before)
    ]]):format(path) })
    assert.same({ 0, "" }, { r.status, r.err })
    assert.is_true(tonumber(r.out) <= 3, r.out)
  end)
end)
