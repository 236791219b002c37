-- SPDX-License-Identifier: MIT

local cli = require("haplua.cli")
local support = require("support")

-- Declarations of every form. The random command lines below are made of their words.
local specs = {
  {
    name = "commands",
    help = "A script with commands.",
    options = {
      { "--acl", value = "REF", default = "#9999", help = "an option with a default" },
      { "--wait", value = "SECONDS", default = "60", convert = cli.seconds, help = "one that is converted" },
      { "--force", help = "a flag" },
      { "--path", value = "PREFIX", repeats = true, help = "one that may be repeated" },
    },
    commands = {
      { "on", args = "pattern", help = "takes any number" },
      { "off", help = "takes none", options = { { "--dry-run", help = "a flag of the command" } } },
      { "one", arg = { "server", value = "SERVER", help = "which" }, help = "takes one" },
      { "run", after = "command", help = "takes a command", options = { { "--dry-run", help = "its flag" } } },
    },
  },
  {
    name = "plain",
    help = "A script without commands.",
    options = { { "--wait", value = "SECONDS", convert = cli.seconds, help = "no default" } },
    arg = { "server", value = "SERVER", help = "which" },
    args = "rest",
  },
  {
    name = "one",
    help = "A script with one argument.",
    options = { { "--force", help = "a flag" } },
    arg = { "server", value = "SERVER", help = "which" },
  },
  {
    name = "after",
    help = "A script that runs a command.",
    options = { { "--acl", value = "REF", help = "an option" }, { "--force", help = "a flag" } },
    after = "command",
  },
  { name = "none", help = "A script that takes nothing." },
}

local vocabulary = {
  "on", "off", "one", "app/a1", "^/shop", "", " ", "#9999", "60", "0.5", "x", "a=b", "--acl", "--acl=#1", "--acl=",
  "run", "--path", "--path=/a", "--wait", "--wait=5", "--wait=x", "--force", "--force=1", "--dry-run", "--", "-", "-x",
  "-1", "--unknown", "---",
}

-- lua-argparse ends the script where the command line is wrong. Here it raises this value instead.
local stopped = {}

local function by_argparse(spec, words)
  local exit, stderr = os.exit, io.stderr
  os.exit = function()
    error(stopped, 0)
  end
  io.stderr = { write = function() end }
  local ok, found = pcall(cli.parse_with_argparse, spec, words)
  os.exit, io.stderr = exit, stderr
  if not ok and found ~= stopped then
    error(found, 0)
  end
  return ok and found or nil
end

--- The words of a command line, for the message of a failed test.
local function quoted(words)
  local out = {}
  for i, word in ipairs(words) do
    out[i] = ("%q"):format(word)
  end
  return table.concat(out, " ")
end

describe("the command line of a script", function()
  it("is read alike by haplua.cli itself and by lua-argparse", function()
    math.randomseed(2, 0)
    local short, wrong = 0, 0
    for n = 1, 6000 do
      local spec, words = specs[n % #specs + 1], {}
      for i = 1, math.random(0, 5) do
        words[i] = vocabulary[math.random(#vocabulary)]
      end
      local found, expected = cli.parse_plain(spec, words), by_argparse(spec, words)
      if found then
        short = short + 1
        assert.are.same(expected, found, spec.name .. ": " .. quoted(words))
      end
      wrong = wrong + (expected and 0 or 1)
    end
    -- enough lines were read by haplua.cli itself, and enough were wrong
    assert.is_true(short > 600 and wrong > 600, ("%d short, %d wrong"):format(short, wrong))
  end)

  it("needs lua-argparse for no plain line", function()
    local lines = {
      { 1, "on" }, { 1, "on", "^/shop", "^/pay" }, { 1, "--acl", "#1", "off" }, { 1, "off", "--acl=#1", "--dry-run" },
      { 1, "one", "app/a1", "--wait", "5" }, { 2, "app/a1" }, { 2, "--wait", "5", "a", "b" }, { 3, "a", "--force" },
      { 4, "--", "sh", "-c", "exit 1" }, { 4, "--acl", "#1", "--force", "--", "--", "x" }, { 5 },
    }
    for _, line in ipairs(lines) do
      assert.is_table(cli.parse_plain(specs[line[1]], { table.unpack(line, 2) }), quoted({ table.unpack(line, 2) }))
    end
  end)

  it("passes on what follows '--' word for word", function()
    local found = cli.parse(specs[4], { "--force", "--", "--acl", "x y", "", "--", "-h" })
    assert.are.same({ force = true, command = { "--acl", "x y", "", "--", "-h" } }, found)
  end)

  it("gives a script the options of maint, and makes a request of them", function()
    local spec = { name = "x", help = "x", options = cli.maintenance_options("place", "scope", "probe"), args = "pattern",
      check = cli.check_maintenance }
    local found = cli.parse(spec, { "--switch", "shop", "--path", "/a", "--path", "/b", "--reason", "x", "--no-journal", "^/c" })
    assert.is_nil(spec.check(found))
    local request = cli.maintenance_request(found)
    assert.are.same({ "shop", { "/a", "/b" }, { "^/c" }, "x", false, true }, {
      request.switch, request.paths, request.patterns, request.reason, request.journal, request.file,
    })
    assert.are.equal("--acl and --switch: a switch has its ACL",
      spec.check({ acl = "#1", switch = "shop" }))
    local ok, problem = pcall(cli.maintenance_options, "scpoe")
    assert.is_false(ok)
    assert.matches("did you mean 'scope'", problem, 1, true)
  end)

  it("converts defaults, too", function()
    assert.are.same({ command = "off", acl = "#9999", wait = 60, path = {} }, cli.parse(specs[1], { "off" }))
  end)

  it("refuses a declaration with unknown fields, wrong values, or a default that is none", function()
    local function option(fields)
      fields[1], fields.help = fields[1] or "--wait", fields.help or "how long"
      return { name = "x", help = "x", options = { fields } }
    end
    for text, spec in pairs({
      ["the declaration: no field 'optoins'; did you mean 'options'?"] = { name = "x", help = "x", optoins = {} },
      ["the declaration: the field 'help' is missing"] = { name = "x" },
      ["the declaration: field 'options', element 1: no field 'vlaue'; did you mean 'value'?"] = option({ vlaue = "S" }),
      ["field 'options', element 1: field 'default' must be a text, not a number (5)"] = option({ value = "S", default = 5 }),
      ["field 'options', element 1: field 'convert' must be a function, not a string ('seconds')"] =
        option({ value = "S", convert = "seconds" }),
      ["field 'commands', element 1: field 'options', element 1: no field 'repeat'; did you mean 'repeats'?"] = {
        name = "x", help = "x", commands = { { "on", help = "on", options = { { "--a", help = "a", ["repeat"] = true } } } },
      },
      ["field 'commands' must be a list of tables; it has the key 'on'"] = {
        name = "x", help = "x", commands = { on = { help = "on" } },
      },
      ["field 'arg': the field 'value' is missing"] = { name = "x", help = "x", arg = { "server", help = "which" } },
      ["the option --wait needs a 'value', its name in the help"] = option({ default = "60" }),
      ["the default of --wait: seconds expected, not 'soon'"] = option({ value = "S", default = "soon", convert = cli.seconds }),
      ["the default of --wait: its `convert` refuses it"] = option({ value = "S", default = "x", convert = tonumber }),
      ["the declaration must be a table, not nil"] = false,
    }) do
      for _, words in ipairs({ {}, { "--wait", "5" }, { "--help" } }) do
        local ok, problem = pcall(cli.parse, spec or nil, words)
        assert.is_false(ok, text)
        assert.matches("cli_test%.lua:%d+: cli%.parse: ", problem)
        assert.matches(text, problem, 1, true)
      end
    end
    local of_command = { name = "x", help = "x", commands = {
      { "on", help = "on", options = { { "--n", value = "N", default = "0", convert = cli.count, help = "n" } } },
      { "off", help = "off" },
    } }
    local ok, problem = pcall(cli.parse, of_command, { "off" })
    assert.is_false(ok)
    assert.matches("the default of --n: a number from 1 on expected, not '0'", problem, 1, true)
  end)

  it("takes seconds that are seconds", function()
    assert.are.equal(0.5, cli.seconds("0.5"))
    for _, text in ipairs({ "-1", "x", "", "inf", "nan", "1e999" }) do
      assert.is_nil((cli.seconds(text)), text)
    end
  end)

  it("names the word that is one too many, and the help that a person can ask for", function()
    local wrong = support.haplua({ "maint", "status", "bogus", "x" })
    assert.are.equal("maint: too many arguments: 'bogus'", wrong.err:match("^[^\n]*"))
    assert.are.same({ status = 2, out = "",
      err = "haplua list: too many arguments: 'x'\nUsage: haplua list [-h] [--names]\nTry 'haplua list --help'.\n" },
      support.haplua({ "list", "x" }))
  end)

  it("ends the script with status 2 and the usage when it is wrong", function()
    local folder <close> = support.folder()
    local script = folder.write("after.lua", [[
      local found = require("haplua.cli").parse({
        name = "after",
        help = "Runs a command.",
        options = { { "--wait", value = "SECONDS", convert = require("haplua.cli").seconds, help = "how long" } },
        after = "command",
      }, arg)
      print(#found.command, found.wait)
    ]])
    local missing = support.haplua({ script, "--wait", "5" })
    assert.are.equal(2, missing.status)
    assert.are.equal("after: there is no command to run: '-- COMMAND...' is missing\n"
      .. "Usage: haplua after [-h] [--wait SECONDS] -- COMMAND...\nTry 'haplua after --help'.\n", missing.err)
    local bad = support.haplua({ script, "--wait", "soon", "--", "true" })
    assert.are.equal(2, bad.status)
    assert.is_truthy(bad.err:find("seconds expected, not 'soon'", 1, true))
    assert.are.same({ status = 0, out = "2\t5\n", err = "" }, support.haplua({ script, "--wait=5", "--", "a", "--wait" }))
    local surplus = support.haplua({ script, "--wait", "5", "now\27[2J", "x", "--", "true" })
    assert.are.equal("after: too many arguments: 'now\\x1b[2J'", surplus.err:match("^[^\n]*"))
    local help = support.haplua({ script, "--help" })
    assert.are.equal(0, help.status)
    assert.is_truthy(help.out:find("Usage: haplua after [-h] [--wait SECONDS] -- COMMAND...", 1, true))
  end)
end)
