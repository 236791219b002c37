-- SPDX-License-Identifier: MIT
--
--- The second process of a rehearsal (haplua.rehearse.enter): closes the cage, starts HAProxy in it, fills its lists, and
-- asks as visitors would.

local cage = require("haplua.rehearse.cage")
local configuration = require("haplua.rules.configuration")
local enter = require("haplua.rehearse.enter")
local errors = require("haplua.error")
local failure = require("haplua.rehearse.failure")
local haproxy = require("haproxy")
local judge = require("haplua.rehearse.judge")
local json = require("haplua.json")
local launch = require("haplua.rehearse.launch")
local lists = require("haplua.rehearse.lists")
local namespace = require("haplua.namespace")
local questions = require("haplua.rehearse.questions")
local verdict = require("haplua.rules.verdict")
local visitor = require("haplua.visit.visitor")
require("haplua.visit.curl") -- its file is out of reach once the cage is closed

local M = {}

-- So long an answer may take. What takes longer waits for a server, or is held up.
local WITHIN <const> = 3

---@class haplua.rehearse.Order  what the caller wants, as JSON
---@field start haplua.rehearse.Start
---@field is_user boolean
---@field addresses string[]  of this machine
---@field sockets string[]  those that processes of this machine, or of HAProxy's container, have
---@field lists haplua.rehearse.Content[]  what the running HAProxy holds
---@field switch haplua.rehearse.Switch?  nil: no HAProxy runs, and `request` says what is wanted
---@field request haplua.Request?
---@field configuration string?  the text of haplua's own, for `request`
---@field asked haplua.rehearse.Asked  without its scope

-- Asking.

--- The streams that each backend has taken.
local function counters(target)
  local found = {}
  for line in target:send({ "show", "stat", "-1", "2", "-1" }):gmatch("[^\n]+") do
    local proxy, kind, rest = line:match("^([^,]*),([^,]*),(.*)$")
    if kind == "BACKEND" then
      found[proxy] = tonumber(rest:match("^[^,]*,[^,]*,[^,]*,[^,]*,[^,]*,(%d+)")) or 0
    end
  end
  return found
end

--- The backends that took a request: the last one is that which decides.
local function taken(before, now, chained)
  local through, last = {}, nil
  for name, n in pairs(now) do
    if n > (before[name] or 0) and not chained[name] then
      last = name
    elseif n > (before[name] or 0) then
      through[#through + 1] = name
    end
  end
  table.sort(through)
  last = last or table.remove(through)
  return last, #through > 0 and through or nil
end

--- Ask one question.
---@param question haplua.rehearse.Question
---@param chained table<string, boolean>
---@return haplua.rehearse.Answer
local function ask(target, question, chained)
  local ip = question.ip:find(":", 1, true) and "[" .. question.ip .. "]" or question.ip
  local name, before = question.host:gsub(":%d*$", ""), counters(target)
  local ok, got = pcall(visitor.ask, {
    url = ("%s://%s:%d%s"):format(question.tls and "https" or "http", name, question.port, question.path),
    address = ("%s:%d"):format(ip, question.port), host = question.host,
    source = question.source, method = question.method, target = question.target, version = question.version,
    insecure = true, proxied = question.proxied, within = WITHIN,
  })
  local answer = {}
  answer.backend, answer.through = taken(before, counters(target), chained)
  if ok then
    answer.status, answer.location = got.status, got.headers.location
    answer.by_server = got.headers[launch.MARK] ~= nil or nil
    if question.version == "2" and not tostring(got.version):find("^2") then
      answer.problem = "it does not speak HTTP/2"
    end
  elseif errors.is(got) and got.kind == "interrupted" then
    error(got, 0)
  elseif not answer.backend and errors.is(got) and (got.phase == "connect" or got.phase == "resolve") then
    answer.problem = got.message
  end
  return answer
end

--- The commands that empty the stick tables: each question is asked as if it were the first of its visitor.
---@return string[][]
local function forgetting(target)
  local commands = {}
  for name in target:send("show table"):gmatch("# table: ([^,\n]+)") do
    commands[#commands + 1] = { "clear", "table", name }
  end
  return commands
end

---@class haplua.rehearse.Way  how all questions of a rehearsal are asked
---@field chained table<string, boolean>  backends whose server is a frontend
---@field anew boolean  visitors change the lists
---@field forget string[][]  from forgetting()

--- Ask all questions while the lists hold something.
---@param way haplua.rehearse.Way
local function ask_all(target, contents, all, phase, way)
  for i, question in ipairs(all) do
    for _, content in ipairs((i == 1 or way.anew) and contents or {}) do
      lists.put(target, content)
    end
    if #way.forget > 0 then
      target:batch(way.forget)
    end
    question[phase] = ask(target, question, way.chained)
  end
end

-- What asking cannot tell.

--- Does a rule change a list of the switch?
local function changes(parts, refs)
  local name = (parts[2] or ""):match("^%a+%-acl%((.*)%)$") or (parts[2] or ""):match("^%a+%-map%((.*)%)$")
  return name ~= nil and refs[name]
end

--- Do rules of a frontend look at HTTP?
local function has_http_rules(lines)
  for _, line in ipairs(lines) do
    local text = table.concat(line.words, " ")
    if text:find("%f[%w_]path") or text:find("%f[%w_]url") or text:find("%f[%w_]base") or text:find("hdr", 1, true)
      or text:find("%f[%w_]method") or text:find("METH_", 1, true) then
      return true
    end
  end
  return false
end

--- Of which frontends nothing can be known by asking, and why.
---@return table<string, string> natures, boolean anew  anew: visitors change a list of the switch
local function natures_of(found, switch)
  local refs, natures, anew = {}, {}, false
  for _, content in ipairs(switch.after) do
    refs[content.ref] = true
  end
  for _, section in ipairs(found.sections) do
    local lines = (section.kind == "frontend" or section.kind == "listen") and configuration.lines(section) or {}
    for _, line in ipairs(lines) do
      if changes(line.words, refs) then
        anew = true
        natures[section.name] = ("visitors change the list: %s:%d: %s"):format(line.file, line.line,
          table.concat(line.words, " "))
      end
    end
    if verdict.is_race(lines) and has_http_rules(lines) then
      natures[section.name] = "mode tcp: rules on HTTP are asked before the request is there"
    end
  end
  return natures, anew
end

--- The backends that the rules of each frontend name; "*": one has a computed name.
---@return table<string, string[]>
local function named_backends(found)
  local names = {}
  for _, section in ipairs(found.sections) do
    local is_listen = section.kind == "listen"
    local list = { is_listen and section.name or nil }
    for _, line in ipairs((is_listen or section.kind == "frontend") and configuration.lines(section) or {}) do
      if line.words[1] == "use_backend" or line.words[1] == "default_backend" then
        local name = line.words[2] or ""
        list[#list + 1] = name:find("%", 1, true) and "*" or name
      end
    end
    names[section.name] = (is_listen or section.kind == "frontend") and list or names[section.name]
  end
  return names
end

--- Notes on what the questions have left out.
local function more_notes(found, order, notes)
  for _, section in ipairs(found.sections) do
    local by_source = false
    for _, line in ipairs((section.kind == "frontend" or section.kind == "listen") and configuration.lines(section) or {}) do
      local text = table.concat(line.words, " ") .. " "
      by_source = by_source or text:find("^acl %S+ src[%s,]") ~= nil or text:find("{ src[%s,]") ~= nil
        or text:find("%sLOCALHOST%s") ~= nil
    end
    if by_source and #order.asked.sources == 0 then
      notes[#notes + 1] = ("frontend %s has rules on the visitor's address: --source ADDRESS asks from others")
        :format(section.name)
    end
  end
end

-- The whole.

--- Which questions are in a scope of a person's own patterns: HAProxy knows, though `get acl` leaves out converters.
local function settle_wants(target, all, switch, order)
  local main = switch.after[1]
  if main then
    lists.put(target, main)
  end
  for _, question in ipairs(all) do
    if question.wants == "list" then
      local values = { question.path, question.host .. question.path, question.host }
      local found = not judge.same(question.off, question.after)
      for _, value in ipairs(main and main.kind == "acl" and values or {}) do
        found = found or target:acl_get(main.ref, value) ~= nil
      end
      for _, value in ipairs(main and main.kind == "map" and values or {}) do
        found = found or target:map_get(main.ref, value) ~= nil
      end
      question.wants = (found or not main) and "closed" or order.asked.replace and "open" or "as before"
    end
  end
end

--- What the maintenance does to the lists of HAProxy. Where there is no such list, the questions are asked all the same.
local function switch_of(request, notes)
  local ok, found = pcall(lists.switch, request)
  if not ok and errors.is(found) and found.kind == "refused" and tostring(found.reply):find("Unknown", 1, true) then
    notes[#notes + 1] = ("`maint on` is refused, and no request is closed: %s"):format(tostring(found))
    return lists.nothing(request)
  end
  return ok and found or error(found, 0)
end

--- Rehearse in a cage that is closed.
local function rehearse(order, found, servers, environment)
  local target, notes = haproxy.target(), order.notes
  launch.freeze(target)
  local unlike = lists.put_all(target, order.lists)
  table.move(unlike, 1, #unlike, #notes + 1, notes)
  local switch = order.switch or switch_of(order.request, notes)
  local asked = order.asked
  asked.scope, asked.bypass, asked.sample = switch.scope, switch.bypass, switch.sample
  local all, more = questions.of(found, asked, environment)
  table.move(more, 1, #more, #notes + 1, notes)
  more_notes(found, order, notes)
  local natures, anew = natures_of(found, switch)
  local way = { chained = servers.chained, anew = anew, forget = forgetting(target) }
  ask_all(target, switch.off, all, "off", way)
  if switch.is_on then
    ask_all(target, switch.before, all, "before", way)
  else
    for _, question in ipairs(all) do
      question.before = question.off
    end
  end
  ask_all(target, switch.after, all, "after", way)
  settle_wants(target, all, switch, order)
  return { questions = all, natures = natures, backends = named_backends(found), notes = notes, scope = switch.scope,
    version = target:info().Version }
end

--- Make all addresses this process's.
local function own_network(notes)
  local ok, ipv6 = namespace.loopback()
  if not ok then
    failure.raise("denied", ipv6)
  end
  local f = io.open("/proc/sys/net/ipv6/ip_nonlocal_bind", "w")
  if not ipv6 or not f or not f:write("1") or not f:close() then
    notes[#notes + 1] = "IPv6 addresses other than ::1 are not there"
  end
end

--- Go to HAProxy's own root and folder, where all files can only be read.
---@param start haplua.rehearse.Start
local function go_there(start)
  if start.mounts then
    local ok, problem = namespace.join(start.mounts)
    if not ok then
      failure.raise("denied", "HAProxy's container cannot be entered: " .. problem, "use sudo")
    end
  end
  cage.part(start.root)
  local ok, problem = namespace.folder(start.folder)
  if not ok then
    failure.raise("file", problem)
  end
end

--- Have HAProxy see its files as a rehearsal needs them.
---@param own haplua.rehearse.Cage
---@param files haplua.rehearse.File[]
---@param servers haplua.rehearse.Servers
local function adapt(own, order, files, servers)
  local hosts = launch.hosts(servers)
  if hosts and require("haplua.file").info("/etc/hosts") then
    own:replace("/etc/hosts", "hosts", hosts)
  end
  for i, one in ipairs(files) do
    local changed, left_out = launch.adapted(one.text, order.is_user)
    if changed then
      own:replace(one.real, "configuration" .. i, changed)
    end
    if #left_out > 0 then
      order.notes[#order.notes + 1] = ("%s: left out for the rehearsal: %s"):format(one.path, table.concat(left_out, ", "))
    end
  end
  if order.request then
    order.request.config = order.configuration and own:write("config.lua", order.configuration) or "none"
  end
end

--- Close the cage, start HAProxy in it, and rehearse.
---@param order haplua.rehearse.Order
local function run(order)
  local start = order.start
  go_there(start)
  local environment = setmetatable({}, { __index = function(_, name)
    return (start.environment or {})[name] or not start.environment and os.getenv(name) or nil
  end })
  local found, files = launch.read(start.files, environment)
  local written, named = launch.places(files, start.folder)
  named[#named + 1] = start.program
  table.move(order.sockets, 1, #order.sockets, #named + 1, named)
  local own = cage.close({ seen = named, written = written, sockets = named })
  own:create(start.folder)
  cage.show_processes(function()
    own_network(order.notes)
  end)
  local servers = launch.servers(found, environment, order.addresses)
  adapt(own, order, files, servers)
  local process = launch.start(start, own:write("haplua.cfg", launch.sections(servers)), haproxy.target())
  local asked, outcome = pcall(rehearse, order, found, servers, environment)
  process:cancel()
  return asked and outcome or error(outcome, 0)
end

--- Run the program of the second process.
---@return integer status
function M.main()
  local order = json.decode(enter.begin())
  order.notes = order.notes or {}
  local ok, outcome = pcall(run, order)
  if not ok then
    if not errors.is(outcome) then
      outcome = { kind = "protocol", message = tostring(outcome), phase = "rehearsal" }
    end
    local told = {}
    for _, name in ipairs({ "kind", "message", "advice", "phase", "command", "reply", "code" }) do
      told[name] = outcome[name]
    end
    outcome = { error = told }
  end
  io.write(json.encode(outcome), "\n")
  return 0
end

return M
