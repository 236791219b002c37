-- SPDX-License-Identifier: MIT
--
--- The command `haplua new NAME`: writes a policy and its test into ./policies.

local policies = require("haplua.host.policies")
local file = require("haplua.file")

local declaration = {
  name = "haplua new",
  help = "Write a policy and its test into ./policies, to start from. `haplua test` runs the test.",
  arg = { "name", value = "NAME", help = "the policy's name: letters, digits, _ and -" },
}

local POLICY = [=[
#!/usr/bin/env haplua
--
-- Close a part of the site while some work is done, and open it again.
--
--   haplua NAME --path /shop
--   haplua -n NAME                  show what would change, and change nothing
--
-- Everything is undone when the work fails, or when somebody interrupts it.

local cli = require("haplua.cli")
local maintenance = require("haplua.maintenance")

local args = cli.parse({
  name = "NAME",
  help = "Close a part of the site while some work is done, and open it again.",
  options = {
    { "--path", value = "PREFIX", default = "/shop", help = "the part of the site (default /shop)" },
    { "--seconds", value = "SECONDS", default = "60", convert = cli.seconds, help = "how long the work takes (default 60)" },
  },
}, arg)

maintenance.during({ paths = { args.path }, reason = "NAME" }, function()
  print(args.path .. " is closed")
  task.sleep(args.seconds) -- the work: run{ "./migrate.sh", "--all" }
end)
print(args.path .. " is open again")
]=]

local TEST = [=[
-- `haplua test` runs this on a fake HAProxy, and on a clock of its own: ten minutes take no time.

local test = require("haplua.test")

describe("NAME", function()
  it("closes /shop while it works, and opens it again", function()
    local site = test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
    local policy = test.start("policies/NAME.lua", "--path", "/shop", "--seconds", 600)
    test.advance("5m")
    assert.is_true(site:matches("#9999", "/shop/cart"))
    assert.is_false(site:matches("#9999", "/about"))
    local result = policy:wait()
    assert.equal(0, result.status)
    assert.is_false(site:matches("#9999", "/shop/cart"))
  end)

  it("opens it again when it is interrupted", function()
    local site = test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
    local policy = test.start("policies/NAME.lua")
    test.advance("10s")
    assert.is_true(site:matches("#9999", "/shop"))
    policy:stop()
    assert.is_false(site:matches("#9999", "/shop"))
  end)
end)
]=]

--- Say why nothing is written, and return the exit status.
local function refuse(form, ...)
  io.stderr:write("haplua new: ", form:format(...), "\n")
  return 1
end

--- What is wrong with a name, or nil.
local function problem_of(name)
  if not name:find("^%a[%w_-]*$") or name:find("_test$") then
    return ("'%s': a name has letters, digits, _ and -, begins with a letter, and does not end in _test"):format(name)
  elseif policies.builtins[name] or name == "complete" then
    return ("'%s' is a command of haplua"):format(name)
  end
  for _, policy in ipairs((policies.all())) do
    if policy.name == name then
      return ("there is a policy %s already: %s"):format(name, policy.path)
    end
  end
end

--- Write a new file. Returns what is wrong, or nil.
local function write(path, text, mode)
  local _, missing, code = file.info(path, true)
  if code ~= "ENOENT" then
    return path .. ": " .. (missing or "it is there already")
  end
  local ok, problem = file.replace(path, text, { mode = mode })
  return not ok and ("%s: %s"):format(path, problem) or nil
end

---@param ... string  the words after `haplua new`
---@return integer? status
return function(...)
  local name = require("haplua.cli").parse(declaration, { ... }).name
  local problem = problem_of(name)
  if problem then
    return refuse("%s", problem)
  end
  local _, message, code = file.folder("./policies", { mode = "0755" })
  if code and code ~= "EEXIST" then
    return refuse("./policies: %s", message)
  elseif not file.is_ours("./policies") then
    return refuse("./policies: others than you and root may write to it, so that haplua finds no policy there")
  end
  local policy, test = ("policies/%s.lua"):format(name), ("policies/%s_test.lua"):format(name)
  problem = write(policy, POLICY:gsub("NAME", name), "0755") or write(test, TEST:gsub("NAME", name), "0644")
  if problem then
    return refuse("%s", problem)
  end
  print(("wrote %s and %s\n"):format(policy, test))
  print(("  haplua test policies    run its test\n  haplua help %s\n  haplua -n %s    show what it would change")
    :format(name, name))
end
