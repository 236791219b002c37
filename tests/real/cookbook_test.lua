-- SPDX-License-Identifier: MIT
--
-- Recipes of docs/cookbook.md on a real HAProxy: what visitors get of lists and maps, certificates, a reload.

local site = require("site")
local support = require("support")

local reader = dofile("tests/documents/reader.lua")

local FRONTEND <const> = [[
    acl blocked req.hdr(x-client) -u 9100 -m ip
    http-request deny if blocked
    use_backend %[str(live),map(DIR/live.map,blue)] if { path_beg /live }]]

local MORE <const> = [[
backend blue
    server b1 127.0.0.1:1
    server b2 127.0.0.1:1
    http-request return status 200 hdr x-live blue
backend green
    server g1 127.0.0.1:1 weight 100
    http-request return status 200 hdr x-live green
frontend tls
    bind 127.0.0.1:TLS ssl crt DIR/soon.pem crt DIR/later.pem
    default_backend app]]

--- Make a certificate that ends in some days.
local function certificate(folder, name, days)
  local status, _, text = run({ "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", tostring(days),
    "-subj", "/CN=" .. name .. ".example", "-keyout", folder .. "/key", "-out", folder .. "/crt", stderr = "capture" })
  assert(status == 0, text)
  run({ "sh", "-c", 'cd "$1" && cat crt key >"$2.pem"', "sh", folder, name })
end

describe("on a real HAProxy, the recipe", function()
  local s, folder

  setup(function()
    folder = support.folder()
    local f <close> = assert(io.open("docs/cookbook.md"))
    for _, block in ipairs(reader.blocks(f:read("a"))) do
      local name = (reader.mark(block, "file") or ""):match("([^/]+)$")
      if name then
        folder.write(name, table.concat(block.lines, "\n") .. "\n")
      end
    end
    certificate(folder.path, "soon", 5)
    certificate(folder.path, "later", 400)
    folder.write("live.map", "live blue\n")
    s = site.start({
      frontend = FRONTEND:gsub("DIR", folder.path),
      more = MORE:gsub("%f[%w][A-Z]+%f[%W]", { DIR = folder.path, TLS = site.free_port() }),
    })
  end)

  teardown(function()
    if s then
      s:close()
    end
    run({ "rm", "-rf", folder.path })
  end)

  local function start(name, options, ...)
    options = options or {}
    table.move({ folder.path .. "/" .. name .. ".lua", ... }, 1, 1 + select("#", ...), #options + 1, options)
    return s:haplua(options)
  end

  it("certificates names those that end", function()
    local result = start("certificates")
    assert.equal(1, result.status)
    assert.matches("^/%S+/soon.pem ends in %d+ days\n$", result.out)
    support.good(start("certificates", nil, "1"))
  end)

  it("green sends visitors to the other backend, and back", function()
    s.journal = folder.path .. "/journal.db"
    local env = { LIVE_MAP = folder.path .. "/live.map" }
    local function now()
      return s:get("/live", "-D", "-").body:lower():match("x%-live: (%l+)"), s.target:servers("blue")[1].admin
    end
    assert.same({ "blue", "ready" }, { now() })
    assert.matches("green in place of blue", support.good(start("green", { env = env }, "green")))
    assert.same({ "green", "drain" }, { now() })
    support.good(start("green", { env = env }, "blue"))
    assert.same({ "blue", "ready" }, { now() })
    assert.equal(1, start("green", { env = env }, "purple").status)
  end)

  it("block denies an address, and lets it in again when it is interrupted", function()
    local function status()
      return s:get("/", "-H", "X-Client: 192.0.2.7").status
    end
    local words = support.program("-s", s.socket, folder.path .. "/block.lua", "192.0.2.0/24")
    words.stdout, words.stderr = "null", "null"
    local policy = task.spawn(run, words)
    local latest = task.now() + 60
    while status() ~= 403 and task.now() < latest do
      task.sleep(0.05)
    end
    assert.equal(403, status())
    assert.equal(200, s:get("/").status)
    policy:cancel()
    pcall(policy.wait, policy)
    assert.equal(200, status())
  end)

  it("restart runs nothing in a dry run, and would drain each server", function()
    folder.write("ssh", "#!/bin/sh\necho called >" .. folder.path .. "/called\n", "0755")
    local env = { PATH = folder.path .. ":" .. os.getenv("PATH") }
    local result = start("restart", { "-n", env = env }, "blue")
    assert.equal(4, result.status, result.err)
    assert.matches("would send to [^\n]*: set server blue/b1 state drain", result.out)
    assert.is_nil(io.open(folder.path .. "/called"))
    assert.equal("ready", s.target:servers("blue")[1].admin)
  end)

  it("weights gives the servers their weights again after a reload", function()
    s.target:server_set({ server = "green/g1", weight = 42 })
    local noted, again = support.event(), support.event()
    local words = support.program("-s", s.socket, folder.path .. "/weights.lua", "green")
    words.stdout = function(line)
      (line:find("are noted") and noted or again).set(line)
    end
    words.stderr = again.set -- shows why it has ended
    local policy <close> = task.spawn(run, words)
    noted.wait()
    s:reload()
    assert.matches("its weights are those of before", again.wait())
    assert.equal(42, s.target:servers("green")[1].srv_uweight)
    policy:cancel()
    pcall(policy.wait, policy)
  end)
end)
