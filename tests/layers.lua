-- SPDX-License-Identifier: MIT
--
-- layers.lua - hold the #include and require() lines against the layers that docs/architecture.md draws.
-- Usage: lua5.4 tests/layers.lua, in the top folder. Prints what breaks a rule, and then exits with 1.
-- A row of `c` or `lua` names one folder and the folders that its files may use besides their own. What a
-- row does not name is forbidden; files may not use each other in circles, in one folder or across several.

local c = {
  ["src"] = "run protocol base",
  ["src/run"] = "bindings bindings/haproxy sched net protocol os luakit base",
  ["src/bindings"] = "sched os luakit base",
  ["src/bindings/haproxy"] = "sched net protocol luakit base",
  ["src/bindings/system"] = "sched os luakit base",
  ["src/curl"] = "sched os luakit base", -- a module of its own
  ["src/etcd"] = "curl sched os luakit base", -- another one
  ["src/sched"] = "net protocol os luakit base",
  ["src/net"] = "protocol os base",
  ["src/luakit"] = "base",
  ["src/protocol"] = "base",
  ["src/os"] = "base",
  ["src/base"] = "",
}

-- Which folders may include which system headers.
local system = {
  { "^l%a+%.h$", "src/run src/bindings src/bindings/haproxy src/bindings/system src/curl src/etcd src/sched src/luakit", "Lua",
    only = { ["lua.h"] = true, ["lauxlib.h"] = true, ["lualib.h"] = true } },
  { "^uv%.h$", "src/run src/bindings/system src/curl src/sched src/net src/luakit src/os src/base src", "libuv" },
  { "^sys/", "src/run src/bindings/system src/curl src/etcd src/sched src/net src/luakit src/os src", "the system" },
  { "^curl/", "src/curl", "libcurl" },
  { "^protobuf%-c/", "src/etcd", "protobuf-c" },
  { "^unistd%.h$", "src/run src/bindings/system src/sched src/net src/os src", "the system" },
  { "^time%.h$", "src/run src/bindings/system src/sched src/net src/os src", "time" },
}

-- The C tables (haplua.core, haplua.task, ...) count as the folder "C"; "root" is lua/haproxy.lua and lua/task.lua,
-- "public" is lua/haplua itself: what a script may require.
local lua = {
  ["scripts"] = "public root",
  ["lua/haplua/host"] = "public test root C",
  -- doctor prints of an error what the host would print
  ["lua/haplua/fleet"] = "etcd apply hooks haproxy store plan time base root C",
  ["lua/haplua/cmd"] = "public host view keep fleet rehearse apply hooks haproxy store plan visit rules window time base root C",
  ["lua/haplua/view"] = "apply plan base root C",
  ["lua/haplua/keep"] = "public etcd fleet apply hooks haproxy store plan window time base root C",
  ["lua/haplua/hold"] = "apply haproxy plan time base root C",
  ["lua/haplua/test"] = "public haproxy base root C",
  ["lua/haplua"] = "keep hold fleet apply haproxy store plan visit window ical time base root C test",
  ["lua/haplua/rehearse"] = "public visit apply haproxy store plan rules base root C",
  ["lua/haplua/apply"] = "haproxy store plan visit hooks time base root C",
  ["lua/haplua/hooks"] = "public store plan time base C",
  ["lua/haplua/store"] = "plan visit hooks time base C",
  ["lua/haplua/window"] = "ical time base C",
  ["lua/haplua/ical"] = "time base C",
  ["lua"] = "haproxy base C",
  ["lua/haplua/haproxy"] = "plan rules base C",
  ["lua/haplua/visit"] = "base C",
  ["lua/haplua/etcd"] = "base C",
  ["lua/haplua/plan"] = "base C",
  ["lua/haplua/rules"] = "base C",
  ["lua/haplua/time"] = "base C",
  ["lua/haplua/base"] = "C",
}

local complaints = 0

local function complain(form, ...)
  io.stderr:write("layers.lua: ", form:format(...), "\n")
  complaints = complaints + 1
end

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do
    lines[#lines + 1] = line
  end
  pipe:close()
  return lines
end

local function folder_of(path)
  return path:match("^(.*)/[^/]*$") or "."
end

local function text_of(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

local function words(text)
  local set = {}
  for word in text:gmatch("%S+") do
    set[word] = true
  end
  return set
end

--- Complain of a circle that begins at `path`. `state` tells which files were walked already.
local function walk(uses, path, state, trail)
  state[path] = "open"
  trail[#trail + 1] = path
  for next_path in pairs(uses[path] or {}) do
    if state[next_path] == "open" then
      complain("a circle: %s -> %s", table.concat(trail, " -> "), next_path)
    elseif not state[next_path] then
      walk(uses, next_path, state, trail)
    end
  end
  trail[#trail] = nil
  state[path] = "done"
end

local function find_circles(uses)
  local state, paths = {}, {}
  for path in pairs(uses) do
    paths[#paths + 1] = path
  end
  table.sort(paths)
  for _, path in ipairs(paths) do
    if not state[path] then
      walk(uses, path, state, {})
    end
  end
end

-- C. A .c and its .h are one module: a circle between two modules is one, whichever of the files closes it.

local function check_system_header(path, header)
  for _, rule in ipairs(system) do
    if header:find(rule[1]) and (not rule.only or rule.only[header]) and not words(rule[2])[folder_of(path)] then
      complain("%s includes <%s>: its folder may not use %s", path, header, rule[3])
    end
  end
end

local function check_c()
  local uses = {}
  for _, path in ipairs(lines_of("find src -name '*.[ch]' | sort")) do
    local row = c[folder_of(path)]
    if not row then
      complain("%s: tests/layers.lua has no row for its folder", path)
    end
    local module, text = path:gsub("%.[ch]$", ""), text_of(path)
    uses[module] = uses[module] or {}
    for header in text:gmatch('#include "([^"]+)"') do
      local used = "src/" .. header:gsub("%.h$", "")
      if folder_of(used) ~= folder_of(path) and not words(row or "")[folder_of(header)] then
        complain("%s may not include %s", path, header)
      end
      if used ~= module then
        uses[module][used] = true
      end
    end
    for header in text:gmatch("#include <([^>]+)>") do
      check_system_header(path, header)
    end
  end
  find_circles(uses)
end

-- Lua.

--- The name by which a row knows the folder of a required module, and the module's file.
local function find_module(name)
  local path = "lua/" .. name:gsub("%.", "/") .. ".lua"
  local file = io.open(path)
  if not file then
    return (name:find("^haplua%.") or name == "run") and "C" or "library", nil
  end
  file:close()
  local folder = folder_of(path)
  return folder == "lua" and "root" or folder == "lua/haplua" and "public" or folder:match("[^/]*$"), path
end

local function check_required(path, name, uses)
  local folder, used = find_module(name)
  local same = used and folder_of(used) == folder_of(path)
  local is_error = name == "haplua.error" or name == "run" -- known to all
  if not same and not is_error and folder ~= "library" and not words(lua[folder_of(path)] or "")[folder] then
    complain("%s may not require %s", path, name)
  end
  if used then
    uses[path][used] = true
  end
end

local function check_lua()
  local uses = {}
  for _, path in ipairs(lines_of("find lua scripts -name '*.lua' | sort")) do
    if not lua[folder_of(path)] then
      complain("%s: tests/layers.lua has no row for its folder", path)
    end
    uses[path] = {}
    for name in text_of(path):gsub("%-%-[^\n]*", ""):gmatch('require[%s(]*"([%w_.]+)"') do
      check_required(path, name, uses)
    end
  end
  find_circles(uses)
end

--- A library module that sets a global would set it for every script.
local function check_globals()
  for _, path in ipairs(lines_of("find lua -name '*.lua' | sort")) do
    for _, line in ipairs(lines_of("luac5.4 -l -p " .. path)) do
      if line:find("SETTABUP.*_ENV") then
        complain("%s sets a global: %s", path, line)
      end
    end
  end
end

--- Every module without sockets and without Lua has a unit test.
local function check_unit_tests()
  for _, path in ipairs(lines_of("ls src/base/*.c src/protocol/*.c")) do
    local test = path:gsub("^.*/", "tests/unit/test_")
    if not io.open(test) then
      complain("%s has no %s", path, test)
    end
  end
end

local function check_sizes()
  for _, path in ipairs(lines_of("find src lua scripts -name '*.[chl]*' -type f | sort")) do
    local _, n = text_of(path):gsub("\n", "")
    if n > 500 then
      complain("%s has %d lines, more than 500", path, n)
    end
  end
  for _, folder in ipairs(lines_of("find src lua scripts -type d")) do
    local n = #lines_of(("find %s -maxdepth 1 -type f"):format(folder))
    if n > 15 then
      complain("%s has %d files, more than 15", folder, n)
    end
  end
end

check_c()
check_lua()
check_globals()
check_unit_tests()
check_sizes()
os.exit(complaints == 0)
