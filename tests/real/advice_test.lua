-- SPDX-License-Identifier: MIT
--
-- Lines of HAProxy's configuration in haplua's messages: HAProxy takes each of them. A line that no test here knows fails
-- the test, so that new advice is tried, too.

local detours = require("haplua.rules.detours")
local lines = require("haplua.haproxy.lines")
local site = require("site")
local support = require("support")

-- Sources whose texts people read, and what a line of a frontend begins with.
local FOLDERS <const> = { "lua/haplua", "scripts" }
local BEGINNINGS <const> = {
  "use_backend [%w_-]+ if .*", "acl [%w_-]+ [%w_%.]+ %-.*", "http%-request [%l-]+[%s%(].*", "tcp%-request %l+ .*",
}

-- The beginnings of those that the test above gives to HAProxy. The last ones are a rehearsal's and those of `maint page
-- check`, whose tests give them.
local KNOWN <const> = {
  "acl maintenance-bypass src -u 9998",
  "use_backend maintenance if %s", "use_backend maintenance if maintenance", "http-request set-var(txn.@",
  "use_backend maintenance if { var(txn.@maintenance) -m found } !{ var(txn.@lacks) -m int 0 }",
  "http-request deny deny_status 400 unless { req.hdr(host) -m found }",
  "http-request return status 200 content-type text/plain string haplua hdr",
  "http-request return status 503 content-type text/html lf-file '%s'",
  "http-request return status 503 content-type text/html file '%s'",
}

describe("advice", function()
  it("has lines that HAProxy takes", function()
    local folder <close> = support.folder()
    folder.write("list", "")
    folder.write("list.map", "")
    folder.write("list-bypass.map", "")
    local switch = { acl = folder.path .. "/list.map", kind = "map" }
    local list = folder.path .. "/list"
    local words = { "acl", "maintenance", "path", "-i", "-m", "reg", "-f", list }
    local declared = detours.declaration({ lines = { { file = "x", line = 1, words = words } } }, { file = list })
    for _, text in ipairs({
      "acl maintenance path -i -m reg -u 9999\nacl maintenance-bypass src -u 9998\n" .. lines.NO_HOST
        .. "\nuse_backend maintenance if maintenance !maintenance-bypass",
      declared.line .. "\n" .. declared.odd .. "\nuse_backend maintenance if maintenance", lines.of_map(switch),
      lines.of_map(switch) .. "\n" .. lines.of_map(switch, detours.PLAIN), "acl maintenance base -i -m reg -f " .. folder.path
        .. "/list\nuse_backend maintenance if maintenance" }) do
      local config = folder.write("advised.cfg", "global\nstats socket " .. folder.path .. "/s mode 660 level admin\n"
        .. "defaults\nmode http\ntimeout connect 1s\ntimeout client 1s\ntimeout server 1s\nfrontend f\nbind 127.0.0.1:"
        .. site.free_port() .. "\n" .. text .. "\nbackend maintenance\nserver s 127.0.0.1:1\n")
      local accepted, output = site.accepts(config)
      assert.is_true(accepted, text .. "\n" .. output)
    end
  end)

  it("has no other lines", function()
    local _, names = run({ "find", FOLDERS[1], FOLDERS[2], "-name", "*.lua", stdout = "capture" })
    local unknown = {}
    for name in names:gmatch("[^\n]+") do
      for line in io.lines(name) do
        for _, beginning in ipairs(BEGINNINGS) do
          local text = not line:find("^%s*%-%-") and line:match("%f[%w]" .. beginning)
          local is_known = not text
          for _, start in ipairs(KNOWN) do
            is_known = is_known or text:sub(1, #start) == start
          end
          unknown[#unknown + 1] = not is_known and ("%s: %s"):format(name, text) or nil
        end
      end
    end
    assert.same({}, unknown)
  end)
end)
