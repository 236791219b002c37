-- SPDX-License-Identifier: MIT
--
-- Policies found by name: where haplua looks, `list`, `help`, `new`, misspelt names, and what `make install` installs.

local support = require("support")

-- An installed haplua, in a folder of its own.
local installed, program

setup(function()
  installed = support.folder()
  program = support.install(installed.path)
end)

teardown(function()
  getmetatable(installed).__close()
end)

local function haplua(words)
  words.program = program
  return support.haplua(words)
end

local PLAIN = 'require("haplua.cli").parse({ name = "x", help = "Do it.", options = { { "--much", help = "more" } } }, arg)\n'

--- A folder with two policies of its own, and a home with others.
local function own_policies()
  local folder = support.folder()
  run({ "mkdir", "-p", folder.path .. "/policies", folder.path .. "/home/.config/haplua/policies" })
  folder.write("policies/mine.lua", "#!/usr/bin/env haplua\n-- SPDX-License-Identifier: MIT\n--\n-- Do this\n"
    .. "-- and that. Then more.\n\nprint('mine', arg[0])\n")
  folder.write("policies/drain.lua", "-- Another drain: of my own.\n" .. PLAIN .. "print('my drain')")
  folder.write("home/.config/haplua/policies/mine.lua", "-- Of my home.\nprint('of my home')")
  folder.write("home/.config/haplua/policies/athome.lua", "-- \27[31mRed\n\nprint('at home')")
  folder.write("policies/mine_test.lua", "")

  function folder.haplua(words)
    words.cwd = words.cwd or folder.path
    words.env = { HOME = folder.path .. "/home", XDG_CONFIG_HOME = false }
    return haplua(words)
  end
  return folder
end

describe("a name", function()
  it("leads to ./policies, then to those of the user, then to those of the program", function()
    local folder <close> = own_policies()
    assert.equal("mine\tmine\n", folder.haplua({ "mine" }).out)
    assert.equal("my drain\n", folder.haplua({ "drain" }).out)
    assert.equal("at home\n", folder.haplua({ "athome" }).out)
    assert.equal("of my home\n", folder.haplua({ "mine", cwd = "/" }).out)
    assert.matches("^Usage: haplua watch", folder.haplua({ "watch", "--help" }).out)
    local elsewhere = haplua({
      "mine", cwd = "/", env = { HOME = "/nonexistent", XDG_CONFIG_HOME = folder.path .. "/home/.config" },
    })
    assert.equal("of my home\n", elsewhere.out)
  end)

  it("that is misspelt is answered with the nearest", function()
    local folder <close> = own_policies()
    for word, near in pairs({ mien = "mine", driain = "drain", mant = "maint", lst = "list", athoem = "athome" }) do
      local ran = folder.haplua({ word })
      assert.same({ 2, "", ("haplua: no policy '%s'; did you mean '%s'?\n"):format(word, near) },
        { ran.status, ran.out, ran.err })
    end
    assert.matches("no policy 'elephants'; 'haplua list' shows", folder.haplua({ "elephants" }).err)
  end)

  it("does not lead to what others may write, and says so", function()
    local folder <close> = own_policies()
    run({ "chmod", "o+w", folder.path .. "/policies/mine.lua", folder.path .. "/home/.config/haplua/policies" })
    local ran = folder.haplua({ "mine" })
    assert.equal(2, ran.status)
    assert.matches("^haplua: %./policies/mine%.lua does not count: others than you and root may write to it", ran.err)
    ran = folder.haplua({ "list" })
    assert.matches("\n%./policies/mine%.lua does not count", "\n" .. ran.err)
    assert.is_nil(ran.out:find("mine", 1, true))
    assert.is_nil(ran.out:find("athome", 1, true))
  end)
end)

describe("an option of haplua", function()
  it("that is misspelt is answered with the nearest", function()
    local function err(...)
      local ran = haplua({ ... })
      assert.equal(2, ran.status)
      return ran.err
    end
    assert.matches("^haplua: did you mean %-%-dry%-run%?\nhaplua: no such option: %-%-dry%-urn\n", err("--dry-urn"))
    assert.matches("^haplua: no such option: %-%-elephants\n", err("--elephants"))
    assert.matches("^haplua: no such option: %-Z\n", err("-nZv"))
    assert.matches("^haplua: this option takes no value: %-%-trace=1\n", err("--trace=1"))
    assert.matches("^haplua: a value is missing behind %-s\n", err("-s"))
    assert.matches("^haplua: a value is missing behind %-%-only\n", err("--only"))
  end)
end)

describe("haplua list", function()
  it("shows each policy with a line of its header, and where it lies; own ones first", function()
    local folder <close> = own_policies()
    local ran = folder.haplua({ "list" })
    assert.same({ 0, "" }, { ran.status, ran.err })
    local rows = {}
    for line in ran.out:gmatch("[^\n]+") do
      rows[#rows + 1] = line:gsub("   +", " | "):gsub("  ", " | ")
    end
    assert.equal("drain | Another drain | ./policies", rows[1])
    assert.equal("mine | Do this and that | ./policies", rows[2])
    assert.equal("athome | \\x1b[31mRed | ~/.config/haplua/policies", rows[3])
    assert.matches("^mine | .* | ~/%.config/haplua/policies %(hidden: run it by its path%)$", rows[4])
    assert.matches("\ndrain +Take a server out of service [^\n]* haplua %(hidden", ran.out)
    assert.matches("\nwindow +Maintenance by time windows +haplua\n$", ran.out)
    assert.is_nil(ran.out:find("_test", 1, true))
  end)

  it("prints the names alone", function()
    local folder <close> = own_policies()
    local ran = folder.haplua({ "list", "--names" })
    assert.matches("^drain\nmine\nathome\n.*keep\n.*window\n", ran.out)
  end)
end)

describe("haplua help", function()
  it("shows a policy's header and options", function()
    local folder <close> = own_policies()
    local out = support.good(folder.haplua({ "help", "drain" }))
    assert.matches("^%./policies/drain%.lua\n\nAnother drain: of my own%.\n\nUsage: haplua x %[%-h%] %[%-%-much%]\n", out)
    out = support.good(folder.haplua({ "help", "mine" }))
    assert.matches("Do this\nand that%. Then more%.\n\nIt does not read its arguments with haplua%.cli", out)
    assert.is_nil(out:find("mine\t", 1, true))
  end)

  it("shows the same sentence once, where a policy has it in its header and in its declaration", function()
    for name, sentence in pairs({ drain = "Take a server out of service without cutting anybody off",
      maint = "Send a site, or parts of it, to its maintenance page" }) do
      local out = support.good(haplua({ "help", name, cwd = "/" }))
      local _, times = out:gsub("\n" .. sentence, "")
      assert.equal(1, times, out)
      assert.matches("\nUsage: haplua " .. name .. " .*\n\nOptions:\n", out)
    end
    -- another sentence than the header's is shown
    assert.matches("\n\nUsage: haplua watch .*\n\nWatch servers and maintenances",
      support.good(haplua({ "help", "watch", cwd = "/" })))
  end)

  it("shows the options of a command, and those of the program's own commands", function()
    assert.matches("Usage: haplua maint on .*%-%-path PREFIX", support.good(haplua({ "help", "maint", "on" })))
    assert.matches("Usage: haplua list", support.good(haplua({ "help", "list" })))
    assert.matches("%-%-tap", support.good(haplua({ "help", "test" })))
    assert.matches("^Usage: haplua %[options%]", support.good(haplua({ "help" })))
    local ran = haplua({ "help", "maint", "onn" })
    assert.same({ 2, "haplua help: maint: no command 'onn'; did you mean 'on'?\n" }, { ran.status, ran.err })
    assert.matches("no policy 'driain'; did you mean 'drain'", haplua({ "help", "driain" }).err)
  end)

  it("has each policy of the program say its options", function()
    for name in support.good(haplua({ "list", "--names", cwd = "/" })):gmatch("%S+") do
      assert.is_nil(support.good(haplua({ "help", name, cwd = "/" })):find("not known", 1, true), name)
    end
  end)

  it("runs nothing of a policy that could change something", function()
    local folder <close> = own_policies()
    local file = folder.path .. "/touched"
    for _, line in ipairs({
      'io.open(f, "w"):close()', 'os.execute("touch " .. f)', 'run{ "touch", f }', 'require("haplua.file").replace(f, "")',
      'load("io.open(f, [[w]])")()', 'require("io").open(f, "w")', 'pcall(io.open, f, "w")', 'acl_add("#9999", "/")',
      '_G.io.open(f, "w")', 'require("haplua.cli").main("complete", "--", "main")',
      'for _ in ipairs(haproxy) do end task.now = 1', 'string.format, table.concat = nil, nil',
      '(getmetatable("").__index.format or print)("x") local io = _ENV.io io.open(f, "w")',
    }) do
      folder.write("policies/rash.lua", ("-- Rash.\nlocal f = %q\n%s\n"):format(file, line) .. PLAIN)
      local out = support.good(folder.haplua({ "help", "rash" }))
      assert.matches("Rash%.", out)
      assert.is_nil(out:find("maint\t", 1, true), out)
      assert.is_nil(io.open(file), line)
    end
  end)
end)

describe("haplua new", function()
  it("writes a policy with its test, which passes at once", function()
    local folder <close> = support.folder()
    assert.matches("wrote policies/brunch%.lua", support.good(haplua({ "new", "brunch", cwd = folder.path })))
    local ran = haplua({ "test", cwd = folder.path })
    assert.matches("2 passed, 0 failed", ran.out .. ran.err)
    assert.matches("^brunch  .* %./policies\n", support.good(haplua({ "list", cwd = folder.path })))
    assert.matches("%-%-path PREFIX", support.good(haplua({ "help", "brunch", cwd = folder.path })))
    ran = haplua({ "new", "brunch", cwd = folder.path })
    assert.same({ 1, "haplua new: there is a policy brunch already: ./policies/brunch.lua\n" }, { ran.status, ran.err })
  end)

  it("overwrites nothing, and takes no name that leads elsewhere", function()
    local folder <close> = support.folder()
    run({ "mkdir", folder.path .. "/policies" })
    local test = folder.write("policies/brunch_test.lua", "mine")
    for name, problem in pairs({
      brunch = "policies/brunch_test%.lua: it is there already", drain = "there is a policy drain already",
      list = "'list' is a command of haplua", ["../x"] = "a name has letters", ["a b"] = "a name has letters",
      x_test = "does not end in _test",
    }) do
      local ran = haplua({ "new", name, cwd = folder.path })
      assert.equal(1, ran.status)
      assert.matches(problem, ran.err)
    end
    assert.equal("mine", io.open(test):read("a"))
    run({ "chmod", "o+w", folder.path .. "/policies" })
    assert.matches("others than you and root may write", haplua({ "new", "other", cwd = folder.path }).err)
  end)
end)

describe("make install", function()
  local function install(folder, words)
    return run({
      "sh", "packaging/install.sh", env = { DESTDIR = folder.path, PREFIX = "/usr/local" }, stdout = "capture",
      stderr = "capture", table.unpack(words),
    })
  end

  --- All that lies below a folder, in order.
  local function below(folder)
    local _, out = run({ "find", folder.path, "-mindepth", "1", stdout = "capture" })
    local paths = {}
    for path in out:gmatch("[^\n]+") do
      paths[#paths + 1] = path:sub(#folder.path + 2)
    end
    table.sort(paths)
    return paths
  end

  it("installs a haplua that finds its policies, and uninstall removes just that", function()
    local folder <close> = support.folder()
    run({ "mkdir", "-p", folder.path .. "/usr/local/bin", folder.path .. "/etc/haplua/policies" })
    folder.write("etc/haplua/policies/mine.lua", "")
    folder.write("usr/local/bin/other", "")
    local before = below(folder)
    local built = support.program()[1]
    assert.equal(0, (install(folder, { "install", built })))
    local status, out = run({
      folder.path .. "/usr/local/bin/haplua", "help", "drain", cwd = "/", stdout = "capture",
    })
    assert.equal(0, status)
    assert.matches("/usr/local/bin/%.%./share/haplua/scripts/drain%.lua\n", out)
    assert.equal(0, (install(folder, { "install", built })), "again, over the first")
    assert.equal(0, (install(folder, { "uninstall" })))
    assert.same(before, below(folder))
    assert.equal(1, (install(folder, { "uninstall" })))
  end)

  it("installs a manual page for each policy, which has all of its options, and completions", function()
    for name in support.good(haplua({ "list", "--names", cwd = "/" })):gmatch("%S+") do
      local page = io.open(("%s/usr/share/man/man1/haplua-%s.1"):format(installed.path, name)):read("a")
      local help = support.good(haplua({ "help", name, cwd = "/" }))
      for command in (help:match("\nCommands:\n(.*)") or ""):gmatch("\n? +(%l+)  +[^\n]+") do
        assert.is_truthy(page:find("\n.SS " .. command .. "\n", 1, true), name .. " " .. command)
        help = help .. support.good(haplua({ "help", name, command, cwd = "/" }))
      end
      for option in help:gmatch("\n   (%-%-[%w-]+)") do
        assert.is_truthy(page:find("\n\\fB" .. option:gsub("%-", "\\-") .. "\\fR", 1, true), name .. " " .. option)
      end
    end
    local page = io.open(installed.path .. "/usr/share/man/man1/haplua.1"):read("a")
    assert.is_truthy(page:find("\n.It Pa /usr/share/haplua/scripts\n", 1, true))
    assert.is_nil(page:find("/usr/local", 1, true), "the manual has the folders of this installation")
    for _, path in ipairs({
      "bash-completion/completions/haplua", "zsh/site-functions/_haplua", "fish/vendor_completions.d/haplua.fish",
    }) do
      assert.is_truthy(io.open(("%s/usr/share/%s"):format(installed.path, path)), path)
    end
  end)

  it("cites what is installed, not files of the source tree", function()
    local _, list = run({
      "grep", "-rnE", "(^|[^[:alnum:]/])(docs|scripts|packaging|tests)/[a-z]|/usr/local", stdout = "capture",
      installed.path .. "/usr/share/haplua/scripts", installed.path .. "/usr/share/haplua/page",
      installed.path .. "/usr/share/man", installed.path .. "/usr/lib/systemd",
    })
    assert.equal("", list)
    for path in support.good(haplua({ "help", "maint", cwd = "/", program = program })):gmatch("(/usr/share/%S+%.md)") do
      assert.is_truthy(io.open(installed.path .. path), path)
    end
  end)

  it("keeps what somebody has put there or changed", function()
    local folder <close> = support.folder()
    install(folder, { "install", support.program()[1] })
    local scripts = "usr/local/share/haplua/scripts/"
    folder.write(scripts .. "own.lua", "")
    folder.write(scripts .. "drain.lua", "-- changed")
    local _, _, err = install(folder, { "install", support.program()[1] })
    assert.matches("kept as .*/drain%.lua%.changed\n", err)
    folder.write(scripts .. "watch.lua", "-- changed")
    _, _, err = install(folder, { "uninstall" })
    assert.matches("kept, because it was changed: .*/watch%.lua\n", err)
    local left = below(folder)
    assert.same({ scripts .. "drain.lua.changed", scripts .. "own.lua", scripts .. "watch.lua" },
      table.move(left, #left - 2, #left, 1, {}))
    assert.equal(8, #left)
  end)
end)
