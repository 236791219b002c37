-- SPDX-License-Identifier: MIT
--
--- The script behind `haplua test`: find test files, run them, and report.

local world = require("haplua.test.world")
local spec = require("haplua.test.spec")
local run = require("run")

--- The *_test.lua files below a folder, in order; or the file that `path` names.
---@return string[]? files, string? problem
local function find(path)
  path = path:gsub("^%-", "./-")
  local info, problem = require("haplua.file").info(path)
  if not info then
    return nil, problem
  elseif info.type ~= "folder" then
    return { path }
  end
  local status, out = run({
    "find", path, "-name", ".?*", "-prune", "-o", "-name", "*_test.lua", "-type", "f", "-print0", stdout = "capture",
  })
  if status ~= 0 then
    return nil, "find failed"
  end
  local files = {}
  for file in out:gmatch("[^\0]+") do
    files[#files + 1] = file
  end
  table.sort(files)
  return files
end

local function indent(text, by)
  return (text:gsub("\n", "\n" .. by))
end

-- Reports: file(path) before a file's results, result(outcome), finish(counts, seconds).

local function list_report()
  local report = {}
  function report.file(path)
    print(path)
  end
  function report.result(outcome)
    local labels = { ok = "ok  ", failed = "FAIL", skipped = "skip" }
    print(("  %s  %s"):format(labels[outcome.status], outcome.name))
    if outcome.message then
      print("        " .. indent(outcome.message, "        "))
      if outcome.status == "failed" and outcome.place then
        print("        at " .. outcome.place)
      end
    end
    io.stdout:flush()
  end
  function report.finish(counts, elapsed)
    print(("%d passed, %d failed, %d skipped (%.2f s)"):format(counts.ok, counts.failed, counts.skipped, elapsed))
  end
  return report
end

local function tap_report()
  local report, n, file = {}, 0, ""
  print("TAP version 13")
  function report.file(path)
    file = path
  end
  function report.result(outcome)
    n = n + 1
    local name = (file .. ": " .. outcome.name):gsub("[#\n\\]", " ")
    print(("%s %d - %s%s"):format(outcome.status == "failed" and "not ok" or "ok", n, name,
      outcome.status == "skipped" and " # SKIP" or ""))
    if outcome.status == "failed" then
      print("  ---\n  message: |\n    " .. indent(outcome.message, "    "))
      print(("  at: %s\n  ..."):format(outcome.place or "?"))
    end
  end
  function report.finish()
    print("1.." .. n)
  end
  return report
end

--- Forget the modules that a file has loaded: the next file loads its own.
local function forget_modules(before)
  for name in pairs(package.loaded) do
    if not before[name] and not package.preload[name] then
      package.loaded[name] = nil
    end
  end
end

local function snapshot()
  local loaded = {}
  for name in pairs(package.loaded) do
    loaded[name] = true
  end
  return loaded
end

--- Run a file's tests, and report them.
---@param chosen {seconds: number, name: string?}
---@param names string[]  the names of all tests are added
local function run_file(path, chosen, report, names)
  local before = snapshot()
  local restore <close> = setmetatable({}, { __close = world.begin() })
  local ok, block = pcall(spec.load, path)
  local all = ok and spec.names(block) or {}
  table.move(all, 1, #all, #names + 1, names)
  if spec.is_signal(block) then
    error(block, 0)
  elseif #all == 0 then
    report.file(path)
    report.result({ name = path, status = "failed", message = ok and "there is no test in this file" or tostring(block) })
  elseif #spec.names(block, chosen.name) > 0 then
    report.file(path)
    spec.run(block, chosen, report.result)
  end
  forget_modules(before)
end

--- What to write instead of a text that no test has in its name: the nearest sequence of as many words.
---@param names string[]  of all tests
local function advice(text, names)
  local _, blanks = text:gsub("%s+", "")
  local candidates = {}
  for _, name in ipairs(names) do
    local words = {}
    for word in name:gmatch("%S+") do
      words[#words + 1] = word
    end
    for i = 1, #words - blanks do
      candidates[#candidates + 1] = table.concat(words, " ", i, i + blanks)
    end
  end
  local near = require("haplua.error").nearest(text, candidates)
  return near and ("did you mean '%s'?"):format(near) or ("there are %d tests, one is '%s'"):format(#names, names[1])
end

local function gather(paths)
  local files = {}
  for _, path in ipairs(paths) do
    local found, problem = find(path)
    if not found then
      io.stderr:write(("test: %s\n"):format(problem))
      return nil
    end
    table.move(found, 1, #found, #files + 1, files)
  end
  return files
end

---@param ... string  the words after `haplua test`
---@return integer status
return function(...)
  local args = require("haplua.cli").parse(require("haplua.test.declaration"), { ... })
  if args.watch then
    local words = {}
    for _, word in ipairs({ ... }) do
      words[#words + 1] = word ~= "--watch" and word or nil
    end
    return require("haplua.test.watch")(words, args.file)
  end
  local files = gather(#args.file > 0 and args.file or { "." })
  if not files then
    return 2
  elseif #files == 0 then
    io.stderr:write("test: there is no file named *_test.lua\n")
    return 2
  end
  local began = os.clock()
  local counts, names = { ok = 0, failed = 0, skipped = 0 }, {}
  world.install()
  local report = args.tap and tap_report() or list_report()
  local print_result = report.result
  function report.result(outcome)
    counts[outcome.status] = counts[outcome.status] + 1
    print_result(outcome)
  end
  for _, path in ipairs(files) do
    run_file(path, { seconds = args.seconds, name = args.name }, report, names)
  end
  report.finish(counts, os.clock() - began)
  if counts.ok + counts.failed + counts.skipped == 0 then
    io.stderr:write(("test: no test has '%s' in its name; %s\n"):format(args.name, advice(args.name, names)))
    return 2
  end
  return counts.failed == 0 and 0 or 1
end
