-- SPDX-License-Identifier: MIT
--
--- statements.lua - the kinds of statements that random histories are made of.
-- Each kind has a `weight`, a `group` and a function `make(g)` that returns a statement (program.lua), `g` being the
-- generator. Of a kind may be said:
--   nests    it holds blocks of other statements
--   always   no seed leaves it out
--   within   "coroutine": it is rare elsewhere
--   without  "finalizer": it does not stand there
--   time     "real" or "virtual": it is for that one alone
--   alone    it is for histories that have a process to themselves
-- Statements meet through tables of three: T holds tasks, C coroutines, F functions of coroutine.wrap(), S targets,
-- L locks, W watches, D databases.

local M = {
  ---@type table[]
  kinds = {},
  --- The bindings that a history may have besides tasks and coroutines ("core").
  groups = { "haproxy", "run", "file", "watch", "sqlite" },
}

local group = "core"

local function kind(weight, make, about)
  local one = { weight = weight, make = make, group = group }
  for key, value in pairs(about or {}) do
    one[key] = value
  end
  table.insert(M.kinds, one)
end

--- A kind whose statement is one of these texts; %T is a slot of T, and so on, %S seconds, %N another number.
local function plain(weight, texts, about)
  kind(weight, function(g)
    return { (g:pick(texts):gsub("%%(%u)", function(what)
      if what == "S" then
        return M.seconds(g)
      end
      return what == "N" and tostring(g.random(3)) or ("%s[%d]"):format(what == "H" and "S" or what, g.random(3))
    end)) }
  end, about)
end

--- A kind whose statement is one of these pairs of texts around a block. Texts as of plain().
local function proxies(weight, pairs_of_texts)
  kind(weight, function(g)
    local form = g:pick(pairs_of_texts)
    return { (form[1]:gsub("%%N", tostring(g.random(3)))), g:block(3), form[2] }
  end, { nests = true })
end

--- How long a wait is. Some end together, some after the five seconds that cleanups have.
function M.seconds(g)
  if g.time == "real" then
    return g:pick({ "0", "0", "0.0005", "0.001", "0.002" })
  end
  return g:pick({ "0", "0", "0.001", "0.01", "0.01", "0.1", "1", "4", "6", "11" })
end

--- How long a deadline is: the seconds tell it from the others of the history.
local function deadline(g)
  local base = g.time == "real" and g:pick({ 0.001, 0.002, 0.005 }) or g:pick({ 0.001, 0.01, 0.1, 1, 5 })
  return ("%.6g"):format(base * (1 + g:number() / 1000))
end

local nests = { nests = true }
local always = { nests = true, always = true }

-- Tasks.

plain(8, { "task.sleep(%S)", "task.sleep(%S)", "task.sleep_until(task.time() + %S)" }, { always = true })
plain(5, { "%T:wait()" }, { always = true })
plain(3, { "%T:cancel()" })
plain(1, { "tostring(%T)", "%T:done()", "coroutine.status(%C)", "coroutine.isyieldable()" })
plain(2, { "%T = idle", "%C = ended", "%F = print", "%H = haproxy.target()" })

kind(9, function(g)
  local slot = g.random(3) > 1 and "" or ("T[%d] = "):format(g.random(3))
  return { slot .. "task.spawn(function()", g:block(4, "task"), "end)" }
end, always)

kind(2, function(g)
  return { "do", { { "local _ <close> = task.spawn(function()", g:block(3, "task"), "end)" }, { "do", g:block(3), "end" } },
    "end" }
end, nests)

kind(1, function(g)
  return { "task.all({ function()", g:block(3, "task"), "end, function()", g:block(3, "task"), "end })" }
end, nests)

kind(4, function(g)
  return { ("task.deadline(%s, function()"):format(deadline(g)), g:block(4), "end)" }
end, nests)

-- Not in a finalizer: Lua switches hooks off there, and nothing ends it.
kind(1, function(g)
  return { ("task.deadline(%s, function() while true do end end)"):format(deadline(g)) }
end, { time = "real", without = "finalizer" })

-- Control.

kind(5, function(g)
  return { "pcall(function()", g:block(4), "end)" }
end, always)

kind(3, function(g)
  return { g.random(5) > 1 and ("error({ %d })"):format(g:number()) or g:pick({ 'error("e")', "error()" }) }
end)

plain(0.3, { "os.exit(3)" }, { alone = true })

kind(2, function(g)
  return { ("for _ = 1, %d do"):format(g:pick({ 2, 3, 10 })), g:block(3), "end" }
end, nests)

plain(1, { "do return end", "do return %N, {} end" })
plain(1, { "for _ = 1, 20000 do end", "local _ = (\"x\"):rep(10000)" })

-- Coroutines.

kind(5, function(g)
  return { ("C[%d] = coroutine.create(function()"):format(g.random(3)), g:block(4, "coroutine"), "end)" }
end, nests)

kind(5, function(g)
  local slot = g.random(3)
  return { ("C[%d] = coroutine.create(function()"):format(slot), g:block(4, "coroutine"), "end)",
    ("coroutine.resume(C[%d])"):format(slot) }
end, nests)

kind(3, function(g)
  return { ("F[%d] = coroutine.wrap(function()"):format(g.random(3)), g:block(4, "coroutine"), "end)" }
end, nests)

kind(3, function(g)
  return { "coroutine.wrap(function()", g:block(4, "coroutine"), "end)()" }
end, nests)

kind(1, function(g)
  return { "for _ in coroutine.wrap(function()", g:block(3, "coroutine"), "end) do", g:block(2), "end" }
end, nests)

kind(0.5, function(g)
  return { ("deep(%d, function()"):format(g:pick({ 2, 20, 150, 190, 250 })), g:block(2, "coroutine"), "end)" }
end, nests)

plain(6, { "coroutine.resume(%C)", "coroutine.resume(%C)", "%F()" })
plain(5, { "coroutine.yield()", "coroutine.yield(1)" }, { within = "coroutine" })
plain(3, { "coroutine.close(%C)" })

-- What runs at odd moments: finalizers, cleanups, callbacks of C, metamethods.

kind(4, function(g)
  return { "setmetatable({}, { __gc = function()", g:block(3, "finalizer"), "end })" }
end, nests)

kind(4, function(g)
  return { "do", { { "local _ <close> = setmetatable({}, { __close = function()", g:block(3), "end })" },
    { "do", g:block(3), "end" } }, "end" }
end, nests)

plain(8, {
  "collectgarbage()", "collectgarbage()", "collectgarbage()", 'collectgarbage("step", %N)',
})

local collectors = {
  'collectgarbage("generational")', 'collectgarbage("incremental", 10, 1000, 6)', 'collectgarbage("incremental", 0, 100, 8)',
  'collectgarbage("stop")', 'collectgarbage("restart")',
}
plain(1, collectors)

--- A statement that sets how the garbage is collected.
function M.collector(g)
  return { g:pick(collectors) }
end

local callbacks = {
  { "string.gsub(\"xx\", \"x\", function()", "end)" },
  { "table.sort({ 2, 1 }, function(a, b)", "return a < b end)" },
  { "load(function() (function()", "end)() end)" }, -- a reader that returned a text would be called for ever
  { "tostring(setmetatable({}, { __tostring = function()", "return \"\" end }))" },
  { "local _ = setmetatable({}, { __index = function()", "end }).x" },
  { "local _ = setmetatable({}, { __add = function()", "end }) + 1" }, -- not __concat: Lua 5.4.4 does not survive all of it
  { "local _ = #setmetatable({}, { __len = function()", "end })" },
}

kind(4, function(g)
  local form = g:pick(callbacks)
  return { form[1], g:block(3), form[2] }
end, nests)

-- A handler that fails is called again for its own failure, down to Lua's limit of nested C calls, where not even
-- finalizers are called any more.
kind(1, function(g)
  return { "xpcall(function()", g:block(3), "end, function() pcall(function()", g:block(2), "end) end)" }
end, nests)

group = "haproxy"

-- HAProxy. Behind the names stand: one that answers, one that does not, one that is not there, one that resets, one that
-- ends within its answer, one that is slow.

plain(2, {
  'S[%N] = haproxy.connect(folder .. "/ok")', 'S[%N] = haproxy.connect(folder .. "/hold")',
  'S[%N] = haproxy.connect(folder .. "/none")', 'S[%N] = haproxy.connect(folder .. "/reset")',
  'S[%N] = haproxy.connect(folder .. "/cut")', 'S[%N] = haproxy.connect(folder .. "/slow")',
  'require("haplua.core").use(%H)', "tostring(%H)", "local _ <close> = %H", "local _ = %H == %H",
})

plain(5, {
  '%H:send("show info")', '%H:send("show info", nil, nil, %S)', '%H:send({ "add", "acl", "#1", "x" })',
  '%H:batch({ "show info", "show stat", "show sess" })', '%H:batch({ "clear acl #1", "clear acl #2" }, nil, nil, %S)',
  '%H:each({ "add", "acl", "#1" }, { "a", "b", "c" })', '%H:servers()', '%H:acl_replace("#1", { "a" })',
  "haproxy.barrier()",
})

-- Tables whose metamethods are called while the host reads them.
proxies(1, {
  { "S[%N]:send(setmetatable({}, { __len = function() return 2 end, __index = function()", 'return "show" end }))' },
  { "S[%N]:batch(setmetatable({}, { __len = function() return 2 end, __index = function()", 'return "show info" end }))' },
  { 'S[%N]:each({ "add", "acl", "#1" }, setmetatable({ "a" }, { __len = function() return 2 end, __index = function()',
    'return "b" end }))' },
  { "S[%N]:send({ setmetatable({}, { __tostring = function()", 'return "show info" end }) })' },
})

kind(1, function(g)
  return { ("for _, row in ipairs(S[%d]:servers()) do"):format(g.random(3)), { { "local _ = row.srv_name" } }, g:block(2),
    "end" }
end, nests)

group = "run"

plain(0.7, {
  'run({ "true" })', 'run({ "sleep", "0.01" })', 'run({ "cat", stdin = "x", stdout = "capture" })',
  'run({ "sh", "-c", "echo a; echo b; exit 3", stdout = "capture", stderr = "null" })', 'run({ "/none" })',
})

plain(0.3, { 'os.execute("true")', 'io.popen("echo x"):close()' })

-- An alarm that comes at the wrong time.
plain(0.3, { 'os.execute("kill -ALRM " .. require("haplua.process").pid())' }, { time = "real" })

proxies(0.5, {
  { 'run(setmetatable({ "true" }, { __index = function()', "end }))" },
  { 'run({ "true", env = setmetatable({}, { __index = function()', "end }) })" },
})

kind(0.5, function(g)
  return { 'run({ "printf", "a\\nb\\nc", stdout = function()', g:block(3), "end })" }
end, nests)

group = "file"

plain(2, {
  'file.replace(folder .. "/f", "x")', 'file.read(folder .. "/f")', "file.list(folder)", 'file.info(folder .. "/f")',
  'file.id(folder .. "/f")', 'file.locked(folder .. "/l", %N)', 'L[%N] = file.lock(folder .. "/l", %N) or L[%N]',
  "%L:release()",
})

kind(0.7, function(g)
  return { "do", { { ('local _ <close> = file.lock(folder .. "/l", %d)'):format(g.random(3)) }, { "do", g:block(3), "end" } },
    "end" }
end, nests)

proxies(0.7, {
  { 'file.replace(folder .. "/f", "x", setmetatable({}, { __index = function()', "end }))" },
  { 'file.folder(folder .. "/f", setmetatable({}, { __index = function()', "end }))" },
})

group = "watch"

plain(4, {
  "W[%N] = watch.open()", "%W:add(folder)", "%W:add(folder)", "%W:wait()", "%W:wait(%S)", "%W:wait(%S)", "%W:close()",
})

group = "sqlite"

plain(4, {
  'D[%N] = sqlite.open(folder .. "/d")', '%D:run("insert into t values (?, ?)", 1, "x")', '%D:run("select * from t")',
  '%D:run("select * from t limit %N")', '%D:script("begin; insert into t values (1, 2)")', '%D:script("commit")',
  "%D:close()", '%D:run("no sql")',
})

proxies(0.7, {
  { 'D[%N] = sqlite.open(folder .. "/d", setmetatable({}, { __index = function()', "end }))" },
})

--- Lines that a program needs, each where one of the names occurs in it; those that the lines need come before.
local needs = {
  { "idle", "local idle = task.spawn(function() end)" },
  { "T", "local idle = task.spawn(function() end)", "local T = { idle, idle, idle }" },
  { "C", "local ended = coroutine.create(print)", "local C = { ended, ended, ended }" },
  { "ended", "local ended = coroutine.create(print)" },
  { "F", "local F = { print, print, print }" },
  { "deep", "local function deep(n, fn)", "  if n == 0 then", "    return fn()", "  end",
    "  coroutine.wrap(deep)(n - 1, fn)", "end" },
  { "S", 'local S = { haproxy.target(), haproxy.connect(folder .. "/hold"), haproxy.connect(folder .. "/ok") }' },
  { "file", 'local file = require("haplua.file")' },
  { "L", 'local file = require("haplua.file")',
    'local L = { file.lock(folder .. "/l", 4), file.lock(folder .. "/l", 5), file.lock(folder .. "/l", 6) }' },
  { "watch", 'local watch = require("haplua.watch")' },
  { "W", 'local watch = require("haplua.watch")', "local W = { watch.open(), watch.open(), watch.open() }" },
  { "sqlite", 'local sqlite = require("haplua.sqlite")' },
  { "D", 'local sqlite = require("haplua.sqlite")',
    'local D = { sqlite.open(folder .. "/d"), sqlite.open(folder .. "/d"), sqlite.open(folder .. "/d") }',
    'D[1]:script("create table if not exists t (a, b); delete from t")' },
}

--- A program with the lines before it that it needs.
---@param text string
---@return string
function M.prelude(text)
  local used, lines, seen = {}, {}, {}
  for name in text:gmatch("[%a_]+") do
    used[name] = true
  end
  for _, need in ipairs(needs) do
    for i = 2, used[need[1]] and #need or 0 do
      if not seen[need[i]] or need[1] == "deep" then
        seen[need[i]] = true
        lines[#lines + 1] = need[i]
      end
    end
  end
  return table.concat(lines, "\n") .. (#lines > 0 and "\n" or "") .. text
end

return M
