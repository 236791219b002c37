-- SPDX-License-Identifier: MIT
--
-- Hooks as the configuration declares them, and as the process that runs them finds them. tests/real/hooks_test.lua has the
-- changes that they get.

local config = require("haplua.store.config")
local file = require("haplua.file")
local support = require("support")

--- The hooks of a switch by a configuration: their words, joined.
local function hooks_of(text, name)
  local list = config.switch(config.parse("conf", text), name, not name and "#7" or nil).hooks
  local words = {}
  for i, hook in ipairs(list or {}) do
    words[i] = table.concat(hook.words, " ") .. " " .. hook.timeout
  end
  return list and table.concat(words, ", ")
end

describe("hooks", function()
  it("are those of the configuration, then those of the switch", function()
    local all <const> = "return { hooks = { change = { '/a', { '/b', '-x', 'c d' } } }, switches = { s = { acl = '#1' %s } } }"
    local more <const> = ", hooks = { change = '/c', timeout = 0.5 }"
    assert.equal("/a 10, /b -x c d 10", hooks_of(all:format("")))
    assert.equal("/a 10, /b -x c d 10", hooks_of(all:format(""), "s"))
    assert.equal("/a 10, /b -x c d 10, /c 0.5", hooks_of(all:format(more), "s"))
    assert.equal("/a 10, /b -x c d 10", hooks_of(all:format(more)))
    assert.equal("/c 0.5", hooks_of(("return { switches = { s = { acl = '#1' %s } } }"):format(more), "s"))
    assert.is_nil(hooks_of("return { hooks = { change = {} } }"))
    assert.is_nil(hooks_of("return { switches = { s = { acl = '#1' } } }", "s"))
  end)

  it("that are declared wrongly are refused by name", function()
    for text, why in pairs({
      ["{ changes = '/a' }"] = "did you mean 'change'",
      ["{ change = 'a' }"] = "an absolute path",
      ["{ change = { { 'a' } } }"] = "an absolute path, or a list that begins with one",
      ["{ change = { {} } }"] = "an absolute path, or a list that begins with one",
      ["{ change = { '/a', [3] = '/b' } }"] = "change",
      ["{ change = '/a\\nb' }"] = "an absolute path",
      ["{ change = '/a', timeout = 0 }"] = "seconds, from 0.1 to 600",
      ["{ change = '/a', timeout = '5' }"] = "seconds, from 0.1 to 600",
    }) do
      support.refused("conf: hooks: .*" .. why, config.parse, "conf", ("return { hooks = %s }"):format(text))
      support.refused("conf: switch 's': hooks: .*" .. why, config.parse, "conf",
        ("return { switches = { s = { acl = '#1', hooks = %s } } }"):format(text))
    end
    support.refused("hooks.*table", config.parse, "conf", "return { hooks = '/a' }")
  end)

  it("of a folder are those of its configuration alone", function()
    local folder <close> = support.folder()
    local out = folder.path .. "/out"
    local hook = folder.write("hook", ("#!/bin/sh\ncat >>%s\n"):format(out), "755")
    local path = folder.write("config.lua", ("return { hooks = { change = %q } }"):format(hook), "644")
    assert(file.folder(folder.path .. "/j.hooks"))
    local function put(name, text)
      folder.write("j.hooks/" .. name, text)
    end
    put("2.json", path .. '\n{"n":2}')
    put("1.json", path .. '\n{"n":1}')
    put("3.json", '/other/config.lua\n{"n":3}')
    put("4.json", path .. "\nnot JSON")
    put("5.json", "")
    put("6.new", path .. '\n{"n":6}')
    put("7.json", path .. '\n{"n":7,"switch":"nowhere","hooks":["/bin/false"]}')
    local secret = folder.write("secret", path .. '\n{"n":8}')
    run({ "ln", "-s", secret, folder.path .. "/j.hooks/8.json" })
    local ran = support.haplua({ "-e", "return require('haplua.hooks.runner').main()", path, folder.path .. "/j.hooks" })
    assert.same({ status = 0, out = "", err = "" }, ran)
    assert.equal('{"n":1}\n{"n":2}\n{"n":7,"switch":"nowhere","hooks":["/bin/false"]}\n', file.read(out))
    local left = file.list(folder.path .. "/j.hooks")
    table.sort(left)
    assert.same({ "3.json", "5.json", "6.new", "8.json", "lock", "record" }, left)
    folder.write("config.lua", "return {")
    put("9.json", path .. '\n{"n":9}')
    ran = support.haplua({ "-e", "return require('haplua.hooks.runner').main()", path, folder.path .. "/j.hooks" })
    assert.same({ status = 0, out = "", err = "" }, ran)
    assert.truthy(file.info(folder.path .. "/j.hooks/9.json")) -- it waits until the configuration can be read
    assert.equal(3, require("haplua.hooks.record").read(folder.path .. "/j.hooks")[hook].runs)
  end)
end)
