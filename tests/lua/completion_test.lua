-- SPDX-License-Identifier: MIT
--
-- Completion at a shell: what `haplua complete` answers, and what bash and fish make of it.

local support = require("support")

-- An installed haplua, which finds its policies.
local installed, program

setup(function()
  installed = support.folder()
  program = support.install(installed.path)
end)

teardown(function()
  getmetatable(installed).__close()
end)

--- The candidates for the last word.
---@return string names  with commas between them
local function complete(words, given)
  given = given or {}
  local line = { "complete", "--", table.unpack(words) }
  line.program, line.env, line.cwd = program, given.env, given.cwd
  local names = {}
  for name in support.good(support.haplua(line)):gmatch("([^\t\n]+)[^\n]*") do
    names[#names + 1] = name
  end
  return table.concat(names, ",")
end

describe("haplua complete", function()
  it("knows policies, commands and options by their declarations", function()
    local folder <close> = support.folder()
    run({ "mkdir", folder.path .. "/policies" })
    folder.write("policies/mine.lua", 'require("haplua.cli").parse({ name = "mine", help = "x", commands = {\n'
      .. '{ "go", help = "Go.", options = { { "--far", value = "FILE", help = "how far" } } } } }, arg)')
    folder.write("there.txt", "")
    local function here(...)
      return complete({ ... }, { cwd = folder.path })
    end
    assert.equal("maint,mine", here("m"))
    assert.equal("go", here("mine", ""))
    assert.equal("--far", here("mine", "go", "-"))
    assert.equal("policies/,there.txt", here("mine", "go", "--far", ""))
    assert.equal("--far=there.txt", here("mine", "go", "--far=t"))
    assert.equal("there.txt", here("mine", "go", "--far", "=", "t"), "as bash splits the words")
    assert.equal("policies/mine.lua", here("policies/"))
    assert.equal("off,on", here("maint", "o"))
    assert.equal("on", here("-n", "-t", "5", "maint", "on"))
    assert.equal("--path", here("maint", "--acl", "#1", "on", "--pa"))
    assert.equal("--timeout,--trace", here("--t"))
    assert.matches("^change,doctor,during,.*off,on,", here("help", "maint", ""))
    assert.equal("--name,--names", here("test", "--na") .. "," .. here("list", "--na"))
    assert.equal("", here("maint", "on", "--reason", ""))
    assert.equal("", here("nope", "-"))
  end)

  it("asks HAProxy for servers and lists", function()
    local header = "1\\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
      .. "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
      .. "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr "
      .. "srv_agent_addr srv_agent_port\\n"
    local row = "2 app %d a%d 127.0.0.1 2 0 1 1 5 1 0 1 0 0 0 0 - 80 - 0 0 - - 0\\n"
    local fake <close> = support.fake({ "read", "say \\n" .. header .. row:format(1, 1) .. row:format(2, 2) .. "\\n" })
    assert.equal("app/a1,app/a2", complete({ "-s", fake.address, "drain", "" }))
    assert.equal("app/a2", complete({ "maint", "on", "--server", "app/a2" }, { env = { HAPLUA_SOCKET = fake.address } }))
    assert.equal("app", complete({ "-s", fake.address, "rolling", "" }))
    assert.equal("", complete({ "-s", "/nowhere/there", "drain", "" }))
  end)

  it("knows switches by the configuration, and maintenances by the journal", function()
    local folder <close> = support.folder()
    local config = folder.write("config.lua", ("return { journal = %q, switches = { site = { acl = '#9999' }, "
      .. "shop = { acl = '#1' } } }"):format(folder.path .. "/journal.db"))
    assert.equal("shop,site", complete({ "maint", "--switch", "s" }, { env = { HAPLUA_CONFIG = config } }))
    assert.equal("site", complete({ "maint", "--config", config, "--switch", "si" }))
    assert.equal("", complete({ "maint", "off", "" }, { env = { HAPLUA_CONFIG = config } }))
    folder.write("plan_test.lua", ([[
      local test = require("haplua.test")
      it("plans", function()
        test.env({ HAPLUA_CONFIG = %q })
        test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
        assert.equal(0, test.run("scripts/maint.lua", "on", "--switch", "site", "--path", "/shop").status)
      end)
    ]]):format(config))
    support.good(support.haplua({ "test", folder.path .. "/plan_test.lua" }))
    assert.equal("m1", complete({ "maint", "--switch", "site", "off", "" },
      { env = { HAPLUA_CONFIG = config, HAPLUA_JOURNAL = false } }))
  end)
end)

describe("the completion of", function()
  it("bash gives the candidates, quoted", function()
    local folder <close> = support.folder()
    folder.write("a file", "")
    local function bash(...)
      local _, out = run({
        stdout = "capture", cwd = folder.path, "bash", "-c",
        [[. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { echo "compopt $*"; }
          _haplua; printf '%s\n' "${COMPREPLY[@]}"]],
        os.getenv("PWD") .. "/packaging/completion/haplua.bash", program, ...,
      })
      return out
    end
    assert.equal("off\non\n", bash("maint", "o"))
    assert.equal("a\\ file\n", bash("maint", "--config", "'a"))
    run({ "mkdir", folder.path .. "/folder" })
    assert.equal("compopt -o nospace\nfolder/\n", bash("maint", "--config", "fo"))
  end)

  it("fish gives the candidates with what they mean", function()
    if run({ "sh", "-c", "command -v fish >/dev/null" }) ~= 0 then
      pending("fish is not installed")
    end
    local _, out = run({
      "fish", "--no-config", "-c", ('source packaging/completion/haplua.fish; complete -C "haplua maint o"'),
      env = { PATH = program:match("^(.*)/") .. ":" .. os.getenv("PATH") }, stdout = "capture",
    })
    assert.matches("^off\tEnd a maintenance", out)
  end)
end)
