-- SPDX-License-Identifier: MIT
--
--- `maint page check`: does HAProxy take the maintenance page, and does a visitor get all of it?

local errors = require("haplua.error")
local file = require("haplua.file")
local haproxy = require("haproxy")
local page = require("haplua.rules.page")
local run = require("run")
local visible = errors.visible

-- The page as docs/maintenance-page.md installs it.
local PAGE <const> = "/etc/haproxy/maintenance.html"

-- How a configuration uses a page of each form.
local RULES <const> = {
  errorfile = "errorfile 503 '%s'", ["lf-file"] = "http-request return status 503 content-type text/html lf-file '%s'",
  file = "http-request return status 503 content-type text/html file '%s'",
}

--- HAProxy's tune.bufsize: the one that is given, else that of the running process, else the default. HAProxy 2.2 to 3.2
--- show it as the size of their pool `buffer`, rounded up to a multiple of 16. 3.0 may show
--- a small one under another pool's name.
---@return integer bufsize, haplua.rules.PageFinding? finding  where it comes from
local function bufsize_of(args)
  if args.bufsize then
    return args.bufsize
  end
  local ok, pools = pcall(function()
    return haproxy.target():batch({ "show pools" })[1]
  end)
  if not ok and (not errors.is(pools) or pools.kind == "interrupted" or pools.kind == "memory") then
    error(pools, 0)
  end
  local size = ok and math.tointeger(tonumber(pools:match("Pool buffer %((%d+) bytes%)")))
  if size then
    return size, { state = "note", text = ("tune.bufsize is %d in the HAProxy that runs"):format(size) }
  end
  return page.BUFSIZE, { state = "note", advice = "--bufsize gives another one",
    text = ("tune.bufsize is taken to be %d, HAProxy's default: %s"):format(page.BUFSIZE,
      ok and "the HAProxy that runs does not show it" or tostring(pools):match("^[^\n]*")) }
end

--- Ask HAProxy itself, which reads the page and starts nothing.
---@return string? state, string? text  nil: there is no such program
local function ask_haproxy(path, form, args, bufsize)
  if path:find("['%c]") then
    return "note", "HAProxy was not asked: the path has a quotation mark"
  end
  local config = "global\n  tune.bufsize %d\n  tune.maxrewrite %d\ndefaults\n  mode http\nbackend page\n  " .. RULES[form] .. "\n"
  config = config:format(bufsize, args.maxrewrite or page.MAXREWRITE, file.real(path) or path)
  local name = os.tmpname()
  local _ <close> = setmetatable({}, { __close = function() os.remove(name) end })
  local f <close> = assert(io.open(name, "w"))
  assert(f:write(config) and f:close())
  local ok, status, _, err = pcall(run, {
    args.haproxy or "haproxy", "-c", "-f", name, stdin = "", stdout = "null", stderr = "capture",
    env = { PATH = (os.getenv("PATH") or "") .. ":/usr/sbin:/sbin" },
  })
  if not ok and type(status) == "string" then
    return "note", "HAProxy was not asked: " .. status
  elseif not ok then
    error(status, 0)
  end
  local said = err:match("%[ALERT%][^\n]- : (%l[^\n]*)") or err:match("%[ALERT%][^\n]*") or ""
  if status ~= 0 and status ~= 2 then -- 2: there is no listener
    return "fail", "HAProxy says: " .. said
  end
  return "ok", ("HAProxy takes it as %s"):format(form)
end

--- The map of words that goes with a page: the one that is given, else the one beside it.
local function words_of(path, args)
  local given = args.words or path:gsub("[^/]*$", "") .. "maintenance-words.map"
  local text, problem = file.read(given, 1 << 20)
  return text, args.words and not text and problem or nil
end

---@return haplua.rules.PageFinding[]
local function check(path, args, bufsize)
  local text, problem = file.read(path, 1 << 24)
  local words, other = words_of(path, args)
  if problem or other then
    return { { state = "fail", text = problem or other } }
  end
  local form = args.as or page.form(text)
  local found = page.check(text, { form = form, bufsize = bufsize, maxrewrite = args.maxrewrite, words = words })
  local state, said = ask_haproxy(path, form, args, bufsize)
  found[#found + 1] = { state = state, text = said }
  return found
end

---@param args table  from haplua.cli: file (the words behind `page`), as, words, bufsize, maxrewrite, haproxy, json
---@param print function
---@return integer status  0: HAProxy takes each page, and visitors get all of it; 1: something warns or fails
return function(args, print)
  local paths, bad, all = table.move(args.file, 2, #args.file, 1, {}), false, {}
  local bufsize, source = bufsize_of(args)
  for _, path in ipairs(paths[1] and paths or { PAGE }) do
    local found = check(path, args, bufsize)
    found[#found + 1] = source
    for _, finding in ipairs(found) do
      bad = bad or finding.state == "warn" or finding.state == "fail"
      finding.page, all[#all + 1] = path, finding
      if not args.json then
        print(("%-4s  %s: %s%s"):format(finding.state, visible(path), visible(finding.text),
          finding.advice and "\n      " .. visible(finding.advice) or ""))
      end
    end
  end
  if args.json then
    print(require("haplua.json").encode({ ok = not bad, findings = all }))
  end
  return bad and 1 or 0
end
