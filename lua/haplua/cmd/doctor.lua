-- SPDX-License-Identifier: MIT
--
--- `maint doctor`: check the set-up and say what to fix. Changes nothing.
-- A check gives findings: ok, note (worth knowing), warn (fails in some situation) or fail (does not work), each
-- with an advice where something is to be done.

local advice = require("haplua.host.advice")
local config = require("haplua.store.config")
local context = require("haplua.apply.context")
local enumerate = require("haplua.apply.result").enumerate
local file = require("haplua.file")
local list = require("haplua.haproxy.list")
local listfile = require("haplua.haproxy.list_file")
local moment = require("haplua.time.instant")
local scope = require("haplua.plan.scope")
local status = require("haplua.apply.status")
local switch = require("haplua.haproxy.switch")
local task = require("haplua.task")
local visible = require("haplua.error").visible

local M = {}

---@class haplua.Finding
---@field state "ok"|"note"|"warn"|"fail"
---@field about string
---@field text string
---@field advice string?

---@class haplua.Examination
---@field findings haplua.Finding[]
---@field request haplua.Request
---@field c haplua.Context?
---@field state haplua.switch.State?
---@field journal haplua.Journal?
---@field stop boolean?  no further check is possible
---@field unreachable boolean?

local function add(e, state, about, text, fix)
  e.findings[#e.findings + 1] = { state = state, about = about, text = text, advice = fix }
end

--- The advice of an error object.
local function advice_of(problem)
  return type(problem) == "table" and problem.advice or nil
end

-- The checks. Each gets the examination, and may use what the checks before it in ORDER have put there.
local checks = {}

--- The socket's file: its mode and its owner.
function checks.socket_file(e)
  local target = require("haproxy").target()
  local path = tostring(target:address()):gsub("^unix@", "")
  if not path:find("^[/.]") then
    add(e, "warn", "socket", ("%s: TCP: whoever reaches the port is an administrator"):format(path),
      "use a Unix socket, or bind to 127.0.0.1 behind ssh or TLS")
    return
  end
  local info = file.info(path)
  if not info then
    return -- the next check reports it
  end
  local others = tonumber(info.mode, 8) & 6
  if others ~= 0 then
    add(e, "warn", "socket", ("%s has mode %s: every user of this machine may switch the site off"):format(path, info.mode),
      "in HAProxy's `global`: stats socket " .. path .. " mode 660 group haproxy level admin")
  else
    add(e, "ok", "socket", ("%s, mode %s, %s"):format(path, info.mode, info.owner))
  end
end

--- HAProxy answers, and its version.
function checks.answer(e)
  local target = require("haproxy").target()
  local ok, info = pcall(target.info, target)
  if not ok then
    add(e, "fail", "HAProxy", tostring(info), advice(info))
    e.stop, e.unreachable = true, true
    return
  end
  add(e, "ok", "HAProxy", ("%s, process %s, up for %s"):format(info.Version, info.Pid, moment.span(info.Uptime_sec)))
  if not target:has("transactions") then
    add(e, "note", "version", ("HAProxy %s lacks transactions (2.4): lists are changed entry by entry, new ones first")
      :format(info.Version), "no request gets past a maintenance for it; a change of both scope and bypass is two steps")
  end
  if info.Maxconn and info.CurrConns and info.CurrConns >= info.Maxconn then
    add(e, "warn", "HAProxy", ("all its %d connections are taken"):format(info.Maxconn), "raise maxconn")
  end
end

--- The socket's level. Up to 3.2 lists may be changed at any level, servers at admin only; 3.4 wants admin for both.
function checks.level(e)
  local level = require("haproxy").target():send("show cli level"):match("%a+")
  if level == "admin" then
    add(e, "ok", "level", "admin")
  else
    add(e, "warn", "level", ("%s: servers cannot be changed, and from HAProxy 3.4 on lists neither"):format(tostring(level)),
      "in HAProxy's `global`: stats socket ... level admin")
  end
end

--- The configuration file, and the switch that it declares.
function checks.configuration(e)
  local ok, problem = pcall(function()
    local found = config.read(e.request.config)
    add(e, "ok", "configuration", found.path and ("%s: %s"):format(found.path, table.concat(config.names(found), ", "))
      or "no file: the ACL is " .. config.switch(found, e.request.switch, e.request.acl).acl)
    if found.path then
      local info = file.info(found.path)
      if info and tonumber(info.mode, 8) & 2 ~= 0 then
        add(e, "warn", "configuration", ("%s may be written by everybody (mode %s)"):format(found.path, info.mode),
          "chmod o-w " .. found.path)
      end
    end
    e.c = context.open(setmetatable({ journal = false }, { __index = e.request }), true)
  end)
  if not ok then
    add(e, "fail", "configuration", tostring(problem), advice_of(problem))
    e.stop = true
  end
end

--- The ACL: what it looks at, and how it matches.
function checks.acl(e)
  local ok, state = pcall(switch.look, e.c.target, e.c.switch)
  if not ok then
    add(e, "fail", "ACL", tostring(state), advice(state))
    e.stop = true
    return
  end
  e.state = state
  local can = pcall(scope.patterns, {}, state.kind, state.method)
  add(e, can and "ok" or "warn", "ACL", ("%s looks at %s, match method '%s', %s"):format(e.c.switch.acl,
    state.kind and "the " .. state.kind or "something that HAProxy does not tell", state.method,
    can and "can take the whole site" or "has no pattern for the whole site"),
    not can and "declare it with `path -i -m reg`, or `base -i -m reg` for hosts" or nil)
  if not state.kind then
    add(e, "note", "ACL", "--path and --host need to know what the ACL looks at",
      ("in the configuration of haplua: %s = { acl = %q, fetch = \"base\" } (or \"path\", ...)"):format(
        e.c.switch.name:match("^%a[%w_]*$") or "site", e.c.switch.acl))
  elseif state.kind == "path" then
    add(e, "note", "ACL", "hosts cannot be told apart",
      "declare it with `base -i -m reg` instead of `path`: its value is the host and the path")
  end
  if state.state.tests[1] and state.state.tests[1].case == "sensitive" and state.kind ~= "address" then
    add(e, "note", "ACL", "upper and lower case differ: /Shop is not /shop", "declare it with -i if your application takes both")
  end
end

--- What `get acl` says of a value that matches when the whole site is under maintenance, and the rule that uses the ACL.
function checks.effect(e)
  local state = e.state
  local on = #state.patterns > 0
  local ok, _, probe = pcall(scope.patterns, {}, state.kind, state.method)
  probe = ok and probe or "/"
  local found = list.match(e.c.target:acl_test(e.c.switch.acl, probe))
  add(e, "ok", "effect", ("maintenance is %s: %s; HAProxy says that %s %s"):format(on and "on" or "off",
    enumerate(state.patterns), probe, found and "matches" or "does not match"))
  local text = state.state.list and state.state.list.text or ""
  local path, line = text:match("file '([^']*)' line (%d+)")
  if not path then
    return
  end
  local configuration = file.read(path, 16 << 20)
  if not configuration then
    add(e, "note", "effect", ("%s cannot be read, so its rules were not checked"):format(path))
    return
  end
  checks.rules(e, configuration, math.tointeger(tonumber(line)), path)
end

--- Find a rule that uses the ACL of this line of HAProxy's configuration, in the same section.
function checks.rules(e, configuration, line, path)
  local n, name, inside, used = 0, nil, nil, nil
  for text in (configuration .. "\n"):gmatch("([^\n]*)\n") do
    n = n + 1
    if n == line then
      name, inside = text:match("^%s*acl%s+(%S+)"), true
    elseif inside and text:find("^%a") then
      break
    elseif inside and name and (text:find("use_backend", 1, true) or text:find("http-request", 1, true)) then
      for word in text:gmatch("[^%s{}]+") do
        if word == name or word == "!" .. name then
          used = used or n
        end
      end
    end
  end
  if name and used then
    add(e, "ok", "rule", ("%s:%d uses the ACL '%s'"):format(path, used, name))
  elseif name then
    add(e, "fail", "rule", ("no rule after %s:%d uses the ACL '%s': no visitor would see the maintenance"):format(path,
      line, name),
      ("add to that section: use_backend maintenance if %s"):format(name))
  end
end

--- The list's file, and the state after a reload.
function checks.file(e)
  local path = listfile.path(e.c.target, e.c.switch.acl)
  if not path then
    local kept = e.journal and e.journal:kept(e.c.name)
    add(e, kept and "ok" or "warn", "reload", kept and "a reload empties the list; the resident policy puts it back"
      or "a reload empties the list, and so ends the maintenance",
      not kept and "declare the ACL with `-f FILE`, or run scripts/keep.lua as a service" or nil)
    return
  elseif not e.c.switch.file then
    add(e, "warn", "file", path .. " is not kept in step, as asked: after a reload HAProxy has what the file has")
    return
  end
  local info = file.info(path)
  if not info then
    add(e, "fail", "file", path .. " is missing: HAProxy cannot start without it", "touch " .. path)
    return
  end
  local folder = file.info(path:match("^(.*)/") or "/")
  if not (folder and folder.writable) then
    add(e, "fail", "file", ("this user cannot replace %s"):format(path), "run as a user who may write its folder")
  else
    add(e, "ok", "file", ("%s can be replaced, mode %s, %s"):format(path, info.mode, info.owner))
  end
  local out = switch.out_of_step(e.c.target, e.c.switch, e.state)
  for _, one in ipairs(out) do
    add(e, "warn", "reload", ("%s is out of step: a reload would undo the current state"):format(one.path),
      "maint on or maint off writes it")
  end
  if #out == 0 then
    add(e, "ok", "reload", "a new process begins with the current state")
  end
end

--- The clients that pass.
function checks.bypass(e)
  local state = e.state
  if not state.bypass then
    add(e, "note", "bypass", "HAProxy has no list of clients that pass", "docs/haproxy.cfg shows one")
    return
  end
  add(e, "ok", "bypass", ("%s: %s"):format(state.bypass, enumerate(state.passing)))
  for _, entry in ipairs(state.passing) do
    -- HAProxy holds an IPv4 client's address against an IPv6 network as ::a.b.c.d
    if entry:find("/0$") or entry:find("^::/") then
      add(e, "fail", "bypass", ("%s lets everybody pass"):format(entry),
        "name the networks that shall pass: maint on --bypass CIDR")
    end
  end
end

--- The journal, the resident policy, and where HAProxy and the journal disagree.
function checks.journal(e)
  local ok, c = pcall(context.open, e.request, true)
  if not ok then
    add(e, "fail", "journal", tostring(c), advice_of(c))
    return
  elseif not c.journal then
    add(e, "warn", "journal", c.no_journal or "none, as asked",
      "run `maint on` once as a user who may write its folder: it records who did what, and a maintenance may have an end")
    return
  end
  e.journal = c.journal
  local info = file.info(c.journal.path)
  local check = c.journal:run("PRAGMA quick_check(1)")[1]
  if not check or check.quick_check ~= "ok" then
    add(e, "fail", "journal", c.journal.path .. " is damaged", "move it away: a new one is begun")
  else
    add(e, info.writable and "ok" or "warn", "journal", ("%s, %s, mode %s%s"):format(c.journal.path, info.owner, info.mode,
      info.writable and "" or "; this user may not write it"), not info.writable and "use sudo" or nil)
  end
  local kept = c.journal:kept(c.name)
  add(e, kept and "ok" or "note", "keeper", kept and "a resident policy ends what has expired"
    or "no resident policy runs: --for and --until need --wait", not kept and "run scripts/keep.lua as a service" or nil)
  for _, disagreement in ipairs(status.disagreements(c, e.state, c.journal:wanted(c.name, c.switch.acl))) do
    if disagreement.kind ~= "file" then
      add(e, "warn", "journal", disagreement.text, disagreement.advice)
    end
  end
end

--- This machine's clock, against the start of HAProxy.
function checks.clock(e)
  local now = task.time()
  if now < 1767225600 then -- the year 2026
    add(e, "fail", "clock", "this machine's clock shows " .. moment.text(now), "set it: ends of maintenance depend on it")
  elseif e.state.started > now + 2 then
    add(e, "warn", "clock", ("HAProxy started in the future, at %s: the clock was set back"):format(moment.text(e.state.started)),
      "an end of maintenance may come late")
  else
    add(e, "ok", "clock", moment.text(now))
  end
end

local ORDER = { "socket_file", "answer", "level", "configuration", "acl", "effect", "bypass", "journal", "file", "clock" }

--- Make all checks.
---@param request haplua.Request
---@return haplua.Finding[] findings, boolean unreachable
function M.examine(request)
  local e = { findings = {}, request = request }
  for _, name in ipairs(ORDER) do
    local ok, problem = pcall(checks[name], e)
    if not ok then
      if type(problem) == "table" and problem.kind == "interrupted" then
        error(problem, 0)
      end
      add(e, "fail", name:gsub("_", " "), tostring(problem), advice_of(problem))
    end
    if e.stop then
      break
    end
  end
  return e.findings, e.unreachable or false
end

--- Make all checks and print the findings.
---@param request haplua.Request
---@param json boolean?
---@param print function
---@return integer status  0: nothing warns or fails; 1: something does; 3: HAProxy cannot be reached
function M.run(request, json, print)
  local findings, unreachable = M.examine(request)
  local bad = false
  for _, finding in ipairs(findings) do
    bad = bad or finding.state == "warn" or finding.state == "fail"
    if not json then
      print(("%-4s  %-13s  %s"):format(finding.state, finding.about, visible(finding.text):gsub("\\n", "\n" .. (" "):rep(21))))
      if finding.advice then
        print((" "):rep(21) .. finding.advice:gsub("^%s+", ""):gsub("\n%s*", "\n" .. (" "):rep(21)))
      end
    end
  end
  if json then
    print(require("haplua.json").encode({ ok = not bad, findings = findings }))
  end
  return unreachable and 3 or bad and 1 or 0
end

return M
