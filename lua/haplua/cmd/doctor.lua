-- SPDX-License-Identifier: MIT
--
--- `maint doctor`: check the set-up and say what to fix. Changes nothing.
-- A check gives findings: ok, note (worth knowing), warn (fails in some situation) or fail (does not work), each
-- with an advice where something is to be done.

local advice = require("haplua.host.advice")
local change = require("haplua.apply.change")
local config = require("haplua.store.config")
local context = require("haplua.apply.context")
local enumerate, list_name = require("haplua.apply.result").enumerate, require("haplua.apply.result").list_name
local file = require("haplua.file")
local lines = require("haplua.haproxy.lines")
local list = require("haplua.haproxy.list")
local listfile = require("haplua.haproxy.list_file")
local moment = require("haplua.time.instant")
local reply = require("haplua.reply")
local scope = require("haplua.plan.scope")
local status = require("haplua.apply.status")
local switch = require("haplua.haproxy.switch")
local task = require("haplua.task")
local visible = require("haplua.error").visible

---@class haplua.Finding
---@field state "ok"|"note"|"warn"|"fail"
---@field about string
---@field text string
---@field advice string?

---@class haplua.Examination
---@field findings haplua.Finding[]
---@field about string  of the findings that are added
---@field request haplua.Request
---@field target haplua.Target
---@field c haplua.Context?
---@field state haplua.switch.State?
---@field store haplua.Store?  the journal
---@field verdicts haplua.rules.Verdict[]?
local Examination = {}
Examination.__index = Examination

for _, state in ipairs({ "ok", "note", "warn", "fail" }) do
  --- Add a finding: e:warn("the text", "what to do").
  Examination[state] = function(e, text, advice_text)
    e.findings[#e.findings + 1] = { state = state, about = e.about, text = text, advice = advice_text }
  end
end

-- The checks. Each may use what the checks before it in ORDER have put into the examination, and may raise.
local checks = {}

--- The socket's file: its mode and its owner.
function checks.socket(e)
  local path = tostring(e.target:address()):gsub("^unix@", "")
  local info = path:find("^[/.]") and file.info(path)
  if not path:find("^[/.]") then
    e:warn(("%s: TCP: whoever reaches the port is an administrator"):format(path),
      "use a Unix socket, or bind to 127.0.0.1 behind ssh or TLS")
  elseif info and tonumber(info.mode, 8) & 6 ~= 0 then
    e:warn(("%s has mode %s: every user of this machine may switch the site off"):format(path, info.mode),
      "in HAProxy's `global`: stats socket " .. path .. " mode 660 group haproxy level admin")
  elseif info then
    e:ok(("%s, mode %s, %s"):format(path, info.mode, info.owner))
  end
end

--- HAProxy answers, and its version.
function checks.HAProxy(e)
  local info = e.target:info()
  e:ok(("%s, process %s, up for %s"):format(info.Version, info.Pid, moment.span(info.Uptime_sec)))
  if info.Maxconn and info.CurrConns and info.CurrConns >= info.Maxconn then
    e:warn(("all its %d connections are taken"):format(info.Maxconn), "raise maxconn")
  end
  for _, one in ipairs(require("haplua.haproxy.processes").others(e.target, info.Pid)) do
    e[one.serious and "fail" or "note"](e, one.text, one.advice)
  end
  if not e.target:has("transactions") then
    e.about = "version"
    e:note(("HAProxy %s lacks transactions (2.4): lists are changed entry by entry, new ones first"):format(info.Version),
      "no request gets past a maintenance for it; a change of both scope and bypass is two steps")
  end
end

--- The socket's level. Up to 3.2 lists may be changed at any level, servers at admin only; 3.4 wants admin for both.
function checks.level(e)
  local level = e.target:send("show cli level"):match("%a+")
  if level == "admin" then
    e:ok("admin")
  else
    e:warn(("%s: servers cannot be changed, and from HAProxy 3.4 on lists neither"):format(tostring(level)),
      "in HAProxy's `global`: stats socket ... level admin")
  end
end

--- The configuration file, and the switch that it declares.
function checks.configuration(e)
  local found = config.read(e.request.config)
  e:ok(found.path and ("%s: %s"):format(found.path, table.concat(config.names(found), ", "))
    or "no file: the ACL is " .. config.switch(found, e.request.switch, e.request.acl).acl)
  local info = found.path and file.info(found.path)
  if info and tonumber(info.mode, 8) & 2 ~= 0 then
    e:warn(("%s may be written by everybody (mode %s)"):format(found.path, info.mode), "chmod o-w " .. found.path)
  end
  e.c = context.open(setmetatable({ journal = false }, { __index = e.request }), true)
end

--- The ACL: what it looks at, and how it matches.
function checks.ACL(e)
  local switch_name, acl = e.c.switch.name, e.c.switch.acl
  local state = switch.look(e.c.target, e.c.switch)
  e.state = state
  local looks_at = state.kind and "the " .. state.kind or "something that HAProxy does not tell"
  local text = ("%s looks at %s, match method '%s', "):format(list_name(acl, e.c.switch.given), looks_at, state.method)
  if pcall(scope.patterns, {}, state.kind, state.method) then
    e:ok(text .. "can take the whole site")
  else
    e:warn(text .. "has no pattern for the whole site",
      "declare it with `path -i -m reg`, or `base -i -m reg` for hosts")
  end
  if not state.kind then
    e:note("--path and --host need to know what the ACL looks at",
      ("in the configuration of haplua: %s = { acl = %q, fetch = \"base\" } (or \"path\", ...)"):format(
        switch_name:match("^%a[%w_]*$") or "site", acl))
  elseif state.kind == "path" then
    e:note("hosts cannot be told apart",
      "declare it with `base -i -m reg` instead of `path`: its value is the host and the path")
  end
  if state.state.tests[1] and state.state.tests[1].case == "sensitive" and state.kind ~= "address"
    and state.method ~= "map_reg" then
    e:note("upper and lower case differ: /Shop is not /shop", "declare it with -i if your application takes both")
  end
end

--- The state, by HAProxy's word on a value that matches when the whole site is under maintenance.
function checks.effect(e)
  local state = e.state
  local ok, probe = pcall(scope.probe, {}, state.kind, state.method)
  probe = ok and probe or "/"
  local found = list.match(reply.matches(e.c.target:send({ "get", e.c.switch.kind, e.c.switch.acl, probe })))
  e:ok(("maintenance is %s: %s; HAProxy says that %s %s"):format(#state.patterns > 0 and "on" or "off",
    enumerate(state.patterns), probe, found and "matches" or "does not match"))
end

-- What gets round a scope, by what it names.
local DETOURS <const> = {
  { "paths", "a maintenance of /shop does not close what an application may take for it" },
  { "hosts", "a maintenance of shop.example.com does not close all that an application may take for it" },
  { "site", "a maintenance of the whole site does not close all requests" },
}

--- Requests that get round a scope, though an application may take them for those that it closes.
local function say_detours(e, verdict)
  if (verdict.detours or {}).paths and not verdict.detours.letters then
    e:warn(("frontend %s: a maintenance of /Shop closes nothing: the list sees paths in small letters, and its patterns keep "
      .. "their capitals"):format(verdict.frontend), "declare the list with -i before -f")
  end
  for _, row in ipairs(DETOURS) do
    local detours = (verdict.detours or {})[row[1]]
    if detours and #detours.open > 0 then
      e:note(("frontend %s: %s: %s"):format(verdict.frontend, row[2], table.concat(detours.open, ", ")),
        lines.against(e.c.switch, row[1], detours, verdict.declaration))
    end
    if detours and #detours.unknown > 0 then
      e:note(("frontend %s: not known: does a maintenance close %s?"):format(verdict.frontend,
        table.concat(detours.unknown, ", ")))
    end
  end
end

--- What each frontend does with the requests that the list matches, by HAProxy's configuration.
function checks.rules(e)
  local text = e.state.state.list and e.state.state.list.text
  local frontends = require("haplua.haproxy.frontends")
  local verdicts, problem = frontends.judge(e.c.target, e.state.worker, e.c.switch.acl, text, { seen = e.state })
  e.verdicts = verdicts
  if not verdicts then
    return e:note(("%s, so the rules were not checked"):format(problem))
  end
  local findings, nobody = frontends.summary(verdicts)
  for _, finding in ipairs(findings) do
    e[finding.unknown and e.request.rehearse and "note" or finding.state](e, finding.text, finding.advice)
  end
  for _, one in ipairs(verdicts) do
    say_detours(e, one)
  end
  if nobody then
    e:fail("no visitor would see the maintenance\n" .. nobody,
      e.c.switch.kind == "map" and "write into the frontend, before other use_backend rules\n" .. lines.of_map(e.c.switch)
      or ("add to the frontend, before other use_backend rules: use_backend maintenance if %s"):format(
        require("haplua.haproxy.frontends").acl_name(e.c.target, e.state.worker, text) or "NAME"))
  end
end

--- Servers that take requests although they are under maintenance.
function checks.servers(e)
  local held = {}
  for name, row in pairs(require("haplua.apply.servers").read(e.c).rows) do
    local backend = name:match("^[^/]*")
    held[backend] = held[backend] or row.admin ~= "ready" and name or nil
  end
  local found = require("haplua.haproxy.frontends").persisting(e.c.target, e.state.worker) or {}
  for backend, rule in pairs(found) do
    local text = ("backend %s: '%s' sends a client whose cookie names a server to it, also while it is under maintenance"):format(
      backend, rule)
    if held[backend] then
      e:warn(("%s, as %s is"):format(text, held[backend]), "take the line out: drain lets such clients finish")
    else
      e:note(text)
    end
  end
end

--- What HAProxy itself does, apart from the system.
function checks.rehearsal(e)
  if e.request.rehearse then
    require("haplua.cmd.doctor_rehearsal")(e, e.verdicts)
  end
end

--- The clients that pass.
function checks.bypass(e)
  local state = e.state
  if not state.bypass then
    e:note("HAProxy has no list of clients that pass", "the sample haproxy.cfg in share/haplua/page shows one")
    return
  end
  e:ok(("%s: %s"):format(state.bypass, enumerate(state.passing, state.bits)))
  for _, entry in ipairs(state.passing) do
    -- HAProxy holds an IPv4 client's address against an IPv6 network as ::a.b.c.d
    if entry:find("/0$") or entry:find("^::/") then
      e:fail(("%s lets everybody pass"):format(entry), "name the networks that shall pass: maint on --bypass CIDR")
    end
  end
end

--- The journal, the resident policy, and where HAProxy and the journal disagree.
function checks.journal(e)
  local c = context.open(e.request, true)
  local journal = c.store
  if not c.journal then
    e:warn(c.no_journal or "there is none, since $HAPLUA_JOURNAL or an option says so",
      "run `maint on` once as a user who may write its folder: it records who did what, and a maintenance may have an end")
    return
  end
  e.store = journal
  local info, is_whole = file.info(journal.path), pcall(require("haplua.store.history").read_through, journal)
  local text = ("%s, %s, mode %s"):format(journal.path, info.owner, info.mode)
  if not is_whole then
    e:fail(journal.path .. " is damaged", "move it away: a new one is begun")
  elseif info.writable then
    e:ok(text)
  else
    e:warn(text .. "; this user may not write it", "use sudo")
  end
  for _, disagreement in ipairs(status.disagreements(c, change.look(c))) do
    if disagreement.kind ~= "file" then
      e:warn(disagreement.text, disagreement.advice)
    end
  end
  e.about = "keeper"
  if journal:kept(c.name) then
    e:ok("a resident policy ends what has expired")
  else
    e:note("no resident policy runs: --for and --until need --wait", "run `haplua keep` as a service (see `haplua help keep`)")
  end
end

--- A list without a file, after a reload.
local function check_no_file(e)
  e.about = "reload"
  if e.store and e.store:kept(e.c.name) then
    e:ok("a reload empties the list; the resident policy puts it back")
  else
    e:warn("a reload empties the list, and so ends the maintenance",
      "declare the ACL with `-f FILE`, or run `haplua keep` as a service (see `haplua help keep`)")
  end
end

--- The list's file, and the state after a reload.
function checks.file(e)
  local path = listfile.path(e.c.target, e.c.switch.acl)
  if not path then
    return check_no_file(e)
  elseif not e.c.switch.file then
    return e:warn(path .. " is not kept in step, as asked: after a reload HAProxy has what the file has")
  end
  local info = file.info(path)
  local ok, problem = pcall(switch.check_files, e.c.target, e.c.switch, e.state)
  if not ok then
    e:fail(tostring(problem), problem.advice)
  end
  if not info then
    return ok and e:fail(path .. " is missing: HAProxy cannot start without it", "touch " .. path)
  elseif ok then
    e:ok(("%s can be written, mode %s, %s"):format(path, info.mode, info.owner))
  end
  e.about = "reload"
  local out = switch.out_of_step(e.c.target, e.c.switch, e.state)
  for _, one in ipairs(out) do
    e:warn(("%s is out of step: a reload would undo the current state"):format(one.path),
      "maint on or maint off writes it")
  end
  if #out == 0 then
    e:ok("a new process begins with the current state")
  end
end

--- The hooks: may they run, and how did they end?
function checks.hooks(e)
  local hooks, record = e.c.switch.hooks, require("haplua.hooks.record")
  local problem = hooks and require("haplua.hooks.start").refusal(hooks.path)
  if problem then
    return e:fail("no hook is run: " .. problem, "chown root " .. hooks.path .. " && chmod go-w " .. hooks.path)
  end
  local all = hooks and e.store and record.read(record.folder(e.store.path)) or {}
  for _, hook in ipairs(hooks or {}) do
    local refusal, name = record.refusal(hook), record.name(hook)
    local one = all[name]
    if refusal then
      e:fail(("%s is not run: %s"):format(name, refusal), "a program of root's, in a folder of root's, mode 755")
    elseif one and one.failing then
      e:warn(("%s failed at %s: %s (%d of %d runs failed)"):format(name, one.failed, one.problem, one.failures, one.runs))
    else
      e:ok(("%s: %d runs, %d failed"):format(name, one and one.runs or 0, one and one.failures or 0))
    end
  end
end

--- This machine's clock, against the start of HAProxy.
function checks.clock(e)
  local now = task.time()
  if now < 1767225600 then -- the year 2026
    e:fail("this machine's clock shows " .. moment.text(now), "set it: ends of maintenance depend on it")
  elseif e.state.started > now + 2 then
    e:warn(("HAProxy started in the future, at %s: the clock was set back"):format(moment.text(e.state.started)),
      "an end of maintenance may come late")
  else
    e:ok(moment.text(now))
  end
end

--- The fleet that the configuration names.
function checks.fleet(e)
  if e.request.fleet then
    require("haplua.cmd.doctor_fleet")(e, e.request.fleet)
  end
end

--- Is this a machine of a fleet that has no HAProxy: an operator's?
local function is_operators(e)
  local path = tostring(e.target:address()):gsub("^unix@", "")
  return e.request.fleet ~= nil and not e.request.fleet.fleet.node and path:find("^/") ~= nil and not file.info(path)
end

local ORDER = { "socket", "HAProxy", "level", "configuration", "ACL", "effect", "rules", "rehearsal", "servers",
  "bypass", "journal", "file", "hooks", "clock", "fleet" }

-- The checks without which no other is possible.
local NEEDED = { HAProxy = true, configuration = true, ACL = true }

--- Make all checks. Where a check fails that others need, those on the fleet are left.
---@param request haplua.Request
---@return haplua.Finding[] findings, boolean unreachable
local function examine(request)
  local e = setmetatable({ findings = {}, request = request, target = require("haproxy").target() }, Examination)
  local only, unreachable = nil, false
  if is_operators(e) then
    e.about, only = "HAProxy", "fleet"
    e:note(("there is none at %s: this is taken for an operator's machine"):format(tostring(e.target:address())),
      "on a node, -s names its socket")
  end
  for _, name in ipairs(ORDER) do
    e.about = name
    local ok, problem = true, nil
    if not only or name == only then
      ok, problem = pcall(checks[name], e)
    end
    if not ok then
      if type(problem) == "table" and problem.kind == "interrupted" then
        error(problem, 0)
      end
      local advised, text = pcall(advice, problem)
      e:fail(tostring(problem), advised and text or nil)
      if NEEDED[name] then
        only, unreachable = "fleet", name == "HAProxy"
      end
    end
  end
  return e.findings, unreachable
end

--- Make all checks and print the findings.
---@param request haplua.Request
---@param json boolean?
---@param print function
---@return integer status  0: nothing warns or fails; 1: something does; 3: HAProxy cannot be reached
return function(request, json, print)
  local findings, unreachable = examine(request)
  local bad, margin = false, "\n" .. (" "):rep(21)
  for _, finding in ipairs(findings) do
    bad = bad or finding.state == "warn" or finding.state == "fail"
    if not json then
      print(("%-4s  %-13s  %s"):format(finding.state, finding.about, visible(finding.text):gsub("\\n", margin))
        .. (finding.advice and margin .. finding.advice:gsub("^%s+", ""):gsub("\n%s*", margin) or ""))
    end
  end
  if json then
    print(require("haplua.json").encode({ ok = not bad, findings = findings }))
  end
  return unreachable and 3 or bad and 1 or 0
end
