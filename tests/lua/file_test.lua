-- SPDX-License-Identifier: MIT

local file = require("haplua.file")
local support = require("support")

local LEFTOVER = "/.conf.haplua-new"

local function shell(command, ...)
  local status, out = run({ "sh", "-c", command, "sh", stdin = "", stdout = "capture", stderr = "null", ... })
  return out, status
end

local function names(path)
  return (shell('ls -A "$1" | tr "\\n" " "', path))
end

local function stat(path, format)
  return (shell('stat -c "$2" "$1"', path, format):gsub("\n$", ""))
end

local code, refused = support.code, support.refused

local NOBODY = { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--" }

--- The output of a process that runs this chunk without the privileges of root.
local function as_nobody(...)
  local words = support.program("-e", ...)
  table.move(words, 1, #words, #NOBODY + 1)
  table.move(NOBODY, 1, #NOBODY, 1, words)
  words.stdin, words.stdout, words.stderr = "", "capture", "capture"
  local status, out, err = run(words)
  assert.same({ 0, "" }, { status, err })
  return out
end

--- Only root can act as another user, who must be allowed to run the program.
local function is_root()
  local command = table.concat(NOBODY, " ") .. ' "$@"'
  return support.is_root() and select(2, shell(command, table.unpack(support.program("-e", "")))) == 0
end

describe("files", function()
  local folder, path

  before_each(function()
    folder = support.folder()
    path = folder.path .. "/conf"
  end)

  after_each(function()
    local _ <close> = folder
  end)

  describe("replace", function()
    it("puts another text in the place of the old one", function()
      folder.write("conf", "old text, a longer one")
      local inode = stat(path, "%i")
      local text = "new\0text\n" .. ("x"):rep(1000000)
      assert.is_true(file.replace(path, text))
      assert.equal(text, file.read(path))
      assert.not_equal(inode, stat(path, "%i"))
      assert.is_true(file.replace(path, ""))
      assert.equal("", file.read(path))
      assert.equal("conf ", names(folder.path))
    end)

    it("leaves the old content to those who have the file open", function()
      folder.write("conf", "old")
      local f <close> = assert(io.open(path))
      assert.is_true(file.replace(path, "new"))
      assert.equal("old", f:read("a"))
    end)

    it("creates a missing file, with the mode whatever the umask", function()
      local r = support.shell([[umask 077; exec "$@"]], "-e", ([[
        local replace = require("haplua.file").replace
        assert(replace(%q, "text"))
        assert(replace(%q, "text", { mode = "0666" }))
      ]]):format(path, path .. "2"))
      assert.same({ status = 0, out = "", err = "" }, r)
      assert.equal("644", stat(path, "%a"))
      assert.equal("666", stat(path .. "2", "%a"))
    end)

    it("keeps mode, owner and group", function()
      folder.write("conf", "old", is_root() and "4751" or "640")
      if is_root() then
        run({ "chown", "33:8", path })
        run({ "chmod", "4751", path })
      end
      local before = stat(path, "%a %u %g")
      assert.is_true(file.replace(path, "new", { mode = "0600" }))
      assert.equal(before, stat(path, "%a %u %g"))
      assert.equal("new", file.read(path))
    end)

    it("keeps the group that a set-group-ID folder would change", function()
      if not is_root() then
        return pending("needs root")
      end
      folder.write("conf", "old", "640")
      run({ "chown", ":33", folder.path })
      run({ "chmod", "2755", folder.path })
      assert.is_true(file.replace(path, "new"))
      assert.equal("0", stat(path, "%g"))
    end)

    it("changes nothing when the owner cannot be kept", function()
      if not is_root() then
        return pending("needs root")
      end
      folder.write("conf", "old", "666")
      run({ "chmod", "777", folder.path })
      local inode = stat(path, "%i")
      local out = as_nobody([[
        local ok, message, name = require("haplua.file").replace(..., "new")
        print(ok, name)
        print(message)
      ]], path)
      assert.equal("nil\tEPERM\n" .. path .. ": its owner and group cannot be kept: operation not permitted\n", out)
      assert.equal("old", file.read(path))
      assert.equal(inode, stat(path, "%i"))
      assert.equal("conf ", names(folder.path))
    end)

    it("follows links, also to a missing file", function()
      assert(file.folder(folder.path .. "/real"))
      run({ "ln", "-s", "real/conf", path })
      run({ "ln", "-s", path, folder.path .. "/second" })
      for _, text in ipairs({ "first", "second" }) do
        assert.is_true(file.replace(folder.path .. "/second", text))
        assert.equal(text, file.read(folder.path .. "/real/conf"))
      end
      assert.equal("real/conf", file.link(path))
      assert.equal(path, file.link(folder.path .. "/second"))
      assert.equal("conf ", names(folder.path .. "/real"))
      run({ "ln", "-s", "loop", folder.path .. "/loop" })
      assert.equal("ELOOP", (code(file.replace(folder.path .. "/loop", ""))))
    end)

    it("takes a path in the working folder", function()
      local words = support.program("-e", [[
        assert(require("haplua.file").replace("conf", "one"))
        assert(require("haplua.file").replace("conf", "two"))
      ]])
      words.cwd, words.stdin = folder.path, ""
      assert.equal(0, (run(words)))
      assert.equal("two", file.read(path))
    end)

    it("says why it cannot, and leaves no file behind", function()
      assert.equal("ENOENT", (code(file.replace(folder.path .. "/no/conf", ""))))
      assert.equal("EISDIR", (code(file.replace(folder.path, ""))))
      assert.equal("EISDIR", (code(file.replace(folder.path .. "/", ""))))
      assert.equal("EINVAL", (code(file.replace("/dev/null", ""))))
      assert.equal("ENAMETOOLONG", (code(file.replace(folder.path .. "/" .. ("n"):rep(256), ""))))
      folder.write("conf", "old")
      -- a limit of the file's size stands for a full disk
      local r = support.shell([[ulimit -f 8; trap '' XFSZ; exec "$@"]], "-e", ([[
        print(select(3, require("haplua.file").replace(%q, ("x"):rep(100000))))
      ]]):format(path))
      assert.same({ status = 0, out = "EFBIG\n", err = "" }, r)
      assert.equal("old", file.read(path))
      assert.equal("conf ", names(folder.path))
      local long = folder.path .. "/" .. ("n"):rep(255)
      assert.is_true(file.replace(long, "text"))
      assert.equal("text", file.read(long))
    end)

    it("removes what a killed process left", function()
      folder.write("conf", "old")
      folder.write(LEFTOVER:sub(2), "half of", "400")
      assert.is_true(file.replace(path, "new"))
      assert.equal("new", file.read(path))
      assert.equal("conf ", names(folder.path))
    end)

    it("is whole at every moment at which the process may be killed", function()
      local a, b = ("a"):rep(300000), ("b"):rep(300000)
      folder.write("conf", a)
      for _ = 1, 5 do
        local r = support.signalled({ "KILL" }, ([[
          local replace = require("haplua.file").replace
          assert(replace(%q, ("b"):rep(300000)))
          ready()
          for i = 1, math.huge do
            assert(replace(%q, (i %% 2 == 0 and "b" or "a"):rep(300000)))
          end
        ]]):format(path, path))
        assert.equal(128 + 9, r.status)
        local text = file.read(path)
        assert.is_true(text == a or text == b)
        local left = names(folder.path)
        assert.is_true(left == "conf " or left == LEFTOVER:sub(2) .. " conf ", left)
      end
      assert.is_true(file.replace(path, "end"))
      assert.equal("conf ", names(folder.path))
    end)

    it("follows no link of another user", function()
      if not support.is_root() then
        return pending("needs root")
      end
      local victim = folder.write("victim", "precious")
      run({ "mkdir", folder.path .. "/real" })
      run({ "ln", "-s", victim, path })
      run({ "ln", "-s", "real", folder.path .. "/way" })
      for name, of in pairs({ [path] = path, [folder.path .. "/way/conf"] = folder.path .. "/way" }) do
        run({ "chown", "-h", "4242", of })
        local ok, message, problem = file.replace(name, "new")
        assert.same({ nil, "EPERM" }, { ok, problem })
        assert.matches("a link on the way is another user's", message, 1, true)
        run({ "chown", "-h", "0", of })
        assert.is_true(file.replace(name, "new"))
      end
      assert.same({ "new", "new" }, { file.read(victim), file.read(folder.path .. "/real/conf") })
    end)

    it("follows no link, and opens no file, that lies in wait at the new file's name", function()
      local victim = folder.write("victim", "precious")
      for _, make in ipairs({ { "ln", "-s" }, { "ln" } }) do
        folder.write("conf", "old")
        local words = table.move(make, 1, #make, 1, {})
        words[#words + 1], words[#words + 2] = victim, folder.path .. LEFTOVER
        assert.equal(0, (run(words)))
        local ok = file.replace(path, "new")
        assert.equal("precious", file.read(victim))
        assert.equal(ok and "new" or "old", file.read(path))
        run({ "rm", "-f", folder.path .. LEFTOVER })
      end
    end)

    it("waits for no other process that replaces the file, and harms none", function()
      folder.write("conf", "old")
      local new = folder.write(LEFTOVER:sub(2), "")
      local lock <close> = assert(file.lock(new, 0))
      assert.equal("EBUSY", (code(file.replace(path, "new"))))
      assert.equal("old", file.read(path))
      lock:release()
      assert.is_true(file.replace(path, "new"))
    end)

    it("happens one after the other in several processes", function()
      folder.write("conf", "old")
      local done = {}
      for i = 1, 4 do
        done[i] = task.spawn(support.haplua, { "-e", [[
          local path, me = ...
          local replace = require("haplua.file").replace
          for i = 1, 50 do
            local ok, message, code = replace(path, me:rep(10000 + i))
            assert(ok or code == "EBUSY", message)
          end
        ]], path, tostring(i) })
      end
      for i = 1, 4 do
        assert.same({ status = 0, out = "", err = "" }, done[i]:wait())
      end
      local text = file.read(path)
      assert.equal(text, text:sub(1, 1):rep(#text))
      assert.equal("conf ", names(folder.path))
    end)
  end)

  describe("read", function()
    it("gives all of a file, and what is in /proc", function()
      local text = ("\0\1\xff\n"):rep(50000)
      folder.write("conf", text)
      assert.equal(text, file.read(path))
      assert.equal(text, file.read(path, #text))
      assert.matches("^Name:", file.read("/proc/self/status"))
    end)

    it("says why it cannot", function()
      folder.write("conf", "12345")
      assert.equal("ENOENT", (code(file.read(path .. "2"))))
      assert.equal("EFBIG", (code(file.read(path, 4))))
      assert.equal("EISDIR", (code(file.read(folder.path))))
      run({ "mkfifo", folder.path .. "/pipe" })
      assert.equal("EINVAL", (code(file.read(folder.path .. "/pipe"))))
      refused("without NUL", file.read, "a\0b")
      refused("number of bytes", file.read, path, -1)
    end)
  end)

  describe("a lock", function()
    it("keeps out this process and others, on its slot only", function()
      local _ <close> = assert(file.lock(path, 7))
      local name, message = code(file.lock(path, 7))
      assert.equal("BUSY", name)
      assert.equal(path .. ": the lock is held", message)
      local _ <close> = assert(file.lock(path, 8))
      assert.is_true(file.locked(path, 7))
      assert.is_true(file.locked(path, 8))
      assert.is_false(file.locked(path, 9))
      local r = support.haplua({ "-e", [[
        local file = require("haplua.file")
        print(select(3, file.lock(..., 7)))
        print(file.lock(..., 9) and "free", file.locked(..., 7), file.locked(..., 10))
      ]], path })
      assert.same({ status = 0, out = "BUSY\nfree\ttrue\tfalse\n", err = "" }, r)
    end)

    it("is released by itself alone", function()
      local _ <close> = assert(file.lock(path, 1))
      local two = assert(file.lock(path, 2))
      two:release()
      two:release()
      assert.is_false(file.locked(path, 2))
      assert.is_true(file.locked(path, 1))
      assert(file.read(path))
      assert.is_true(file.locked(path, 1))
      do
        local _ <close> = assert(file.lock(path, 2))
      end
      assert(file.lock(path, 3)) -- dropped
      collectgarbage()
      collectgarbage()
      assert.is_false(file.locked(path, 2))
      assert.is_false(file.locked(path, 3))
      assert.is_true(file.locked(path, 1))
    end)

    it("is nobody's who may not write the file, and still shows to him", function()
      local name = folder.path .. "/shown.lock"
      run({ "install", "-m", "0644", "/dev/null", name })
      local _ <close> = assert(file.lock(name, 123456789012345))
      assert.equal("0600", file.info(name).mode)
      run({ "chmod", "0664", name })
      assert(file.lock(name, 1)):release()
      assert.equal("0660", file.info(name).mode)
      run({ "chmod", "0755", folder.path })
      run({ "chmod", "0600", name })
      assert.equal("EACCES\ttrue\tfalse\n", is_root() and as_nobody([[
        local file = require("haplua.file")
        print(select(3, file.lock(..., 1)), file.locked(..., 123456789012345), file.locked(..., 5))
      ]], name) or "EACCES\ttrue\tfalse\n")
    end)

    it("is gone with a process that was killed, though a child of it lives on", function()
      local pid = folder.path .. "/pid"
      local r = support.signalled({ "KILL" }, ([[
        local file = require("haplua.file")
        local lock = assert(file.lock(%q, 1))
        run({ "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $! >%s" })
        assert(file.locked(%q, 1))
        ready()
        task.sleep(60)
      ]]):format(path, pid, path))
      assert.equal(128 + 9, r.status)
      local child = file.read(pid):match("%d+")
      assert.equal(0, (run({ "kill", "-0", child })))
      assert.is_false(file.locked(path, 1))
      assert(file.lock(path, 1)):release()
      run({ "kill", child })
    end)

    it("says why it cannot", function()
      assert.equal("ENOENT", (code(file.lock(folder.path .. "/no/lock", 0))))
      assert.is_false(file.locked(folder.path .. "/no", 0))
      run({ "ln", "-s", "conf", folder.path .. "/link" })
      assert.equal("ELOOP", (code(file.lock(folder.path .. "/link", 0))))
      refused("0 or more", file.lock, path, -1)
      refused("0 or more", file.locked, path, math.maxinteger)
      refused("integer", file.lock, path, 0.5)
      assert.is_false(file.locked(path, math.maxinteger - 1))
    end)
  end)

  it("id belongs to the file, whatever its name", function()
    folder.write("conf", "12345", "640")
    local id = assert(file.id(path))
    assert.equal(stat(path, "%d:%i"), id)
    run({ "ln", "-sf", "conf", folder.path .. "/same" })
    assert.equal(id, file.id(folder.path .. "/same"))
    assert.not_equal(id, file.id(folder.path))
    assert.equal("ENOENT", (code(file.id(path .. "2"))))
  end)

  it("info has the fields of a file", function()
    folder.write("conf", "12345", "640")
    local info = assert(file.info(path))
    local fields = {}
    for name in pairs(info) do
      fields[#fields + 1] = name
    end
    table.sort(fields)
    assert.equal("device gid group inode mode mtime owner size type uid user writable", table.concat(fields, " "))
    assert.equal(stat(path, "%U:%G %U %G %u %g 0%a %s %i %d"), ("%s %s %s %d %d %s %d %d %d"):format(
      info.owner, info.user, info.group, info.uid, info.gid, info.mode, info.size, info.inode, info.device))
    assert.equal("file", info.type)
    assert.is_true(info.writable)
    run({ "touch", "-d", "2001-02-03 04:05:06.5 UTC", path })
    assert.equal(981173106.5, file.info(path).mtime)
    run({ "ln", "-s", "conf", folder.path .. "/link" })
    run({ "mkfifo", folder.path .. "/pipe" })
    assert.equal("file", file.info(folder.path .. "/link").type)
    assert.equal("link", file.info(folder.path .. "/link", true).type)
    assert.equal("pipe", file.info(folder.path .. "/pipe").type)
    assert.equal("folder", file.info(folder.path).type)
    assert.equal("device", file.info("/dev/null").type)
    local fake <close> = support.fake({ "read" })
    assert.equal("socket", file.info(fake.address).type)
    assert.equal("ENOENT", (code(file.info(path .. "2"))))
    assert.equal("ENOTDIR", (code(file.info(path .. "/x"))))
  end)

  it("info says whether this process may write", function()
    if not is_root() then
      return pending("needs root")
    end
    folder.write("conf", "", "644")
    run({ "chmod", "755", folder.path })
    run({ "chown", "4242:4243", path })
    local out = as_nobody([[
      local info = require("haplua.file").info(...)
      print(info.writable, info.owner, info.uid, info.gid)
    ]], path)
    assert.equal("false\t?:?\t4242\t4243\n", out)
  end)

  it("real and link follow links", function()
    folder.write("conf", "")
    run({ "ln", "-s", "../" .. folder.path:match("[^/]+$") .. "/conf", folder.path .. "/link" })
    assert.equal(path, file.real(folder.path .. "/./link"))
    assert.equal("../" .. folder.path:match("[^/]+$") .. "/conf", file.link(folder.path .. "/link"))
    assert.equal("ENOENT", (code(file.real(path .. "2"))))
    assert.equal("EINVAL", (code(file.link(path))))
    assert.equal(shell("pwd -P"), file.link(("/proc/%d/cwd"):format(support.pid())) .. "\n")
  end)

  it("folder makes a folder, with its mode", function()
    local r = support.shell([[umask 077; exec "$@"]], "-e", [[
      local folder = require("haplua.file").folder
      assert(folder(...))
      assert(folder(... .. "/2", { mode = "1777" }))
    ]], path)
    assert.same({ status = 0, out = "", err = "" }, r)
    assert.equal("750", stat(path, "%a"))
    assert.equal("1777", stat(path .. "/2", "%a"))
    assert.equal("EEXIST", (code(file.folder(path))))
    assert.equal("ENOENT", (code(file.folder(path .. "/3/4"))))
  end)
end)
