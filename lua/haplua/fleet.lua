-- SPDX-License-Identifier: MIT
---@errors refused, unreachable, timeout, denied, doubt
--
--- A fleet: the HAProxys that share an etcd. What people do with it besides maintenance, which haplua.maintenance and
--- `haplua maint` are for:
--
--   local shop <close> = require("haplua.fleet").open()
--   print(shop:status())
--
-- docs/fleet.md says what a fleet is, and how etcd is set up for it.

local errors = require("haplua.error")
local options = require("haplua.base.options")

local M = {}

---@class haplua.FleetPlace
---@field config string?  the configuration's file; nil: $HAPLUA_CONFIG, else /etc/haplua/config.lua
---@field journal string?  this machine's journal, for join(); nil: that of the configuration
---@field file boolean?  false: join() leaves the lists' files alone

---@class haplua.Fleet
---@field name string
---@field c haplua.FleetContext
---@field found haplua.Config
---@field place haplua.FleetPlace
local Fleet = {}
Fleet.__index = Fleet

--- Refuse to write into the store where this run may change nothing, and in a dry run.
local function check_writes(what)
  require("haplua.fleet.actions").check_permitted()
  if require("haproxy").dry_run() then
    errors.refuse(("fleet %s has no dry run"):format(what))
  end
end

--- The fleet that the configuration names. Closing the value closes the connections to etcd. Asks nothing yet.
---@param given haplua.FleetPlace?
---@return haplua.Fleet
---@error refused  the configuration names none, or cannot be read
function M.open(given)
  given = given or {}
  options.check("fleet.open", given, { config = "text", journal = options.any("text", options.one_of(false)), file = "boolean" })
  local found = require("haplua.store.config").read(given.config)
  if not found.fleet then
    errors.refuse("the configuration names no fleet",
      "/etc/haplua/config.lua needs: fleet = { name = \"shop\", node = \"lb1\",\n"
      .. "  etcd = { endpoints = { \"https://10.0.0.1:2379\" }, ca = FILE, cert = FILE, key = FILE } }")
  end
  local c = require("haplua.fleet.actions").open(found, { switch = "-" })
  return setmetatable({ name = c.name, c = c, found = found, place = given }, Fleet)
end

function Fleet:__close()
  self.c.client:close()
end

--- Found the fleet: write into etcd that it is there.
---@return boolean is_new  false: it is there already
function Fleet:init()
  check_writes("init")
  return require("haplua.store.etcd").init(self.c.client, self.name)
end

--- On a node: give the fleet what is in force on this machine, for each switch of the configuration.
---@param how {import: boolean?, keep: boolean?}?  where the fleet has something for a switch, too: `import` gives it this
--- machine's as well, `keep` leaves that to this machine alone
---@return string[] lines  what was done, for people
---@error journal
---@error ambiguous  the fleet has something for a switch, too, and `how` does not say what to do
function Fleet:join(how)
  how = how or {}
  options.check("fleet:join", how, { import = "boolean", keep = "boolean" })
  check_writes("join")
  local place = self.place
  local request = { config = place.config, journal = place.journal, file = place.file ~= false }
  return require("haplua.fleet.join").run(self.c, self.found, request, how)
end

--- After etcd was restored from a snapshot: have the nodes take what it has. The history says who did so.
---@return string[] lines  what was done, for people
function Fleet:accept()
  check_writes("accept")
  return require("haplua.fleet.restored").accept(self.c, require("haplua.store.config").names(self.found))
end

--- What the fleet's store has, and what each node has reported.
---@return haplua.FleetStatus  tostring() is what `haplua fleet status` prints of it; found:nodes_table(), found:portable() (for
--- JSON) and found:exit_status() (5: a node that lives is not where the fleet is)
function Fleet:status()
  return require("haplua.fleet.actions").status(self.c)
end

local Member = {}

function Member:__tostring()
  local alarms, version = table.concat(self.alarms or {}, " "), require("haplua.fleet.etcd_version")
  local text = self.reachable and ("%s  etcd %s%s, %s, revision %d%s"):format(self.endpoint, self.version,
    version.is_too_old(self.version) and (" (too old: haplua needs %s)"):format(version.OLDEST) or "",
    self.leader == self.endpoint and "leader" or self.leader and "follower" or "without a leader", self.revision,
    alarms ~= "" and ", " .. alarms or "") or ("%s  cannot be reached: %s"):format(self.endpoint, self.problem)
  return (errors.visible(text))
end

--- What etcd's members say of themselves.
---@return table[] members  a row for each endpoint; tostring() is a line for people
---@return boolean are_well  each can be reached, has a leader, and no alarm
function Fleet:members()
  local rows, are_well = self.c.client:status(), true
  for _, row in ipairs(rows) do
    are_well = are_well and row.reachable and row.leader ~= nil and #row.alarms == 0
    setmetatable(row, Member)
  end
  return rows, are_well
end

--- The node that plans the windows of the configuration now.
---@return string? node  nil: none does
function Fleet:planner()
  return require("haplua.store.etcd_nodes").planner(self.c.store)
end

--- The lines for etcdctl that give a node or a person the rights that haplua needs, and no others. Asks nothing.
---@param whose {node: string?, operator: string?, windows: boolean?, switches: string[]?, accept: boolean?}  the CN of a
--- node's certificate or of a person's. `windows = false`: the node never plans windows; `switches`: the person may change
--- these alone; `accept`: the person may call `fleet:accept` (write `meta`), too
---@return string[] lines
function Fleet:rights(whose)
  options.check("fleet:rights", whose, {
    node = "text", operator = "text", windows = "boolean", switches = options.list("text"), accept = "boolean",
  })
  if (whose.node == nil) == (whose.operator == nil) then
    options.misuse("fleet:rights", "of whom? Give either `node` or `operator`")
  end
  local rights = require("haplua.fleet.rights")
  return whose.node and rights.of_node(self.name, whose.node, whose.windows ~= false)
    or rights.of_operator(self.name, whose.operator, whose.switches or {}, whose.accept)
end

--- Remove what the store has of a node that is gone.
---@param node string  its name
---@error refused  there is no such node, or it is live
function Fleet:forget(node)
  options.argument("fleet:forget", "node", node, "text")
  check_writes("forget")
  local nodes, store = require("haplua.store.etcd_nodes"), self.c.store
  store:snapshot() -- there is such a fleet
  local known = nodes.known(store)[node]
  if not known then
    errors.refuse(("the fleet %s has no node %s"):format(self.name, errors.visible(node)), "haplua fleet nodes shows them")
  elseif known.live then
    errors.refuse(("%s is live: it would come back"):format(node),
      "stop haplua keep there; 30 seconds later it does not count as live any more")
  end
  nodes.forget(store, node)
end

return M
