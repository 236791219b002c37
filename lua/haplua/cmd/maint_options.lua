-- SPDX-License-Identifier: MIT
--
--- The options that the command lines about maintenance share, as haplua.cli takes them.

local config = require("haplua.store.config")

local M = {}

--- Where switches are declared, and changes are recorded.
M.files = {
  { "--config", value = "FILE", help = "the configuration (default $HAPLUA_CONFIG, else /etc/haplua/config.lua)" },
  { "--journal", value = "FILE", help = "the journal (default $HAPLUA_JOURNAL, else /var/lib/haplua/journal.db)" },
  { "--no-file", help = "leave the lists' files alone" },
}

--- Which switch, and where its changes are recorded.
M.place = {
  { "--acl", value = "REF", help = "the ACL that decides: #ID, file or name (default $HAPLUA_ACL, else #9999)" },
  { "--switch", value = "NAME", help = "the switch of the configuration" },
  { "--no-journal", help = "do without a journal and its locks" },
  table.unpack(M.files)
}

--- What is under maintenance, for whom it is not, and why.
M.scope = {
  { "--path", value = "PREFIX", repeats = true, help = "paths that begin so: /shop closes /shop, /shop/cart, /shopping" },
  { "--host", value = "NAME", repeats = true, help = "this host, with any port; with --path: those paths of it" },
  { "--bypass", value = "CIDR", repeats = true, help = "clients that pass: 192.0.2.0/24, 2001:db8::/32" },
  { "--reason", value = "TEXT", help = "why, for the journal and the visitors" },
}

--- The scope alone, by which a maintenance is found.
M.found_by = { M.scope[1], M.scope[2] }

--- What is asked as a visitor after a change.
M.probe = {
  { "--probe", value = "URL", repeats = true, help = "ask this as a visitor does, and compare with what is wanted" },
  { "--probe-address", value = "IP[:PORT]", help = "where probes connect, in place of their URL's host" },
  { "--no-probe", help = "ask nothing, also where the configuration has a probe" },
}

local function version(text)
  if text == "1.0" or text == "1.1" or text == "2" then
    return text
  end
  return nil, ("'%s' is no version of HTTP: 1.0, 1.1 or 2"):format(text)
end

local function address(text)
  if require("haplua.inet").bytes(text) then
    return text
  end
  return nil, ("'%s' is no IP address"):format(text)
end

--- How a rehearsal asks, and whom.
M.rehearsal = {
  { "--source", value = "IP", repeats = true, convert = address, help = "ask from this address" },
  { "--http", value = "VERSION", repeats = true, convert = version, help = "ask by this version: 1.0, 1.1, 2" },
  { "--haproxy", value = "FILE", help = "HAProxy's program (that of the process that runs)" },
  { "--haproxy-config", value = "FILE", repeats = true,
    help = "HAProxy's configuration, a file or a folder (that of the process that runs)" },
}

local function seconds(text)
  local n = text:find("^%d+$") and #text < 7 and tonumber(text)
  return n or nil, not n and ("a number of seconds expected, not '%s'"):format(text) or nil
end

--- On which nodes of a fleet, and how long reports are awaited.
M.fleet = {
  { "--local", help = "of a fleet's node: act on this node alone" },
  { "--nodes", value = "NAMES", help = "of a fleet: for these nodes (lb1,lb2)" },
  { "--label", value = "NAME=VALUE", repeats = true, help = "of a fleet: for the nodes with this label" },
  { "--within", value = "SECONDS", convert = seconds, help = "of a fleet: how long to wait for its nodes (default 10)" },
  { "--together", help = "of a fleet: change nothing unless every node that lives answers that it could" },
  { "--undo-on-failure", help = "of a fleet: end it again everywhere where a node cannot, or does not in time" },
  { "--stages", value = "STAGES", help = "of a fleet: begin on these nodes first, then on those: 'canary; dc=fra/2; *'" },
  { "--every-node", help = "of a fleet: exit status 5 also where a node is missing that is not live" },
}

--- The first option that is about a fleet, `--local` apart; nil: none is given.
---@param args table  from haplua.cli
---@return string? name
function M.of_fleet(args)
  for i = 2, #M.fleet do
    local name = M.fleet[i][1]:sub(3)
    local given = args[(name:gsub("-", "_"))]
    if given and not (type(given) == "table" and #given == 0) then
      return name
    end
  end
end

local function form(text)
  if text == "errorfile" or text == "lf-file" or text == "file" then
    return text
  end
  return nil, ("'%s' is no form of a page: errorfile, lf-file or file"):format(text)
end

local function bytes(text)
  local n = math.tointeger(tonumber(text))
  if n and n > 0 and n < 1 << 30 then
    return n
  end
  return nil, ("'%s' is no number of bytes"):format(text)
end

M.json = { "--json", help = "Print JSON." }

--- How HAProxy uses a page.
M.page = {
  { "--as", value = "FORM", convert = form, help = "how HAProxy uses it: errorfile, lf-file or file (by its text)" },
  { "--words", value = "FILE", help = "the map with its words (maintenance-words.map beside it)" },
  { "--bufsize", value = "N", convert = bytes, help = "HAProxy's tune.bufsize (that of the HAProxy that runs, else 16384)" },
  { "--maxrewrite", value = "N", convert = bytes, help = "HAProxy's tune.maxrewrite (1024)" },
  { "--haproxy", value = "FILE", help = "the HAProxy that is asked (haproxy)" }, M.json,
}

--- Two lists of options as one.
function M.join(options, more)
  return table.move(more, 1, #more, #options + 1, table.move(options, 1, #options, 1, {}))
end

--- The probes that the options name; nil: none, false: none shall be asked.
local function probes_of(args)
  local probes = {}
  for i, url in ipairs(args.probe or {}) do
    probes[i] = { url = url, address = args.probe_address }
  end
  if args.no_probe then
    return false
  end
  return probes[1] and probes or nil
end

--- Say what is wrong with options that do not go together, or are empty.
---@param args table  from haplua.cli
---@return string?
function M.check(args)
  for name, value in pairs(args) do
    for _, text in ipairs(type(value) == "table" and value or { value }) do
      if text == "" and name ~= "words" then
        return ("'%s' is empty"):format((name:gsub("_", "-")))
      end
    end
  end
  if args.acl and args.switch then
    return "--acl and --switch: a switch has its ACL"
  elseif args.journal and args.no_journal then
    return "--journal and --no-journal: give one of them"
  elseif args.no_probe and args.probe and args.probe[1] then
    return "--probe and --no-probe: give one of them"
  elseif args.probe_address and not (args.probe and args.probe[1]) then
    return "--probe-address goes with --probe"
  end
  local probes = probes_of(args)
  return probes and require("haplua.visit.probe").problem(probes) or nil
end

--- The configuration, where it names a fleet. Its file is opened once, here or where the command reads it.
---@param args table  from haplua.cli
---@return haplua.Config?
function M.fleet_of(args)
  local source, place = config.peek(args.config)
  local found = source and source:find("fleet", 1, true) and config.of(source, place)
  return found and found.fleet and found or nil
end

--- The request that the options make, for haplua.maintenance.
---@param args table  from haplua.cli
---@return haplua.Request
function M.request(args)
  local journal = args.journal
  if args.no_journal then
    journal = false
  end
  return {
    switch = args.switch, acl = args.acl, config = args.config, journal = journal, file = not args.no_file,
    patterns = args.pattern, paths = args.path, hosts = args.host, bypass = args.bypass, reason = args.reason,
    probe = probes_of(args),
  }
end

return M
