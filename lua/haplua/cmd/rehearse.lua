-- SPDX-License-Identifier: MIT
--
--- `maint rehearse`: what a maintenance would do to visitors, tried on HAProxy itself before anybody's site is touched.

local errors = require("haplua.error")

--- Put the words of the command line where they belong: URLs and paths are questions, others are patterns.
local function split(list)
  local urls, patterns = {}, {}
  for _, word in ipairs(list or {}) do
    local is_url = word:find("^https?://") or word:find("^/")
    table.insert(is_url and urls or patterns, word)
  end
  return urls, #patterns > 0 and patterns or nil
end

---@param args table  from haplua.cli
---@param request haplua.Request
---@param print function
---@return integer status  0: all as wanted; 1: something is not, or is not known; 3: it could not be done
return function(args, request, print)
  local urls
  urls, request.patterns = split(args.pattern)
  local ok, found = pcall(require("haplua.rehearse.rehearsal").run, request, {
    program = args.haproxy, files = args.haproxy_config or {}, urls = urls, sources = args.source, versions = args.http,
  })
  if not ok and errors.is(found) and found.phase == "rehearsal" then
    io.stderr:write("haplua: ", errors.visible(found.message):gsub("\\n", "\n  "), found.advice and "\n  " .. found.advice or "",
      "\n")
    return 3
  elseif not ok then
    error(found, 0)
  end
  local report = require("haplua.rehearse.report")
  print(args.json and require("haplua.json").encode(report.portable(found)) or report.text(found))
  return found.as_wanted and 0 or 1
end
