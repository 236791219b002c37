-- SPDX-License-Identifier: MIT
--
-- manual.lua - compare docs/haplua.1 with `haplua --help` and with what the sources read: options, commands, exit statuses,
-- environment variables, files. It also looks for messages that cite files of the source tree, which nobody has installed.
-- Usage: lua5.4 tests/manual.lua HAPLUA, in the top folder; HAPLUA is the program. Prints what differs, and then exits
-- with 1.

local program = assert(arg[1], "usage: lua5.4 tests/manual.lua HAPLUA")

-- Variables that users do not set, and those of every program.
local not_ours = {}
for name in ([[
  HAPLUA_FREE HAPLUA_GC                           for tests
  NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID        systemd sets them
  SUDO_USER                                       sudo sets it
  HAPLUA_HOOK                                     haplua sets it for its hooks
  HOME PATH TERM NO_COLOR                         every program's
  HAPLUA_VERSION                                  not of the environment
]]):gmatch("[A-Z_]+%f[^A-Z_]") do
  not_ours[name] = true
end

-- Where a message may name a source file: this module reads one.
local may_cite = { ["lua/haplua/host/annotations.lua"] = true }

local complaints = 0

local function complain(form, ...)
  io.stderr:write("manual.lua: ", form:format(...), "\n")
  complaints = complaints + 1
end

local output_of = dofile("tests/output_of.lua")

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local manual, help = read("docs/haplua.1"), output_of(program .. " --help")

--- The items of a section, `.It TEXT`.
local function items(section)
  local found = {}
  local text = assert(manual:match("\n%.Sh " .. section .. "\n(.-)\n%.Sh "), section)
  for item in ("\n" .. text):gmatch("\n%.It ([^\n]+)") do
    found[item] = true
  end
  return found
end

--- Complain of what one set has and the other has not.
local function compare(what, ours, theirs)
  for name in pairs(ours) do
    if not theirs[name] then
      complain("docs/haplua.1 lacks the %s '%s'", what, name)
    end
  end
  for name in pairs(theirs) do
    if not ours[name] then
      complain("docs/haplua.1 has the %s '%s', which haplua has not", what, name)
    end
  end
end

--- The options of --help, as the manual page writes them: "Fl s , Fl Fl socket Ar address".
local function check_options()
  local ours, theirs = {}, {}
  for short, long, value in help:gmatch("\n  ([ -])[ %a]?[ ,]? %-%-([%l-]+) ?(%u*)") do
    local letter = short == "-" and help:match("\n  %-(%a), %-%-" .. long:gsub("%-", "%%-") .. "%f[^%l-]")
    ours[(letter and ("Fl %s , "):format(letter) or "") .. "Fl Fl " .. long .. (value ~= "" and " Ar " .. value:lower() or "")] =
      true
  end
  for item in pairs(items("DESCRIPTION")) do
    theirs[item:find("^Fl ") and item or nil or ""] = true
  end
  theirs[""] = nil
  compare("option", ours, theirs)
end

local function check_commands()
  local words = assert(help:match("\n       haplua (%l+ |[^\n]+)"))
  for name in words:gmatch("%f[%l]%l+") do
    if not items("DESCRIPTION")["Cm " .. name] then
      complain("docs/haplua.1 lacks the command '%s'", name)
    end
  end
end

local function check_statuses()
  local ours, theirs = {}, {}
  for status in help:match("\nExit status: (.-)\n\n"):gsub("\n", " "):gmatch("%f[^%z; ](%d+%+?n?) ") do
    ours[status] = true
  end
  for item in pairs(items("EXIT STATUS")) do
    theirs[(item:gsub(" Ns Ar ", ""))] = true
  end
  compare("exit status", ours, theirs)
end

--- What the sources have in quotes: calls fn(path, line, text).
local function each_text(fn)
  for path in output_of("find src lua scripts -name '*.lua' -o -name '*.c'"):gmatch("[^\n]+") do
    local number = 0
    for line in read(path):gmatch("([^\n]*)\n") do
      number = number + 1
      local code = line:gsub("^%s*%-%-.*", ""):gsub("^%s*/?%*.*", "")
      for text in code:gmatch('"([^"]*)"') do
        fn(path, number, text)
      end
    end
  end
end

local function check_texts()
  local variables = {}
  each_text(function(path, number, text)
    if text:find("%f[%w]docs/") or text:find("%f[%w]scripts/") or text:find("%f[%w]tests/") then
      if not may_cite[path] then
        complain("%s:%d: '%s' names a file that is not installed there: cite `haplua help` or the manual", path, number, text)
      end
    end
    local file = text:match("^/etc/haplua/[%w./]+$") or text:match("^/var/lib/haplua/[%w./]+$")
      or text:match("^/run/haproxy/[%w./]+$")
    if file and not items("FILES")["Pa " .. file] then
      complain("docs/haplua.1 lacks the file '%s' (%s:%d)", file, path, number)
    end
    if text:find("^HAPLUA_%u+$") then
      variables[text] = true
    end
  end)
  for name in output_of("grep -rhoE 'getenv\\(\"[A-Z_]+\"' src lua scripts"):gmatch('"([%u_]+)"') do
    variables[name] = true
  end
  for name in pairs(variables) do
    if not not_ours[name] and not manual:find("%.Ev " .. name .. "%f[^%u_]") and not items("ENVIRONMENT")["Ev " .. name] then
      complain("docs/haplua.1 lacks the variable '%s'", name)
    end
  end
  local sources = output_of("cat $(find src lua scripts -name '*.[ch]' -o -name '*.lua')")
  for item in pairs(items("ENVIRONMENT")) do
    local name = assert(item:match("^Ev (.+)$"))
    if not not_ours[name] and not sources:find(name, 1, true) then
      complain("docs/haplua.1 has the variable '%s', which haplua does not read", name)
    end
  end
end

check_options()
check_commands()
check_statuses()
check_texts()
os.exit(complaints == 0)
