-- SPDX-License-Identifier: MIT
--
--- A fleet for tests under `haplua test`: N nodes, each a fake HAProxy and `haplua keep` with a configuration and a journal
-- of its own, and an operator beside them, on a fake etcd of three members.

local assert = require("haplua.test.assert").assert
local etcd_store = require("haplua.store.etcd")
local file = require("haplua.file")
local task = require("haplua.task")
local test = require("haplua.test")

local M = {}

M.MEMBERS = { "https://e1:2379", "https://e2:2379", "https://e3:2379" }

---@class tests.Fleet
---@field etcd haplua.test.Etcd
---@field client table  the operator's
---@field store haplua.EtcdStore  the operator's
---@field fakes haplua.test.HAProxy[]
---@field runs haplua.test.Run[]  of `haplua keep`
---@field configs string[]
---@field journals string[]
---@field operator string  the configuration of an operator's machine
local Fleet = {}
Fleet.__index = Fleet

local count = 0

--- Write the configuration of node `i`.
---@param fleet tests.Fleet
---@param i integer
---@param windows string[][]?
function M.configure(fleet, i, windows)
  local dir = ("%s/fleet%d-%d"):format(test.folder(), count, i)
  file.folder(dir)
  local lines, config = {}, dir .. "/config.lua"
  for n, window in ipairs(windows or {}) do
    lines[n] = ("{ window = %q, tz = 'UTC', switch = 'site', paths = { %q } },"):format(window[1], window[2])
  end
  local f <close> = assert(io.open(config, "w"))
  f:write(([[return { journal = %q, switches = { site = { acl = "#9999" } }, windows = { %s },
    fleet = { name = "shop", node = "lb%d", labels = { dc = %q }, etcd = { endpoints = { "%s" }, cert = "/x/lb%d.crt",
      key = "/x/k" } } }]]):format(dir .. "/journal.db", table.concat(lines), i, i % 3 == 0 and "par" or "fra",
    table.concat(M.MEMBERS, '", "'), i))
  fleet.configs[i], fleet.journals[i] = config, dir .. "/journal.db"
end

--- Start the agent of node `i`.
function Fleet:start(i)
  self.runs[i] = test.start({ "scripts/keep.lua", "--config", self.configs[i], on = { self.fakes[i] } })
end

---@param n integer
---@param options {windows: string[][]?}?
---@return tests.Fleet
function M.new(n, options)
  count = count + 1
  local etcd = test.etcd({ endpoints = M.MEMBERS })
  local client = etcd:connect({ cert = "operator" })
  etcd_store.init(client, "shop")
  local self = setmetatable({ etcd = etcd, client = client, store = etcd_store.open(client, "shop"), fakes = {}, runs = {},
    configs = {}, journals = {} }, Fleet)
  for i = 1, n do
    self.fakes[i] = test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
    M.configure(self, i, options and options.windows)
    self:start(i)
  end
  self.operator = ("%s/operator%d.lua"):format(test.folder(), count)
  local f <close> = assert(io.open(self.operator, "w"))
  f:write(([[return { default = "site", switches = { site = { acl = "#9999" } }, fleet = { name = "shop",
    etcd = { endpoints = { "%s" }, cert = "/x/operator.crt", key = "/x/k" } } }]]):format(table.concat(M.MEMBERS, '", "')))
  test.settle()
  return self
end

local function wish(action, switch)
  return { target = "shop", acl = switch, switch = switch, action = action, patterns = {}, user = "op", host = "desk" }
end

--- Begin a maintenance, as an operator.
---@param given {paths: string[], lasts: number?, nodes: string[]?, labels: table?, acl: string?}
---@return haplua.Maintenance
function Fleet:on(given)
  local now, switch = task.time(), given.acl or "site"
  local m = { target = "shop", acl = switch, switch = switch, scope = { paths = given.paths }, origin = "on", user = "op",
    host = "desk", begins = now, ends = given.lasts and now + given.lasts, nodes = given.nodes, labels = given.labels }
  self.store:finish(self.store:begin(wish("on", switch), { { add = m } }), { worker = 0, started = 0 })
  return m
end

--- Run `maint` on the operator's machine.
---@param ... string  its words
---@return haplua.test.Result
function Fleet:maint(...)
  return test.run({ "scripts/maint.lua", "--config", self.operator, on = { self.fakes[1] }, ... })
end

--- What a run printed that ended as expected, without a word on standard error.
---@param result haplua.test.Result
---@param status integer?  0 unless given
---@return string
function M.good(result, status)
  assert.same({ status or 0, "" }, { result.status, result.err }, result.out)
  return result.out
end

--- End a maintenance.
---@param id integer
function Fleet:off(id)
  local set = { ended = task.time(), why = "off", ended_by = "op@desk" }
  self.store:begin(wish("off", "site"), { { of = { id = id }, set = set } })
end

--- What the HAProxys hold, each as one text.
---@return string[]
function Fleet:lists()
  local found = {}
  for i, fake in ipairs(self.fakes) do
    local list = fake:acl("#9999")
    table.sort(list)
    found[i] = table.concat(list, " ")
  end
  return found
end

--- The node that plans the windows.
---@return string?
function Fleet:planner()
  local kv = self.client:range({ key = self.store.prefix .. "elect/planner" }).kvs[1]
  return kv and kv.value:match('"node":"([^"]*)"')
end

return M
