-- SPDX-License-Identifier: MIT
--
-- docs.lua - compare what the documentation names with the source tree and with the program.
-- Usage: lua5.4 tests/docs.lua HAPLUA, in the top folder; HAPLUA is the program. Prints every name that does not
-- exist, and then exits with 1. It checks links, paths, required modules, make targets, options of the command
-- lines, policies, and the tests that docs/security.md names.

local program = assert(arg[1], "usage: lua5.4 tests/docs.lua HAPLUA")

-- Names that look like ours and are not: a policy of the reader, and options of other programs.
local foreign_paths = { ["scripts/NAME.lua"] = true }
local foreign_options = {}
for option in ([[
  --rm --now --privileged docker, systemctl
  --all --at-least         the command, the policy in an example
  --max-time --data-binary curl
  --collector              node_exporter
  --component              a hook in an example
  --step --kinds --slow    tests/fault/run.lua
  --no-block               systemctl
  --no-password --prefix --peer-urls --name --initial-cluster --initial-cluster-token   etcdctl
  --initial-advertise-peer-urls --data-dir                                              etcdctl
]]):gmatch("%-%-[%w-]+") do
  foreign_options[option] = true
end

local complaints = 0

local function complain(form, ...)
  io.stderr:write("docs.lua: ", form:format(...), "\n")
  complaints = complaints + 1
end

local function read(path)
  local file <close> = io.open(path)
  return file and file:read("a")
end

local function exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end

local output_of = dofile("tests/output_of.lua")

--- The documents, and files whose comments are documentation: path -> text.
local function read_pages()
  local pages = {}
  local globs = "*.md docs/*.md docs/*.1 docs/*.cfg docs/*.conf docs/types/*.lua scripts/*.lua packaging/*"
  for path in output_of("ls " .. globs):gmatch("[^\n]+") do
    pages[path] = read(path)
  end
  return pages
end

--- The names by which links reach the headings of a page.
local function anchors_of(text)
  local anchors = {}
  for heading in ("\n" .. text):gmatch("\n#+ ([^\n]+)") do
    anchors[heading:lower():gsub("[^%w %-_]", ""):gsub(" ", "-")] = true
  end
  return anchors
end

local function check_links(page, text)
  for target in text:gmatch("%]%(([^)%s]+)%)") do
    local file, anchor = target:match("^([^#]*)#?(.*)$")
    local path = file == "" and page or (page:match("^.*/") or "") .. file
    if not target:find("^%a+:") and not exists(path) then
      complain("%s links to %s, which does not exist", page, target)
    elseif anchor ~= "" and not anchors_of(read(path))[anchor] then
      complain("%s links to %s: there is no such heading", page, target)
    end
  end
end

--- A path may hold `*`, and `[ch]` for a module's two files.
local function names_files(path)
  if path:find("[*[]") then
    return output_of(("ls -d %s 2>/dev/null"):format(path)) ~= ""
  end
  return exists(path)
end

local folders = { src = true, lua = true, scripts = true, tests = true, docs = true, packaging = true }

local function check_paths(page, text)
  for before, path in ("\n" .. text):gmatch("([^%w/._-])(%l+/[%w_/.*%[%]-]+)") do
    path = path:gsub("[.%]]+$", function(tail)
      return path:find("%[%a+%]$") and tail or ""
    end)
    if folders[path:match("^%l+")] and before ~= ":" and not foreign_paths[path] and not names_files(path) then
      complain("%s names %s, which does not exist", page, path)
    end
  end
end

--- The modules that C registers under a name.
local function c_modules()
  local modules = { argparse = true }
  for name in read("src/run/script.c"):gmatch('{"([%w_.]+)", luaopen_') do
    modules[name] = true
  end
  return modules
end

local function check_requires(page, text, in_c)
  for name in text:gmatch('require%("([%w_.]+)"%)') do
    if #name > 1 and not in_c[name] and not exists("lua/" .. name:gsub("%.", "/") .. ".lua") then
      complain("%s requires %s, which does not exist", page, name)
    end
  end
end

local function check_targets(page, text, makefile)
  for line in (text:gsub("`", "\n")):gmatch("[^\n]+") do
    local target = line:match("^%s*make ([%l-]+)") or line:match("^%s*sudo make ([%l-]+)")
    if target and not ("\n" .. makefile):find("\n" .. target:gsub("%-", "%%-") .. ":") then
      complain("%s names `make %s`: the Makefile has no such target", page, target)
    end
  end
end

local function add_options(known, text)
  for option in text:gmatch("%-%-%l[%l-]+") do
    known[option] = true
  end
  return text
end

local function policies()
  return output_of("ls scripts"):gmatch("([%w_-]+)%.lua")
end

--- The options that haplua, `haplua test`, the policies and their commands print with --help.
local function known_options()
  local known = {}
  local function ask(words)
    return add_options(known, output_of(("%s %s --help"):format(program, words)))
  end
  ask("")
  ask("test")
  for policy in policies() do
    local path = ("scripts/%s.lua"):format(policy)
    local commands = ask(path):match("\nCommands:\n(.*)")
    for command in (commands or ""):gmatch("\n? +([%l]+)  +[^\n]+") do
      ask(path .. " " .. command)
    end
  end
  return known
end

local function check_options(page, text, known)
  for before, option in text:gsub("\\%-", "-"):gmatch("([%s`'(\"|])(%-%-%l[%l-]+)") do
    if not known[option] and not foreign_options[option] then
      complain("%s names the option %s%s, which no --help shows", page, before:gsub("%s", ""), option)
    end
  end
end

--- haplua's own options are in the manual page, and the policies in the lists of policies.
local function check_lists(pages)
  for option in output_of(program .. " --help"):gmatch("\n  [^\n]-%-%-([%l-]+)") do
    if not pages["docs/haplua.1"]:find(".It[^\n]*Fl Fl " .. option:gsub("%-", "%%-") .. "%f[^%l-]") then
      complain("docs/haplua.1 does not have the option --%s", option)
    end
  end
  for policy in policies() do
    if not pages["docs/haplua.1"]:find("\n.It Cm " .. policy .. "\n", 1, true) then
      complain("docs/haplua.1 does not list the policy %s", policy)
    elseif not pages["docs/haplua.1"]:find("\n.Xr haplua-" .. policy .. " 1 ,\n", 1, true) then
      complain("docs/haplua.1 does not name the page haplua-%s", policy)
    elseif policy ~= "maint" and not pages["README.md"]:find(("(scripts/%s.lua)"):format(policy), 1, true) then
      complain("README.md does not list the policy %s", policy)
    end
  end
end

-- docs/security.md names tests by a file, or a letter that stands for one, and a part of the test's name.
local letters = {
  L = "tests/lua/security_test.lua", M = "tests/lua/limits_test.lua", R = "tests/real/security_test.lua",
  U = "tests/unit/test_permit.c",
}

--- Check the tests that a cell or a line names. Returns how many.
local function check_tests_of(text)
  local named, at, file = 0, 1, nil
  for first, name, after in text:gmatch('()"([^"]+)"()') do
    for word in text:sub(at, first):gmatch("[%w/_.]+") do
      file = letters[word] or word:match("^tests/.*%.%w+$") or file
    end
    at = after
    if file then
      named = named + 1
      local tests = (read(file) or ""):gsub("_", " ")
      if not tests:find(name:gsub("_", " "), 1, true) then
        complain("docs/security.md: %s has no test \"%s\"", file, name)
      end
    end
  end
  return named
end

local function check_tests(text)
  local named = 0
  for line in text:gmatch("[^\n]+") do
    named = named + check_tests_of(line:match("^|.*|(.-)|$") or line)
  end
  if named < 30 then
    complain("docs/security.md names only %d tests: did its form change?", named)
  end
end

--- Do the lines have those of an excerpt, one below the other? "..." stands for any lines; indentation does not count.
-- An excerpt ends at an empty line or a command.
local function has_excerpt(lines, excerpt, i, k)
  if not excerpt[i] or excerpt[i]:find("^%$ ") or excerpt[i] == "" then
    return true
  elseif excerpt[i]:find("^%s*%.%.%.$") then
    return has_excerpt(lines, excerpt, i + 1, k) or k <= #lines and has_excerpt(lines, excerpt, i, k + 1)
  end
  return lines[k] == excerpt[i]:match("^%s*(.*)") and has_excerpt(lines, excerpt, i + 1, k + 1)
end

local function trimmed_lines(text)
  local lines = { "" }
  for line in text:gmatch("[^\n]*") do
    lines[#lines + 1] = line:match("^%s*(.*)")
  end
  return lines
end

--- Compare what README.md shows of policies with the policies: a block below a policy's name that begins with no command.
local function check_excerpts(text)
  local compared = 0
  local policies_part = text:match("\n## Policies\n(.-\n)## "):gsub("\n%*%*%[", "\n\0")
  for policy, description in policies_part:gmatch("%z[^\n]-%]%((scripts/[%w-]+%.lua)%)(%Z*)") do
    for _, block in ipairs(dofile("tests/documents/reader.lua").blocks(description)) do
      if not block.lines[1]:find("^%$ ") then
        compared = compared + 1
        table.insert(block.lines, 1, "...")
        if not has_excerpt(trimmed_lines(read(policy)), block.lines, 1, 1) then
          complain("README.md: %s does not have the lines from `%s` on", policy, block.lines[2])
        end
      end
    end
  end
  if compared < 5 then
    complain("README.md shows only %d excerpts of policies: did its form change?", compared)
  end
end

local pages, in_c, makefile, known = read_pages(), c_modules(), read("Makefile"), known_options()
for page, text in pairs(pages) do
  check_links(page, text)
  check_paths(page, text)
  check_requires(page, text, in_c)
  check_targets(page, text, makefile)
  if not page:find("%.sh$") then -- scripts call other programs
    check_options(page, text, known)
  end
end
check_lists(pages)
check_excerpts(pages["README.md"])
check_tests(pages["docs/security.md"])
os.exit(complaints == 0)
