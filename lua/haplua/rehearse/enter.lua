-- SPDX-License-Identifier: MIT
--
--- The first of the two processes of a rehearsal: it leaves the network and the processes of the system, and starts the
-- second one (haplua.rehearse.inside), which is process 1 there: when it ends, the kernel ends all that it has started.
-- A plan comes as JSON on standard input, and the outcome leaves as JSON on standard output.

local M = {}

--- The words that start haplua once more, to run a function of a module.
---@param module string
---@param file string  HAProxy's configuration: for people who look at the processes
---@param ... string  options of haplua
---@return string[]
function M.words(module, file, ...)
  local words = { "/proc/self/exe", ... }
  return table.move({ "-e", ("return require(%q).main()"):format(module), file }, 1, 3, #words + 1, words)
end

--- End with the parent, and read what it wants. Raises where the parent has ended already.
---@return string
function M.begin()
  assert(require("haplua.namespace").end_with_parent())
  assert(io.write("\n"))
  assert(io.flush()) -- only the parent has the other end of this pipe
  return io.read("a")
end

--- Write a line of /proc/self.
local function write(name, text)
  local f <close> = io.open("/proc/self/" .. name, "w")
  return f and f:write(text) and f:flush()
end

--- Leave what the system shares. A user without rights becomes root of a small world first.
---@param is_user boolean
---@return string? problem
local function leave(is_user)
  local namespace, info = require("haplua.namespace"), require("haplua.file").info("/proc/self")
  local ok, problem
  if is_user then
    ok, problem = namespace.unshare({ "user" })
    if not ok then
      return problem
    end
    write("setgroups", "deny")
    if not write("uid_map", ("0 %d 1"):format(info.uid)) or not write("gid_map", ("0 %d 1"):format(info.gid)) then
      return "the system gives no user namespace"
    end
  end
  ok, problem = namespace.unshare({ "net", "ipc", "uts", "pid" })
  return not ok and problem or nil
end

--- Run the program of the first process.
---@return integer status
function M.main()
  local text = M.begin()
  local json = require("haplua.json")
  local order = json.decode(text)
  local problem = leave(order.is_user)
  if problem then
    print(json.encode({ error = { kind = "denied", message = "no namespaces: " .. problem, phase = "rehearsal",
      advice = require("haplua.rehearse.failure").RIGHTS } }))
    return 0
  end
  local words = M.words("haplua.rehearse.inside", order.start.files[1], "-s", require("haplua.rehearse.launch").SOCKET)
  words.stdin, words.stdout = text, "capture"
  local status, out = require("run")(words)
  io.write(out)
  return status
end

return M
