-- SPDX-License-Identifier: MIT
--
--- The globals of scripts, and the places where scripts and modules are looked for. src/run/script.c loads this module
-- before any script, with two functions: the searcher of the modules that are compiled in, and one that lists their names.

local search_compiled, module_names = ...
local error, getinfo, load, loadfile, rawset, require = error, debug.getinfo, load, loadfile, rawset, require
local dump, package, searchers = string.dump, package, package.searchers
local select, setmetatable, type = select, setmetatable, type

local M = {}

-- The folders of the scripts that run; several under `haplua test`.
local folders = {}

-- The host's modules are loaded when their names are first used, which keeps the start short. `true` is the module
-- itself, a name the module's field of this name.
local host_names = {
  send = "haproxy", acl_add = "haproxy", acl_clear = "haproxy", acl_get = "haproxy", servers = "haproxy",
  haproxy = true, task = true, run = true,
}

--- Does the file lie in the folder of a script, or below it?
local function is_beside(path)
  for folder in next, folders do
    if folder == "." and not path:find("/", 1, true) or path:sub(1, #folder + 1) == folder .. "/" then
      return true
    end
  end
  return false
end

--- Is a function no part of a script, but C code or a library in another folder? Such code may test whether a global
-- exists, and define new ones.
---@param info table?  of debug.getinfo()
local function is_foreign(info)
  local path = info and info.source:match("^@(.*)$")
  if path then
    return not is_beside(path)
  end
  return not info or info.what == "C" or info.source == "=?" -- "=?": lua-argparse
end

--- To read a name that was never defined is an error, so that a misspelt one does not pass for nil.
local function index(globals, name)
  local host = host_names[name]
  if host then
    local value = require(host == true and name or host)
    if host ~= true then
      value = value[name]
    end
    rawset(globals, name, value)
    return value
  elseif type(name) == "string" and not is_foreign(getinfo(2, "S")) then
    error(("undefined name '%s'"):format(name), 2)
  end
end

--- The main chunk of a script may define globals, its functions may not.
local function newindex(globals, name, value)
  local info = type(name) == "string" and getinfo(2, "S")
  if info and info.what == "Lua" and not is_foreign(info) then
    error(("assignment to the undefined name '%s' (a missing 'local'?)"):format(name), 2)
  end
  rawset(globals, name, value)
end

--- Make a table the globals of a script: what is not in it is looked up in the state's. load(), loadfile() and dofile()
-- are as Lua has them, but that a chunk's globals are the script's, unless others were given.
local function finish(globals)
  function globals.load(chunk, name, mode, ...)
    if select("#", ...) == 0 then
      return load(chunk, name, mode, globals)
    end
    return load(chunk, name, mode, ...)
  end

  function globals.loadfile(path, mode, ...)
    if select("#", ...) == 0 then
      return loadfile(path, mode, globals)
    end
    return loadfile(path, mode, ...)
  end

  function globals.dofile(path)
    local chunk, problem = loadfile(path, nil, globals)
    if not chunk then
      error(problem, 0)
    end
    return chunk()
  end

  return setmetatable(globals, { __index = _G, __newindex = newindex })
end

-- What scripts have deferred. haplua.host.defer is loaded where there is something to call.
local Deferred = {
  __close = function(list, problem)
    if #list > 0 then
      require("haplua.host.defer")(list, problem)
    end
  end,
}

--- Give a script the global `defer`. Returns the script as a function that calls at its end what was deferred.
local function with_defer(globals, main)
  local list = setmetatable({}, Deferred)

  function globals.defer(fn, ...)
    if type(fn) ~= "function" then
      error(("defer: a function is expected, not %s"):format(type(fn)), 2)
    end
    list[#list + 1] = { fn = fn, n = select("#", ...), ... }
  end

  return function(...)
    local _ <close> = list
    return main(...)
  end
end

--- Have require() find the modules in the folder of a script, whose globals are strict, too.
local function add_folder(script)
  local folder = script:match("^(.*)/") or "."
  if not folders[folder] then
    folders[folder] = true
    package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(folder, folder, package.path)
  end
end

local function is_readable(path)
  local file <close> = io.open(path)
  return file ~= nil
end

--- The path of the script that the user named. A path has a '/' or ends in ".lua". A name is looked up in the folders of
-- haplua.host.places. Raises a text where there is no such script.
---@param script string
---@return string
function M.find(script)
  if script:find("/", 1, true) or script:find(".%.lua$") then
    return script
  end
  local places = require("haplua.host.places")
  for _, place in ipairs(places.all()) do
    local path = ("%s/%s.lua"):format(place.path, script)
    if (not place.own or places.counts(path)) and is_readable(path) then
      return path
    end
  end
  error(require("haplua.host.policies").not_found(script), 0)
end

local function load_file(script, globals)
  local path = M.find(script)
  local file, problem = io.open(path)
  if not file then
    error("cannot read " .. problem, 0)
  end
  file:close()
  add_folder(path)
  return loadfile(path, nil, globals)
end

--- Make a table the globals of a script, and load it from a file.
---@param globals table
---@param script string
---@return function
function M.file(globals, script)
  local main, problem = load_file(script, finish(globals))
  return main and with_defer(globals, main) or error(problem, 0)
end

-- The compiled script, where it runs for several targets: all run the same text, also from standard input.
local compiled

--- The script of one run, as a function with globals of its own.
---@param arg string[]
---@param builtin? string  the module of haplua that runs in the place of a script; it makes its own globals
---@param chunk? string  the text that runs in the place of a script
---@param target? string  where there are several: marks the lines of the output
---@param is_first boolean  of these runs
---@return function
function M.load(arg, builtin, chunk, target, is_first)
  local globals = { arg = arg }
  local main, problem
  globals._G = globals
  rawset(_G, "arg", arg) -- for libraries
  if target and not builtin then
    require("haplua.host.prefix")(globals, target)
  end
  finish(globals)
  if is_first then
    compiled = nil
  end
  if compiled then
    main, problem = load(compiled, "script", "b", globals)
  elseif builtin or chunk or arg[0] == "-" then
    add_folder("./")
    if builtin then
      return require(builtin)
    elseif chunk then
      main, problem = load(chunk, "=-e", nil, globals)
    else
      main, problem = loadfile(nil, nil, globals)
    end
  else
    main, problem = load_file(arg[0], globals)
  end
  compiled = compiled or main and target and dump(main)
  return main and with_defer(globals, main) or error(problem, 0)
end

--- "; did you mean 'NAME'?" for the public module that is nearest, or "".
local function hint(name)
  local stem, stems = name:match("^haplua%.(.*)$"), {}
  for _, module in ipairs(module_names()) do
    local other = module:match("^haplua%.(.*)$")
    if (other == nil) == (stem == nil) and not module:find("%..*%.") then
      stems[#stems + 1] = other or module
    end
  end
  local near = require("haplua.error").nearest(stem or name, stems)
  return near and ("; did you mean '%s%s'?"):format(stem and "haplua." or "", near) or ""
end

--- One of Lua's searchers without its list of places. The one for C modules says in a line where all have looked.
local function quietly(searcher, is_for_c)
  return function(name)
    local loader, place = searcher(name)
    if type(loader) ~= "string" then
      return loader, place
    elseif is_for_c then
      return "no file of this name beside the script, in package.path or in package.cpath, and no module of haplua"
        .. hint(name)
    end
  end
end

for i, searcher in ipairs(searchers) do
  searchers[i] = quietly(searcher, i == #searchers - 1)
end
-- After package.preload and before any file, so that no stray file takes the place of a module of haplua.
table.insert(searchers, 2, search_compiled)
-- add_folder() adds the folder of a script. Lua's own "." would find the files of whoever may write to the folder that one
-- happens to be in.
package.path = package.path:gsub(";%./%?%.lua;%./%?/init%.lua", "")
package.cpath = package.cpath:gsub(";%./%?%.so", "")
setmetatable(_G, { __index = index, __newindex = newindex })

return M
