-- SPDX-License-Identifier: MIT
--
-- Files of lists that HAProxy and haplua do not have in common, or that cannot be replaced: haplua says so before it
-- changes anything. Mount namespaces stand for containers; they need root.

local running = require("running")
local site = require("site")
local support = require("support")

-- Not an ordinary user, and not in a chroot whose root is no mount point.
local can_mount = support.is_root() and run({ "unshare", "-m", "true", stderr = "null" }) == 0

describe("the file of a list", function()
  local s

  setup(function()
    s = site.start({ acl = "path -i -m reg -f DIR/list.acl", files = { ["list.acl"] = "" } })
    s.journal, s.list = s.dir .. "/journal.db", s.dir .. "/list.acl"
    s.config = s.folder.write("config.lua", ("return { switches = { site = { acl = %q } } }"):format(s.list))
  end)

  teardown(function()
    s:close()
  end)

  after_each(function()
    s:maint("off", "--all", "--no-file")
  end)

  --- Run maint where shell commands have mounted something first.
  local function elsewhere(mounts, ...)
    local words = { "unshare", "-m", "sh", "-ec", mounts .. '\nexec "$@"', "sh",
      table.unpack(support.program("-s", s.socket, "scripts/maint.lua", ...)) }
    words.stdout, words.stderr = "capture", "capture"
    words.env = { HAPLUA_JOURNAL = s.journal, HAPLUA_CONFIG = s.config }
    local status, out, err = run(words)
    return { status = status, out = out, err = err }
  end

  local function refused(ran, ...)
    assert.equal(1, ran.status, ran.out)
    for _, text in ipairs({ ... }) do
      assert.matches(text, ran.err, 1, true)
    end
    assert.same({}, s.target:acl_list(s.list))
    assert.equal("", (running.content(s.list):gsub("#[^\n]*", ""):gsub("\n", "")))
  end

  it("is another one under the same name", function()
    if not can_mount then
      pending("mounting needs root")
      return
    end
    local other = s.folder.write("other.acl", "")
    run({ "mkdir", s.dir .. "/empty" })
    local ran = elsewhere(("mount --bind %s %s"):format(other, s.list), "on")
    refused(ran, "HAProxy has another file under this name", "mount its folder instead")
    assert.equal("", running.content(other))
    ran = elsewhere(("mount -t tmpfs none %s"):format(s.dir .. "/empty"), "doctor")
    assert.not_matches("another file", ran.out, 1, true)
    ran = elsewhere(("mount --bind %s %s"):format(other, s.list), "doctor")
    assert.matches("fail  file  .*HAProxy has another file under this name", ran.out)
    ran = elsewhere(("mount --bind %s %s"):format(other, s.list), "on", "--no-file")
    assert.equal(0, ran.status, ran.err)
  end)

  it("is mounted by itself, and written in place where that is asked for", function()
    if not can_mount then
      pending("mounting needs root")
      return
    end
    local mount = ("mount --bind %s %s"):format(s.list, s.list)
    refused(elsewhere(mount, "on"), "the file alone is mounted here", 'file = "in place"')
    local config = running.content(s.config)
    s.folder.write("config.lua", ("return { switches = { site = { acl = %q, file = 'in place' } } }"):format(s.list))
    local ran = elsewhere(mount, "on", "--path", "/shop", "--path", "/a/much/longer/path")
    assert.equal(0, ran.status, ran.err)
    assert.matches("\n^/shop\n^/a/much/longer/path\n", running.content(s.list), 1, true)
    ran = elsewhere(mount, "on", "--replace", "--path", "/shop")
    assert.equal(0, ran.status, ran.err)
    assert.matches("\n^/shop\n\n+$", running.content(s.list))
    s:reload()
    assert.same({ "^/shop" }, s.target:acl_list(s.list))
    ran = elsewhere(mount, "off")
    assert.equal(0, ran.status, ran.err)
    s:reload()
    assert.same({}, s.target:acl_list(s.list))
    s.folder.write("config.lua", config)
  end)

  it("is named by a relative name, or cannot be written", function()
    local ran = s:haplua({ "scripts/maint.lua", "--acl", "list.acl", "on" })
    assert.equal(1, ran.status)
    assert.matches("HAProxy's configuration has no ACL of this name: it has maintenance", ran.err, 1, true)
    if can_mount then
      local readonly = ("mount --bind %s %s\nmount -o remount,ro,bind %s"):format(s.dir, s.dir, s.dir)
      refused(elsewhere(readonly, "--no-journal", "on"), "this user may not write to its folder")
    end
  end)
end)
