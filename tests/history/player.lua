-- SPDX-License-Identifier: MIT
--
--- player.lua - plays random histories, one after the other, in one process. Started by run.lua:
--     haplua -s FOLDER/ok player.lua       in real time
--     haplua test player.lua               in virtual time, where waiting costs nothing; with HISTORY_RUNS set
--                                          each is a script's run, which is stopped or killed after a while
-- Environment: HISTORY_HOME is the folder of this file, HISTORY_FOLDER one for the histories' files,
-- HISTORY_SEEDS "first last", or HISTORY_FILES the paths of programs to play instead. To HISTORY_LOG goes the name of
-- each history before it begins, "bad: " and the complaint behind one that fails, and "end" at the end.

local home, folder = os.getenv("HISTORY_HOME"), os.getenv("HISTORY_FOLDER")
package.path = home .. "/?.lua;" .. package.path

local generate = require("generate")
local judge = require("judge")

local it = rawget(_G, "it")
local is_virtual = it ~= nil
-- Seconds that a history has before it is cancelled, and that it has to end then.
local LIMIT = is_virtual and 100 or 0.1
local GRACE = is_virtual and 1000 or 20

local log = assert(io.open(os.getenv("HISTORY_LOG"), "a"))
log:setvbuf("no")

-- Replies by the command; others are empty.
local replies = {
  ["show info"] = "Name: HAProxy\nVersion: 2.6.1\nPid: 1\n",
  ["show stat"] = "# pxname,svname,scur,\napp,a1,0,\n",
  ["show servers state"] = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n"
    .. "3 app 1 a1 127.0.0.1 2 0 1\n3 app 2 a2 127.0.0.1 2 0 1\n",
}

--- What the folder's HAProxys answer in virtual time.
local function answer(address, bytes, put_off)
  local name = address:match("[^/]*$")
  if name == "ok" or name == "slow" and put_off then
    return (bytes:match("^[^\n]*"):gsub("([^;]*);?", function(command)
      return command ~= "" and (replies[command] or "") .. "\n" or ""
    end))
  elseif name == "slow" then
    return nil, 0.05
  elseif name == "hold" then
    return nil, math.huge
  elseif name == "cut" then
    return "o"
  end
  return nil, nil, name == "reset" and "ECONNRESET" or "ENOENT"
end

-- A finalizer runs in the task that happens to allocate, and what it spawns is that task's child. So the player itself
-- allocates only while the collector stands still; what waits for a history, and what collects, are tasks of their own.

local function set_collector(mode)
  collectgarbage("incremental", 1000, 100, 13)
  collectgarbage(mode)
end

--- Call in a task of its own, and wait for its end, and for that of all that it spawns.
local function apart(fn)
  local shield = task.spawn(function()
    fn()
    set_collector("stop")
  end)
  if not pcall(task.deadline, LIMIT + GRACE + GRACE, judge.wait, shield) then
    shield:cancel()
    pcall(task.deadline, GRACE, judge.wait, shield)
  end
  set_collector("stop")
end

--- What a history's root does.
local function whole(chunk)
  return function()
    set_collector("restart")
    chunk()
  end
end

--- Wait for the end of a task of the history; after LIMIT seconds it is cancelled.
local function wait_for(root, seen)
  seen:hearing(pcall(seen.deadline, seen, LIMIT, root.wait, root))
  if not root:done() then
    root:cancel()
    pcall(task.deadline, GRACE, root.wait, root)
  end
end

--- Collect what a history left, as long as there are finalizers that have not run.
local function sweep(seen)
  for _ = 1, 5 do
    apart(function()
      local collector = seen:spawn(function()
        collectgarbage()
        collectgarbage()
      end)
      wait_for(collector, seen)
    end)
    if seen.unfinalized <= 0 then
      break
    end
  end
end

--- After a history nothing of it is left that disturbs others.
local function look_around(seen)
  local ok, err = pcall(task.sleep, 0)
  if not ok then
    seen:complain("an error comes after the end: %s", type(err) == "table" and rawget(err, 1) or tostring(err))
  end
  if is_virtual and not seen.complaint then
    local left = require("haplua.virtual").next()
    if left then
      seen:complain("a timer of %g s is left", left)
    end
  end
end

--- Play a program. Returns what was wrong, or nil.
local function play(text)
  local seen = judge.new(folder, is_virtual)
  local root
  apart(function()
    root = seen:spawn(whole(assert(load(text, "=history", "t", seen.env))))
    wait_for(root, seen)
  end)
  if root:done() then
    sweep(seen)
    look_around(seen)
  end
  return seen:verdict()
end

--- Play a program as a script's run: until its end, or stopped after some seconds, or killed.
local function play_run(text, seed)
  local virtual = require("haplua.virtual")
  local path = folder .. "/run.lua"
  local f <close> = assert(io.open(path, "w"))
  f:write(("local folder = %q\n"):format(folder), text)
  f:close()
  set_collector("restart")
  local script, root = virtual.start(path, {}, { folder .. "/ok" })
  apart(function()
    task.sleep(({ 0, 0.001, 0.1, 5, 20, 100 })[seed % 6 + 1])
    if seed // 6 % 2 == 1 then
      virtual.abandon(root)
    else
      script:stop(15)
    end
    pcall(task.deadline, GRACE, root.wait, root)
  end)
  local complaint = not root:done() and "the run does not end" or nil
  script:close()
  for _ = 1, 5 do
    apart(function() collectgarbage() end)
  end
  return complaint
end

local function one(name, text)
  log:write(name, "\n")
  local complaint
  if os.getenv("HISTORY_RUNS") then
    complaint = play_run(text, math.tointeger(tonumber(name:match("%d+"))))
  else
    complaint = play(text)
  end
  if complaint then
    log:write("bad: ", complaint, "\n")
    -- what follows would suffer from it, and so would an orderly end
    log:write("end\n")
    os.execute("kill -9 " .. require("haplua.process").pid())
  end
end

local function main()
  judge.begin()
  set_collector("stop")
  if is_virtual then
    require("haplua.virtual").answer(answer)
    require("haplua.core").use(require("haplua.core").open(folder .. "/ok"))
  end
  local files = os.getenv("HISTORY_FILES")
  for path in (files or ""):gmatch("%S+") do
    local f <close> = assert(io.open(path))
    one(path, f:read("a"))
  end
  if not files then
    local first, last = os.getenv("HISTORY_SEEDS"):match("(%d+) (%d+)")
    for seed = math.tointeger(first), math.tointeger(last) do
      one(tostring(seed), generate.history(seed, is_virtual and "virtual" or "real"):text())
    end
  end
  log:write("end\n")
end

if is_virtual then
  it("plays histories", main)
else
  main()
end
