-- SPDX-License-Identifier: MIT
--
--- `maint doctor`: looks at all that must be right for maintenance to work, and says what to change.
-- Changes nothing. Each check gives one line: ok, note (worth knowing), warn (will hurt one day) or
-- fail (does not work), and what to do.

local context = require("haplua.apply.context")
local config = require("haplua.store.config")
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
---@field options haplua.MaintenanceOptions
---@field c haplua.Context?
---@field live haplua.switch.State?
---@field all haplua.List[]?  the ACLs that there are
---@field stop boolean?  no more can be looked at

local function add(e, state, about, text, advice)
  e.findings[#e.findings + 1] = { state = state, about = about, text = text, advice = advice }
end

-- The checks, in order.
local checks = {}

--- The file of the socket: is it there, and for whom?
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
    return -- the next check tells more
  end
  local others = tonumber(info.mode, 8) & 6
  if others ~= 0 then
    add(e, "warn", "socket", ("%s has mode %s: every user of this machine may switch the site off"):format(path, info.mode),
      "in HAProxy's `global`: stats socket " .. path .. " mode 660 group haproxy level admin")
  else
    add(e, "ok", "socket", ("%s, mode %s, %s"):format(path, info.mode, info.owner))
  end
end

--- Does HAProxy answer?
function checks.answer(e)
  local target = require("haproxy").target()
  local ok, info = pcall(target.info, target)
  if not ok then
    add(e, "fail", "HAProxy", tostring(info), require("haplua.host.advice")(info))
    e.stop, e.unreachable = true, true
    return
  end
  add(e, "ok", "HAProxy", ("%s, process %s, up for %s"):format(info.Version, info.Pid, moment.span(info.Uptime_sec)))
  local missing = {}
  if not target:has("transactions") then
    missing[#missing + 1] = "transactions (2.4): lists are changed entry by entry, new ones first"
  end
  if #missing > 0 then
    add(e, "note", "version", ("HAProxy %s lacks %s"):format(info.Version, table.concat(missing, "; ")),
      "nothing leaks for it; a change of both scope and bypass is two steps")
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

--- The configuration file, and the switch.
function checks.configuration(e)
  local ok, problem = pcall(function()
    local found = config.read(e.options.config)
    add(e, "ok", "configuration", found.path and ("%s: %s"):format(found.path, table.concat(config.names(found), ", "))
      or "no file: the ACL is " .. config.switch(found, e.options.switch, e.options.acl).acl)
    if found.path then
      local info = file.info(found.path)
      if info and tonumber(info.mode, 8) & 2 ~= 0 then
        add(e, "warn", "configuration", ("%s may be written by everybody (mode %s)"):format(found.path, info.mode),
          "chmod o-w " .. found.path)
      end
    end
    e.options.readonly = true
    e.c = context.open(setmetatable({ journal = false }, { __index = e.options }), true)
  end)
  if not ok then
    add(e, "fail", "configuration", tostring(problem), type(problem) == "table" and problem.advice or nil)
    e.stop = true
  end
end

--- The ACL: is it there, what does it look at, how does it match?
function checks.acl(e)
  local ok, live = pcall(switch.look, e.c.target, e.c.switch)
  if not ok then
    add(e, "fail", "ACL", tostring(live), require("haplua.host.advice")(live))
    e.stop = true
    return
  end
  e.live = live
  e.all = list.all(e.c.target, "acl")
  local looks_at = live.kind and "the " .. live.kind
  local can = pcall(scope.patterns, {}, live.kind, live.method)
  add(e, can and "ok" or "warn", "ACL", ("%s looks at %s, match method '%s', %s"):format(e.c.switch.acl,
    looks_at or "something that HAProxy does not tell", live.method,
    can and "can take the whole site" or "has no pattern for the whole site"),
    not can and "declare it with `path -i -m reg`, or `base -i -m reg` for hosts" or nil)
  if not live.kind then
    add(e, "note", "ACL", "--path and --host need to know what the ACL looks at",
      ("in the configuration of haplua: %s = { acl = %q, fetch = \"base\" } (or \"path\", ...)"):format(
        e.c.switch.name:match("^%a[%w_]*$") or "site", e.c.switch.acl))
  elseif live.kind == "path" then
    add(e, "note", "ACL", "hosts cannot be told apart", "`base -i -m reg` instead of `path` could: host and path")
  end
  if live.state.tests[1] and live.state.tests[1].case == "sensitive" and live.kind ~= "address" then
    add(e, "note", "ACL", "upper and lower case differ: /Shop is not /shop", "declare it with -i if your application takes both")
  end
end

--- What `get acl` says of a value that must match when all is under maintenance, and who uses the ACL.
function checks.effect(e)
  local live = e.live
  local on = #live.patterns > 0
  local ok, _, probe = pcall(scope.patterns, {}, live.kind, live.method)
  probe = ok and probe or "/"
  local found = list.match(e.c.target:acl_test(e.c.switch.acl, probe))
  add(e, "ok", "effect", ("maintenance is %s: %s; HAProxy says that %s %s"):format(on and "on" or "off",
    enumerate(live.patterns), probe, found and "matches" or "does not match"))
  local text = live.state.list and live.state.list.text or ""
  local path, line = text:match("file '([^']*)' line (%d+)")
  if not path then
    return
  end
  local configuration = file.read(path, 16 << 20)
  if not configuration then
    add(e, "note", "effect", ("%s cannot be read, so its use_backend rules are not looked at"):format(path))
    return
  end
  checks.rules(e, configuration, math.tointeger(tonumber(line)), path)
end

--- Is there a rule that uses the ACL of this line of the configuration, in the same section?
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
    add(e, "fail", "rule", ("no rule behind %s:%d uses the ACL '%s': nobody would see the maintenance"):format(path, line, name),
      ("add to that section: use_backend maintenance if %s"):format(name))
  end
end

--- The list's file, and what a reload would do.
function checks.file(e)
  local path = listfile.path(e.c.target, e.c.switch.acl)
  if not path then
    local kept = e.journal and e.journal:kept(e.c.name)
    add(e, kept and "ok" or "warn", "reload", kept and "a reload forgets the list; the resident policy puts it back"
      or "a reload forgets the list, and with it the maintenance",
      not kept and "declare the ACL with `-f FILE`, or run scripts/keep.lua as a service" or nil)
    return
  elseif not e.c.switch.file then
    add(e, "warn", "file", path .. " is not kept in step, as the configuration says: a reload brings what it has")
    return
  end
  local info = file.info(path)
  if not info then
    add(e, "fail", "file", path .. " is not there: HAProxy cannot start with it missing", "touch " .. path)
    return
  end
  local folder = file.info(path:match("^(.*)/") or "/")
  if not (folder and folder.writable) then
    add(e, "fail", "file", ("this user cannot replace %s"):format(path), "run as a user who may write its folder")
  else
    add(e, "ok", "file", ("%s can be replaced, mode %s, %s"):format(path, info.mode, info.owner))
  end
  local out = switch.out_of_step(e.c.target, e.c.switch, e.live)
  for _, one in ipairs(out) do
    add(e, "warn", "reload", ("%s is out of step: a reload would undo what is so now"):format(one.path),
      "maint on or maint off writes it")
  end
  if #out == 0 then
    add(e, "ok", "reload", "a new process begins with what is so now")
  end
end

--- Who passes.
function checks.bypass(e)
  local live = e.live
  if not live.bypass then
    add(e, "note", "bypass", "there is no list of clients that pass", "docs/haproxy.cfg shows one")
    return
  end
  add(e, "ok", "bypass", ("%s: %s"):format(live.bypass, enumerate(live.passing)))
  for _, entry in ipairs(live.passing) do
    -- HAProxy holds an IPv4 client's address against an IPv6 network as ::a.b.c.d
    if entry:find("/0$") or entry:find("^::/") then
      add(e, "fail", "bypass", ("%s lets everybody pass"):format(entry), "maint on --bypass with the networks that shall")
    end
  end
end

--- The journal, and what it has to say.
function checks.journal(e)
  local ok, c = pcall(context.open, e.options, true)
  if not ok then
    add(e, "fail", "journal", tostring(c), type(c) == "table" and c.advice or nil)
    return
  elseif not c.journal then
    add(e, "warn", "journal", c.no_journal or "none: it was declined",
      "run `maint on` once as a user who may write its folder; it tells who did what, and lets a maintenance end")
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
  for _, disagreement in ipairs(status.disagreements(c, e.live, c.journal:wanted(c.name, c.switch.acl))) do
    if disagreement.kind ~= "file" then
      add(e, "warn", "journal", disagreement.text, disagreement.advice)
    end
  end
end

--- Does the clock of this machine make sense, against HAProxy's?
function checks.clock(e)
  local now = task.time()
  if now < 1767225600 then -- 2026, before which this was not written
    add(e, "fail", "clock", "this machine's clock says " .. moment.text(now), "set it: ends of maintenance depend on it")
  elseif e.live.started > now + 2 then
    add(e, "warn", "clock", ("HAProxy says that it will start at %s: the clock was set back"):format(moment.text(e.live.started)),
      "an end of maintenance may come late")
  else
    add(e, "ok", "clock", moment.text(now))
  end
end

local ORDER = { "socket_file", "answer", "level", "configuration", "acl", "effect", "bypass", "journal", "file", "clock" }

--- Look at everything.
---@param options haplua.MaintenanceOptions
---@return haplua.Finding[] findings, boolean unreachable
function M.examine(options)
  local e = { findings = {}, options = options }
  for _, name in ipairs(ORDER) do
    local ok, problem = pcall(checks[name], e)
    if not ok then
      if type(problem) == "table" and problem.kind == "interrupted" then
        error(problem, 0)
      end
      add(e, "fail", name:gsub("_", " "), tostring(problem), type(problem) == "table" and problem.advice or nil)
    end
    if e.stop then
      break
    end
  end
  return e.findings, e.unreachable or false
end

--- Look, print, and give the exit status: 0 when nothing warns or fails, 1 when something does, 3 when HAProxy
-- cannot be reached.
---@param options haplua.MaintenanceOptions
---@param json boolean?
---@return integer
function M.run(options, json)
  local findings, unreachable = M.examine(options)
  local print = options.print or print
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
