-- SPDX-License-Identifier: MIT
--
--- A real HAProxy and a fake one with the same configuration, the corpus of commands, and what is compared of
-- the replies: for conformance_test.lua and regex_test.lua.

local M = {}

local HAPROXY = os.getenv("HAPROXY") or "haproxy"
local ASK = (os.getenv("BUILD") or "build") .. "/ask"
local PATH = os.getenv("PATH") .. ":/usr/sbin:/sbin"
local HERE = debug.getinfo(1, "S").source:match("^@(.*)/") or "."

-- The ACLs of both: {reference, fetch, match, insensitive, patterns}. Two match methods are two ACLs that share a file.
M.acls = {
  { "#101", "path", "str", false, { "/str" } },
  { "#102", "path", "beg", false, { "/beg", "/beg/long" } },
  { "#103", "path", "str", true, { "/str" } },
  { "#104", "path", "beg", true, { "/beg" } },
  { "#105", "path", "end", true, { ".end" } },
  { "#106", "path", "sub", false, { "sub" } },
  { "#107", "path", "dir", false, { "dir" } },
  { "#108", "path", "dom", false, { "dom.org" } },
  { "#109", "path", "reg", false, { "^/x/[0-9]+/" } },
  { "#110", "path", "reg", true, { "^/reg/" } },
  { "#111", "src", "ip", false, { "10.0.0.0/8", "192.0.2.1", "2001:db8::/32" } },
  { "#112", "dst_port", "int", false, { "80", "100" } },
  { "#113", "path", "len", false, { "3" } },
  { "file.acl", "path", "str", false, { "/f1", "/f2" } },
  { "two.acl", "path", { "str", "beg" }, false, { "/t1" } },
}
M.maps = {
  { "info.map", "str", { { "reason", "none" }, { "until", "" } } },
  { "beg.map", "beg", { { "/p", "1" } } },
}

local function lines_of(list)
  local out = {}
  for i, item in ipairs(list) do
    out[i] = (type(item) == "table" and table.concat(item, " ") or item) .. "\n"
  end
  return table.concat(out)
end

--- The content of the lists' files, by name.
---@return table<string, string>
function M.files()
  local files = {}
  for _, acl in ipairs(M.acls) do
    if acl[1]:sub(1, 1) ~= "#" then
      files[acl[1]] = lines_of(acl[5])
    end
  end
  for _, map in ipairs(M.maps) do
    files[map[1]] = lines_of(map[3])
  end
  return files
end

-- The levels of HAProxy's socket.
M.levels = { "admin", "operator", "user" }

--- HAProxy's configuration. It listens on sockets in this folder only.
---@return string
function M.config(dir, level)
  local out = { ([[
global
    stats socket %s/admin.sock level %s
    nbthread 1
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend www
    bind unix@%s/www.sock
]]):format(dir, level, dir) }
  for i, acl in ipairs(M.acls) do
    local id = acl[1]:match("^#(%d+)$")
    for _, match in ipairs(type(acl[3]) == "table" and acl[3] or { acl[3] }) do
      out[#out + 1] = ("    acl a%d %s %s-m %s %s\n"):format(i, acl[2], acl[4] and "-i " or "", match,
        id and ("-u %s %s"):format(id, table.concat(acl[5], " ")) or ("-f %s/%s"):format(dir, acl[1]))
    end
  end
  for i, map in ipairs(M.maps) do
    out[#out + 1] = ("    http-request set-header X-%d %%[path,map_%s(%s/%s)]\n"):format(i, map[2], dir, map[1])
  end
  out[#out + 1] = [[
    default_backend app
backend app
    server a1 127.0.0.1:8001
    server a2 192.0.2.1:80 weight 10 disabled
backend other
    server b1 127.0.0.1:8003
]]
  return table.concat(out)
end

---@class conformance.HAProxy
---@field version string  in full
---@field ask fun(bytes: string): string  sends the bytes over one connection and returns the answer

--- Start a HAProxy with that configuration. It ends at the end of the block: local real <close> = start(...).
---@param folder {path: string, write: fun(name: string, text: string): string}
---@param level string  of its socket
---@return conformance.HAProxy
function M.start(folder, level)
  local log, socket = {}, folder.path .. "/admin.sock"
  local function note(line)
    log[#log + 1] = line
  end
  local process = task.spawn(run, {
    HAPROXY, "-db", "-f", folder.write("haproxy.cfg", M.config(folder.path, level)),
    stdout = note, stderr = note, env = { PATH = PATH },
  })
  local target, latest = haproxy.connect(socket), task.now() + 20
  while not pcall(target.send, target, "show cli level") do
    if process:done() or task.now() > latest then
      process:cancel()
      error("HAProxy does not start:\n  " .. table.concat(log, "\n  "), 0)
    end
    task.sleep(0.005)
  end
  local real = { version = target:info().Version }
  function real.ask(bytes)
    local status, out = run({ ASK, socket, bytes, stdout = "capture" })
    return out .. (status == 0 and "" or "<no end>")
  end
  return setmetatable(real, {
    __close = function()
      process:cancel()
      pcall(process.wait, process)
    end,
  })
end

--- The file of the PCRE2 that HAProxy runs with.
---@return string path
function M.pcre2()
  local _, out = run({ HAPROXY, "-v", stdout = "capture", env = { PATH = PATH, LD_TRACE_LOADED_OBJECTS = "1" } })
  return assert(out:match("libpcre2%-8%.so%.0 => (%S+)"), out)
end

--- The options of a fake that is configured likewise.
function M.options(dir, version, level)
  local options = { version = version, level = level, acls = {}, maps = {}, servers = {
    ["app/a1"] = { addr = "127.0.0.1", port = 8001 },
    ["app/a2"] = { addr = "192.0.2.1", port = 80, weight = 10, disabled = true },
    ["other/b1"] = { addr = "127.0.0.1", port = 8003 },
  } }
  for _, acl in ipairs(M.acls) do
    local ref = acl[1]:sub(1, 1) == "#" and acl[1] or dir .. "/" .. acl[1]
    options.acls[ref] = { fetch = acl[2], match = acl[3], insensitive = acl[4], entries = acl[5] }
  end
  for _, map in ipairs(M.maps) do
    options.maps[dir .. "/" .. map[1]] = { match = map[2] }
  end
  return options
end

---@class conformance.Entry
---@field line integer  in the corpus
---@field depends boolean
---@field text string  the request, with {DIR} and {ref}

---@return {name: string, [integer]: conformance.Entry}[]
function M.corpus(version)
  local sessions, last = {}, {}
  local number = 0
  local file = HERE .. "/../conformance/corpus.txt"
  for line in io.lines(file) do
    number = number + 1
    local name = line:match("^session (.*)$")
    local since, mark, text = line:match("^(%d?%.?%d?)([!|-]) ?(.*)$")
    text = text and text:gsub("%%(%x%x)", function(hex)
      return string.char(tonumber(hex, 16))
    end):gsub("{(.)%*(%d+)}", string.rep)
    if name then
      table.insert(sessions, { name = name })
    elseif mark == "|" then
      last.entry.text = last.entry.text .. text .. "\n"
    elseif mark then
      last.entry = { line = number, depends = mark == "!", text = text .. "\n" }
      if since == "" or tonumber(since) <= tonumber(version) then
        table.insert(sessions[#sessions], last.entry)
      end
    else
      assert(line == "" or line:sub(1, 1) == "#", ("%s:%d: this line cannot be read"):format(file, number))
    end
  end
  return sessions
end

-- The columns of `show stat` that are compared.
local columns = {
  pxname = true, svname = true, qcur = true, scur = true, status = true, weight = true, iid = true, sid = true,
  type = true, mode = true, used_conn_cur = true, idle_conn_cur = true, addr = false,
}

local function rows_of_stat(text)
  local names, out = {}, {}
  for line in text:gmatch("([^\n]*)\n") do
    local row, i = {}, 0
    for field in line:gsub("^# ", ""):gmatch("([^,]*),") do
      i = i + 1
      if line:sub(1, 2) == "# " then
        names[i] = field
      elseif columns[names[i]] then
        row[#row + 1] = names[i] .. "=" .. field
      end
    end
    out[#out + 1] = table.concat(row, " ")
  end
  return table.concat(out, "\n")
end

local info = { Name = true, Version = true, Pid = true, Uptime_sec = true, Stopping = true, Start_time_sec = true }

local function rows_of_info(text)
  local out = {}
  for name, value in text:gmatch("([%w_]+): ([^\n]*)") do
    if info[name] then
      out[#out + 1] = name .. ": " .. (value:gsub("^%d+$", "N"))
    end
  end
  return table.concat(out, "\n") .. (text:match("\n*$"))
end

--- A line of `show acl` or `show map` without numbers that HAProxy chose and without the description; "" for a list that
-- HAProxy has made itself.
local function list_line(id, file, text)
  if file == "" and tonumber(id) < 100 then
    return ""
  end
  return ("%s (%s) ...%s\n"):format(file == "" and id or "N", file, text:match("%. curr_ver=.*$") or "")
end

--- A reply without the parts that differ between processes.
function M.normalised(text)
  if text:find("# pxname", 1, true) then
    return rows_of_stat(text)
  elseif text:find("Uptime_sec: ", 1, true) then
    return rows_of_info(text)
  elseif text:find("# id (file) description\n", 1, true) == 1 then
    local lines = {}
    for id, file, rest in text:gmatch("\n(%d+) %(([^)\n]*)%) ([^\n]*)") do
      lines[#lines + 1] = list_line(id, file, rest)
    end
    table.sort(lines)
    return table.concat(lines) .. text:match("\n*$")
  end
  local seen, n = {}, 0
  -- regexes.lua compares offsets, where both have the same PCRE2
  return (text:gsub("erroffset=%d+", "erroffset=N"):gsub("0x%x%x%x%x%x%x+", function(pointer)
    n = seen[pointer] and n or n + 1
    seen[pointer] = seen[pointer] or "0xP" .. n
    return seen[pointer]
  end):gsub("(Unknown command)[^\n]*\n.*", "%1")
    :gsub("(\n%d+ %S+ %d+ %S+ %S+ %d+ %d+ %d+ %d+) %d+ ", "%1 TIME "))
end

return M
