-- SPDX-License-Identifier: MIT
--
-- What is done when it is not known whether HAProxy has done something: its answer was lost, or the connection
-- reset. tests/fault tries that at every byte; here is what it found.

local support = require("support")

local NONE = "\\n# id (file) description\\n9999 () acl 'path' file 'x' line 1. curr_ver=%d next_ver=%d entry_cnt=0\\n\\n%s\\n"
local ENTRIES = "0x55aa ^/a\\n0x55ab ^/b\\n"

local function list(version, entries)
  return "say " .. NONE:format(version, version, entries)
end

--- A replacement by two patterns, whose commit is answered by these steps.
local function replace(...)
  local fake = support.fake({
    "read", list(0, ""), "next",
    "read", "say \\n[6]: New version created: 1\\n\\n", "next",
    "read", "say \\n\\n\\n" .. ENTRIES .. "\\n", "next",
    "read", ...,
  })
  local target = haproxy.connect(fake.address, { timeout = 0.2 })
  local ok, problem = pcall(target.acl_replace, target, "#9999", { "^/a", "^/b" })
  pcall(target.send, target, "show cli level") -- nothing comes after this
  return fake, ok, problem
end

--- All that was sent.
local function sent(fake)
  for n = 1, 20 do
    local text = table.concat(fake:wait(n), "\n")
    if text:find("show cli level", 1, true) then
      return text
    end
  end
end

describe("a commit", function()
  for name, steps in pairs({
    ["whose answer is lost"] = {},
    ["whose answer is cut"] = { "say \\n\\n# id (fi" },
    ["that is not answered in time"] = { "hold" },
    ["after which the look is refused"] = { "say \\n\\n[3]: No.\\n\\n" },
  }) do
    it(name .. " may be in force, and is not emptied", function()
      steps[#steps + 1] = "next"
      steps[#steps + 1] = "read"
      steps[#steps + 1] = "say \\n\\n"
      local fake <close>, ok = replace(table.unpack(steps))
      assert.is_false(ok)
      local text = sent(fake)
      assert.matches(";commit acl @1 #9999", text, 1, true)
      assert.not_matches("clear acl", text, 1, true)
    end)
  end

  it("that is refused is not in force, and is emptied", function()
    local fake <close>, ok, problem = replace("say \\n[3]: Version number out of range.\\n\\n"
      .. "# id (file) description\\n9999 () acl 'path' file 'x' line 1. curr_ver=2 next_ver=2 entry_cnt=0\\n\\n",
      "next", "read", "say \\n\\n", "next", "read", "say \\nUptime_sec: 999999\\n\\n")
    assert.same({ false, "refused" }, { ok, problem.kind })
    assert.matches("clear acl @1 #9999", sent(fake), 1, true)
  end)
end)

describe("a connection that is reset", function()
  it("has a reading request sent again, but no other", function()
    local fake <close> = support.fake({ "reset", "next", "read", "say \\nName: x\\n\\n" })
    assert.equal("Name: x", haproxy.connect(fake.address):send("show info"))
    local other <close> = support.fake({ "reset", "next", "read", "say \\n\\n" })
    local target = haproxy.connect(other.address)
    local ok, problem = pcall(target.send, target, "add acl #9999 x")
    assert.same({ false, "unreachable", "ECONNRESET" }, { ok, problem.kind, problem.code })
  end)

  it("makes a replacement look anew at what there is", function()
    local fake <close> = support.fake({
      "read", list(0, ""), "next",
      "reset", "next",
      "read", list(1, ENTRIES),
    })
    local added, removed = haproxy.connect(fake.address):acl_replace("#9999", { "^/a", "^/b" })
    assert.same({ 2, 0 }, { added, removed })
    fake:wait(3)
    local _, looks = table.concat(fake.log):gsub("show acl #9999", "")
    assert.equal(2, looks)
  end)

  it("has what sets a server sent again", function()
    local state = "1\\n# be_id be_name srv_name srv_admin_state\\n1 app a1 8\\n"
    local fake <close> = support.fake({ "reset", "next", "read", "say \\n\\n", "next", "read", "say \\n" .. state .. "\\n" })
    assert.equal("drain", haproxy.connect(fake.address):server_set({ server = "app/a1", state = "drain" }).admin)
  end)
end)

describe("a row", function()
  it("with more or fewer fields than columns is not read", function()
    for _, row in ipairs({ "1 app  a1 0", "1 app a1" }) do
      local fake <close> = support.fake({ "read", "say \\n1\\n# be_id be_name srv_name srv_admin_state\\n" .. row .. "\\n\\n" })
      local target = haproxy.connect(fake.address)
      local ok, problem = pcall(target.servers, target)
      assert.is_false(ok)
      assert.equal("protocol", problem.kind)
    end
  end)
end)
