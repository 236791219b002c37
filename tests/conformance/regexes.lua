-- SPDX-License-Identifier: MIT
--
-- regexes.lua - compare the regular expressions of the fake HAProxy with those of a real one.
-- Usage: haplua tests/conformance/regexes.lua SOCKET VERSION PATTERNS SEED
-- The HAProxy that listens to SOCKET has the ACLs #109 (-m reg) and #110 (-i -m reg). Prints each difference, and
-- one line of counts. The status is 1 if there was a difference.

local socket, version, count, seed = ...

local HERE = arg[0]:match("^(.*)/") or "."
local ASK = (os.getenv("BUILD") or "build") .. "/ask"

package.path = HERE .. "/../lua/?.lua;" .. package.path

local fakes = require("haplua.test.haproxy")
local patterns = require("patterns")
local random = require("support").random(math.tointeger(seed))

--- A word of a command, each byte but letters, digits and those of other alphabets behind a backslash.
local function escaped(word)
  return (word:gsub("[^%w\128-\255]", "\\%0"))
end

--- One request: add the pattern, match each text with it, remove it.
local function request(ref, pattern, texts)
  local commands = { ("add acl %s %s"):format(ref, escaped(pattern)) }
  for _, text in ipairs(texts) do
    commands[#commands + 1] = ("get acl %s %s"):format(ref, escaped(text))
  end
  commands[#commands + 1] = "clear acl " .. ref
  return table.concat(commands, ";") .. "\n"
end

local fake = fakes.new({
  version = version, acls = { ["#109"] = { match = "reg" }, ["#110"] = { match = "reg", insensitive = true } },
})
local refused, matched, differences = 0, 0, 0
for n = 0, math.tointeger(count) do
  local ref, pattern, texts = "#" .. 108 + random(2), "^(a+)+$", { ("a"):rep(5000) .. "b", ("a"):rep(5000) }
  if n > 0 then
    pattern, texts = patterns.make(random)
  end
  local bytes = request(ref, pattern, texts)
  local status, real = run({ ASK, socket, bytes, stdout = "capture" })
  local ours = fake:answer(bytes)
  fake.log = {}
  refused = refused + (real:find("regex '", 1, true) and 1 or 0)
  matched = matched + select(2, real:gsub("match=yes", ""))
  if status ~= 0 or real ~= ours then
    differences = differences + 1
    print(("pattern %d: %q\n  real %q\n  fake %q"):format(n, bytes, real, ours))
  end
end
print(("%s patterns: %d refused, %d texts matched, %d differences"):format(count, refused, matched, differences))
return differences == 0 and 0 or 1
