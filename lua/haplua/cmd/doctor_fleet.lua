-- SPDX-License-Identifier: MIT
--
--- `maint doctor` where the configuration names a fleet: etcd's members, this machine's certificate and rights, the nodes.
-- What it writes into the store is a question to the nodes, under a lease.

local cache = require("haplua.fleet.cache")
local errors = require("haplua.error")
local nodes = require("haplua.store.etcd_nodes")
local span = require("haplua.time.instant").span
local task = require("haplua.task")
local version = require("haplua.fleet.etcd_version")

-- Days before a certificate's end, bytes of a database, and revisions that nothing has compacted, from which on to warn.
local EXPIRY <const> = 30
local SIZE <const> = 1500 * 1000 * 1000
local UNCOMPACTED <const> = 20000

-- Seconds for which answers of the nodes are awaited, and the difference of a clock from which on to warn.
local WITHIN <const> = 5
local SKEW <const> = 2

--- One member of etcd.
local function check_member(e, row)
  if not row.reachable then
    return e:warn(("%s cannot be reached: %s"):format(row.endpoint, row.problem),
      "is etcd running there, and may this machine connect?")
  elseif not row.version then
    return e:note(("%s says nothing of itself: %s"):format(row.endpoint, row.problem))
  end
  for _, alarm in ipairs(row.alarms) do
    local is_full = alarm == "NOSPACE"
    e:fail(("%s: %s"):format(row.endpoint, is_full and "NOSPACE: the database is full, and takes no change" or alarm),
      is_full and "etcdctl compact REVISION, etcdctl defrag of each member, then etcdctl alarm disarm" or nil)
  end
  if not row.leader then
    e:fail(row.endpoint .. " has no leader", "more than half of the members must reach each other")
  elseif version.is_too_old(row.version) then
    e:warn(("%s is etcd %s: older than %s, a watch may miss events after a compaction"):format(row.endpoint, row.version,
      version.OLDEST), "upgrade etcd, one member after the other")
  elseif row.db_size and row.db_size > SIZE then
    e:warn(("%s has a database of %d MB: at 2,048 MB, unless --quota-backend-bytes says more, etcd takes no change"):format(
      row.endpoint, row.db_size // 1000000), "etcdctl defrag, and --auto-compaction-retention=1h")
  else
    e:ok(("%s, etcd %s%s"):format(row.endpoint, row.version, row.leader == row.endpoint and ", the leader" or ""))
  end
end

local function check_etcd(e, c)
  e.about = "etcd"
  for _, row in ipairs(c.client:status()) do
    check_member(e, row)
  end
end

--- A certificate of this machine.
local function check_certificate(e, path, what)
  local f = io.open(path)
  local found, problem
  if f then
    local _ <close> = f
    found, problem = require("haplua.fleet.x509").read(f:read("a") or "")
  end
  if not found then
    return e:warn(("%s: %s"):format(path, problem or "it cannot be read"))
  end
  local left = found.ends - task.time()
  local text = ("%s: %s%s"):format(path, what, found.name and " of " .. found.name or "")
  if left < 0 then
    e:fail(("%s has ended %s ago"):format(text, span(-left)), "put a new one there, and restart haplua keep")
  elseif left < EXPIRY * 86400 then
    e:warn(("%s ends in %s"):format(text, span(left)), "put a new one there, and restart haplua keep")
  else
    e:ok(("%s, for %d days more"):format(text, left // 86400))
  end
  return found.name
end

--- May this user do that? The transaction is never carried out; etcd checks the rights before it compares. An etcd without
-- space refuses the transaction whatever the rights are.
---@return boolean? may  nil: not known, since etcd has no space
local function may_put(c, key)
  local ok, problem = pcall(c.client.txn, c.client, {
    compare = { { key = c.store.prefix .. "meta", target = "version", result = "=", value = 0 } },
    success = { { "put", key = c.store.prefix .. key, value = "-" } },
  })
  local code = not ok and errors.is(problem) and problem.code
  if not ok and code ~= "7" and code ~= "8" then
    error(problem, 0)
  end
  if code ~= "8" then
    return ok
  end
end

--- Who is this machine for etcd, and what may it do?
local function check_rights(e, c, name)
  e.about = "rights"
  local who = name and ("the user is %s"):format(name) or "there is no client certificate"
  local ok, problem = pcall(c.client.range, c.client, { key = "\0", limit = 1, keys_only = true })
  if ok then
    e:warn(("%s, and may read keys outside this fleet: etcd's authentication is off, or the user has all rights"):format(who),
      "haplua fleet rights prints the rights that are needed; etcdctl auth enable")
  elseif not (errors.is(problem) and problem.code == "7") then
    error(problem, 0)
  end
  local may_number, switches = may_put(c, "ids"), {}
  if may_number == nil then
    e:note(who .. "; what it may do is not known while etcd has no space")
    return false
  end
  for _, switch in ipairs(require("haplua.store.config").names(e.fleet)) do
    local key = require("haplua.store.etcd_records").key("m", switch, "0")
    switches[#switches + 1] = may_put(c, key) and switch or nil
  end
  local may_write = may_number and switches[1] ~= nil
  e:ok(("%s; it may %s"):format(who, may_write and "begin and end maintenances of " .. table.concat(switches, ", ")
    or "read only"))
  return may_write
end

--- Is the store the one that this node has read, and not an older one?
local function check_store(e, c, read)
  e.about = "store"
  local before = e.store and e.store.path and cache.peek(e.store, c.name)
  if before and before.uid and before.uid ~= read.uid then
    e:fail(("the store has another fleet of the name %s than before: this node takes nothing of it"):format(c.name),
      "restore the former one; or, if this is meant, forget it here: haplua fleet join --import")
  elseif before and before.revision > read.ids_revision then
    e:fail(("the store is at revision %d, and was at %d: it seems to be restored from an older snapshot"):format(
      read.ids_revision, before.revision), "this node takes nothing of it until it is as new")
  else
    e:ok(("fleet %s, revision %d"):format(c.name, read.revision))
  end
  for _, key in ipairs(read.unread) do
    e:warn("a key holds no maintenance that this haplua understands: " .. key, "etcdctl get shows it")
  end
  local ok = read.revision > UNCOMPACTED and pcall(c.client.range, c.client, { key = c.store.prefix .. "meta", revision = 1 })
  if ok then
    e:warn(("etcd has compacted nothing in %d revisions: its database grows until it takes no change"):format(read.revision),
      "start each member with --auto-compaction-retention=1h")
  end
end

--- What each node says of its clock, when it is asked.
local function check_answers(e, c)
  local asked, seen = task.time(), {}
  local states = require("haplua.fleet.together").ask(c, {}, WITHIN, function(node, answer)
    seen[node.name] = seen[node.name] or { at = answer.at, by = task.time(), unsynchronised = answer.unsynchronised }
  end)
  for _, state in ipairs(states) do
    local one = seen[state.name]
    if state.state == "behind" then
      e:warn(("%s does not answer"):format(state.name),
        "an older haplua does not: install this one there; or see `journalctl -u haplua-keep`")
    elseif state.state == "failed" then
      e:fail(("%s: %s"):format(state.name, state.text), "haplua maint doctor on that node")
    end
    local off = one and (one.at > one.by + SKEW and one.at - one.by or one.at < asked - SKEW and one.at - asked)
    if off then
      e:warn(("the clock of %s is %s %s"):format(state.name, span(math.abs(off)), off > 0 and "ahead" or "behind"),
        "maintenances begin and end by it: let systemd-timesyncd or chrony set it")
    elseif one and one.unsynchronised then
      e:warn(("the clock of %s is not synchronised"):format(state.name), "let systemd-timesyncd or chrony set it")
    end
  end
end

--- Which nodes are there, and as the fleet has it?
local function check_nodes(e, c, may_write)
  local actions, results = require("haplua.fleet.actions"), require("haplua.fleet.result")
  local found, versions, away = actions.status(c), {}, {}
  e.about = "nodes"
  for _, node in ipairs(found.nodes) do
    if not node.live then
      away[#away + 1] = node.name
    else
      local text, is_well = results.site_of(found, node)
      if not is_well then
        e:fail(("%s is not as the fleet has it: %s"):format(node.name, text), "haplua maint doctor on that node")
      end
    end
    local own = node.live and ((node.card or {}).version or "an older one")
    versions[own or false] = own and (versions[own] and versions[own] .. " " or "") .. node.name or nil
  end
  if away[1] then
    e:warn(("not live: %s"):format(table.concat(away, " ")),
      "start haplua keep there; haplua fleet forget removes one that is gone")
  end
  if next(versions) and next(versions, (next(versions))) then
    for own, names in pairs(versions) do
      e:note(("haplua %s on %s"):format(own, names))
    end
  end
  if may_write then
    check_answers(e, c)
  end
  e:ok(("%d nodes, %d live"):format(#found.nodes, #found.nodes - #away))
  return found
end

--- Is there a planner, and does keep run on this node?
local function check_keep(e, c, found)
  local name = e.fleet.fleet.node or require("haplua.process").person().host
  for _, node in ipairs(found.nodes) do
    if node.name == name then
      e.about = "keep"
      e[node.live and "ok" or "fail"](e, node.live and "it runs on this node, " .. name or name
        .. ", this node, is not live: haplua keep does not run, or does not reach the store",
        not node.live and "systemctl status haplua-keep" or nil)
    end
  end
  e.about = "planner"
  local planner = nodes.planner(c.store)
  if planner then
    e:ok(planner .. " plans the windows")
  elseif #(e.fleet.windows or {}) > 0 then
    e:warn("the configuration has windows, and no node plans them",
      "haplua keep of a node with windows in its configuration does, unless its rights were given with --no-windows")
  end
end

--- Add findings on the fleet.
---@param e haplua.Examination
---@param found haplua.Config  with a fleet
return function(e, found)
  local etcd = found.fleet.etcd
  e.fleet, e.about = found, "certificate"
  local name = etcd.cert and check_certificate(e, etcd.cert, "the certificate")
  if etcd.ca then
    check_certificate(e, etcd.ca, "the authority")
  end
  e.about = "etcd"
  local names = require("haplua.store.config").names(found)
  local c <close> = require("haplua.fleet.actions").open(found, { switch = names[1] or "-" })
  check_etcd(e, c)
  e.about = "store"
  check_store(e, c, c.store:snapshot())
  check_keep(e, c, check_nodes(e, c, check_rights(e, c, name)))
end
