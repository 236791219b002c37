-- SPDX-License-Identifier: MIT

-- How the annotations of functions are read, for `help` at the prompt and for docs/api.md.

local annotations = require("haplua.host.annotations")

--- What a file's text declares.
local function parse(text)
  local found, classes = {}, {}
  annotations.parse(text, "M", "haplua.x", found, classes)
  return found, classes
end

describe("annotations", function()
  it("have a text, arguments and results, each of several lines", function()
    local found = parse([[
local M = {}

--- Do this,
-- and that.
---@param one string  the first
--- of two
---@param two? {a: integer, b: "x y"|nil}  options
---@param ... any
---@return integer count  so many
--- as there are
---@return string? problem
function M.go(one, two, ...)
  -- a comment within
end]])
    assert.same({
      name = "haplua.x.go", signature = "haplua.x.go(one, two, ...)", text = { "Do this,", "and that." },
      params = {
        { name = "one", type = "string", text = "the first of two" },
        { name = "two", type = '{a: integer, b: "x y"|nil}?', text = "options" },
        { name = "...", type = "any", text = "" },
      },
      returns = { "integer count  so many as there are", "string? problem" },
    }, { name = found["haplua.x.go"].name, signature = found["haplua.x.go"].signature, text = found["haplua.x.go"].text,
      params = found["haplua.x.go"].params, returns = found["haplua.x.go"].returns })
  end)

  it("are those of the line before the function only, and of public functions only", function()
    local found = parse("--- Of nothing.\n\nfunction M.a() end\n--- Inner.\nlocal function b() end\n"
      .. "--- A method.\nfunction Thing:c(x) end\nfunction M.d(text) -- no comment\nend\n")
    assert.same({}, found["haplua.x.a"].text)
    assert.is_nil(found["haplua.x.b"])
    assert.same({ "A method." }, found["Thing:c"].text)
    assert.equal("haplua.x.d(text)", found["haplua.x.d"].signature)
  end)

  it("name the errors, or have those of their file", function()
    local found = parse("-- SPDX\n---@errors HAProxy, journal\n--\n--- A module.\n\n--- One.\nfunction M.a() end\n"
      .. "--- Two.\n---@error refused  where it\n--- is wrong\n---@error journal\nfunction M.b() end\n")
    assert.same({ "HAProxy, journal" }, found["haplua.x.a"].errors)
    assert.same({ "refused  where it is wrong", "journal" }, found["haplua.x.b"].errors)
    assert.same({ "One." }, found["haplua.x.a"].text)
    assert.same({}, parse("--- One.\nfunction M.a() end\n")["haplua.x.a"].errors)
  end)

  it("of the module haproxy say which functions ask HAProxy", function()
    local nowhere = haproxy.connect("/nowhere/haproxy.sock", { timeout = 0.05 })
    local arguments = {
      send = { "show info" }, batch = { { "show info" } }, each = { { "add", "acl", "#1" }, { "x" } }, acl_add = { "#1", "x" },
      acl_replace = { "#1", { "x" } }, map_replace = { "/m", { x = "y" } }, map_add = { "/m", "x", "y" },
      map_set = { "/m", "x", "y" }, server_set = { { server = "a/b", weight = 1 } }, has = { "transactions" },
      connect = { "/x" }, acl_test = { "#1", "x" }, acl_get = { "#1", "x" }, map_get = { "/m", "x" }, acl_del = { "#1", "x" },
      map_del = { "/m", "x" }, acl_clear = { "#1" }, map_clear = { "/m" },
    }
    local asked = 0
    for name, entry in pairs(annotations.all()) do
      local short = name:match("^haproxy%.(.*)$")
      if short and short ~= "mistrust" and short ~= "barrier" then
        local given = arguments[short] or {}
        local ok, problem = pcall(nowhere[short] or haproxy[short], table.unpack(nowhere[short] and { nowhere,
          table.unpack(given) } or given))
        local kind = not ok and (type(problem) == "table" and problem.kind or problem) or "none"
        kind = kind == "timeout" and "unreachable" or kind -- it was tried until the time was over
        assert.same({ name, entry.errors[1] == "HAProxy" and "unreachable" or "none" }, { name, kind })
        asked = asked + (ok and 0 or 1)
      end
    end
    assert.is_true(asked > 20)
  end)

  it("of a class have its fields and its parent", function()
    local _, classes = parse("---@class haplua.B: haplua.A  about\n---@field n number?  seconds\n---@field f fun(a: b): c\n\n")
    assert.same({
      ["haplua.B"] = { parent = "haplua.A", fields = {
        { name = "n", type = "number?", text = "seconds" }, { name = "f", type = "fun(a: b): c", text = "" },
      } },
    }, classes)
  end)
end)
