-- SPDX-License-Identifier: MIT
--
-- What the Makefile asks: the version, the interpreter, what is not installed, how to link.

local run = require("run")
local support = require("support")

--- Run a shell script of the project. Returns its status, output and errors.
local function script(options)
  return run({
    options.shell or "sh", options[1], options[2], options[3], env = options.env, cwd = options.cwd, stdout = "capture",
    stderr = "capture",
  })
end

describe("the version", function()
  it("comes from a file where git has none", function()
    local folder <close> = support.folder()
    assert(run({ "cp", "packaging/version.sh", folder.path }) == 0)
    for text, expected in pairs({
      ["0.1 $Format:%h (%D)$"] = "0.1",
      ["0.1 a3c07e0 (HEAD -> main)"] = "0.1-a3c07e0",
      ["0.1 a3c07e0 (HEAD, tag: v0.1, main)"] = "0.1",
      ["0.2 a3c07e0 (HEAD, tag: v0.1, main)"] = "0.2-a3c07e0",
      ["0.1"] = "0.1",
    }) do
      folder.write("version", text .. "\n")
      local status, out, err = script({ "version.sh", cwd = folder.path, env = { GIT_DIR = "/nonexistent" } })
      assert.same({ 0, expected .. "\n", "" }, { status, out, err })
    end
  end)

  it("is a number that git archive completes", function()
    local f <close> = assert(io.open("packaging/version"))
    assert.matches("^%d+%.%d+ %$Format:%%h %(%%D%)%$\n$", f:read("a"))
  end)
end)

describe("what is not installed", function()
  --- Ask with a PATH on which there is nothing but what the script itself uses.
  local function missing(release)
    local bin <close> = support.folder()
    for _, tool in ipairs({ "grep", "sed", "id", "sh" }) do
      local _, path = run({ "sh", "-c", "command -v " .. tool, stdout = "capture" })
      assert(run({ "ln", "-s", path:match("%S+"), bin.path .. "/" .. tool }) == 0)
    end
    bin.write("os-release", release)
    local env = { PATH = bin.path, OS_RELEASE = bin.path .. "/os-release", HAPLUA_INSTALL = "no" }
    local status, out, err = script({ shell = bin.path .. "/sh", "tests/packages.sh", "build", env = env })
    assert.same({ 1, "" }, { status, out })
    return err
  end

  it("is named as the distribution names it", function()
    for release, expected in pairs({
      ["ID=debian"] = "apt%-get install gcc .*libuv1%-dev .*libcurl4%-openssl%-dev\n$",
      ["ID=ubuntu\nID_LIKE=debian"] = "apt%-get install gcc ",
      ["ID=fedora"] = "dnf install gcc .*libuv%-devel .*libcurl%-devel\n$",
      ["ID=rocky\nID_LIKE=\"rhel centos fedora\""] = "dnf install gcc ",
      ["ID=alpine"] = "apk add gcc .*libuv%-dev .*curl%-dev\n$",
      ["ID=arch"] = "pacman %-S gcc .*libuv .*curl\n$",
    }) do
      assert.matches("^packages.sh: missing; as root: " .. expected, missing(release))
    end
    local all = missing("ID=other")
    for _, name in ipairs({ "Debian, Ubuntu: gcc ", "Fedora: gcc ", "Alpine: gcc ", "Arch: gcc " }) do
      assert.matches("\n  " .. name, all)
    end
  end)

  it("is looked for as what a package has, which is rarely a program of its name", function()
    local f <close> = assert(io.open("tests/packages.sh"))
    local text = f:read("a")
    for list in text:gmatch('\n%l+="([^"]+)"') do
      for package in list:gmatch("[%w.-]+") do
        if package:find("^lib") or package:find("%-dev$") or package:find("^lua") then
          assert.is_truthy(text:find("\n" .. package .. " ", 1, true), "no row: " .. package)
        end
      end
    end
  end)

  it("is said by the search for libraries, too", function()
    local folder <close> = support.folder()
    local status, _, err = script({
      "packaging/libraries.sh", folder.path, env = { PKG_CONFIG = folder.path .. "/none" },
    })
    assert.equal(1, status)
    assert.matches("^libraries.sh: .*/none is not installed\n$", err)
  end)
end)
