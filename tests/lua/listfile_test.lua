-- SPDX-License-Identifier: MIT

local listfile = require("haplua.haproxy.list_file")
local support = require("support")

local function content(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

describe("a list's file", function()
  it("is read as HAProxy reads it", function()
    assert.same({ "^/a", "^/b ", "x y", "^/c" },
      (listfile.parse("# a comment\n\n  ^/a\n^/b \nx y\n\t# another\n^/c", "acl")))
    assert.same({ "a", "b" }, (listfile.parse("a\r\nb\r\n", "acl")))
    local keys, values = listfile.parse("k v\n  until\t1 2 \nempty\n", "map")
    assert.same({ { "k", "until", "empty" }, { "v", "1 2 ", "" } }, { keys, values })
  end)

  it("is written only when it differs, and keeps the comments at its top", function()
    local folder <close> = support.folder()
    local path = folder.write("list", "# one\n#two\n^/a\n# three\n^/b\n")
    assert.is_nil(listfile.write(path, "acl", { "^/a", "^/b" }))
    assert.equal("# one\n#two\n^/a\n# three\n^/b\n", content(path))
    local before = listfile.write(path, "acl", { "^/b" })
    assert.equal("# one\n#two\n^/a\n# three\n^/b\n", before)
    assert.equal("# one\n#two\n^/b\n", content(path))
    assert.is_true(listfile.in_step(path, "acl", { "^/b" }))
    assert.is_false(listfile.in_step(path, "acl", { "^/b", "^/c" }))
    assert.is_nil(listfile.in_step(path .. ".none", "acl", {}))
    listfile.write(path, "acl", {})
    assert.equal("# one\n#two\n", content(path))
  end)

  it("holds a map's keys and values", function()
    local folder <close> = support.folder()
    local path = folder.write("map", "")
    listfile.write(path, "map", { "reason" }, { "a b  c" })
    assert.is_true(listfile.in_step(path, "map", { "reason" }, { "a b  c" }))
    assert.matches("\nreason a b  c\n$", content(path))
  end)

  it("refuses what HAProxy would read as something else", function()
    local folder <close> = support.folder()
    local path = folder.write("list", "")
    for _, entry in ipairs({ "#x", " x", "\tx", "a\nb", "a\r" }) do
      local ok, problem = pcall(listfile.write, path, "acl", { "ok", entry })
      assert.is_false(ok, entry)
      assert.equal("file", problem.kind, tostring(problem))
    end
    assert.is_false((pcall(listfile.write, path, "map", { "a b" }, { "c" })))
    assert.equal("", content(path))
  end)

  it("is on this machine only for a local socket", function()
    assert.equal("/f", listfile.path(haproxy.connect("/run/x.sock"), "/f"))
    assert.equal("/f", listfile.path(haproxy.connect("unix@/run/x.sock"), "/f"))
    assert.is_nil(listfile.path(haproxy.connect("127.0.0.1:9999"), "/f"))
    assert.is_nil(listfile.path(haproxy.connect("/run/x.sock"), "#9999"))
    assert.is_nil(listfile.path(haproxy.connect("/run/x.sock"), "virt@x"))
  end)
end)
