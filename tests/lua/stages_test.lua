-- SPDX-License-Identifier: MIT

-- haplua.plan.stages.

local stages = require("haplua.plan.stages")

local NODES <const> = {
  { name = "a1", labels = { dc = "fra" } }, { name = "a2", labels = { dc = "fra" } }, { name = "a3", labels = { dc = "fra" } },
  { name = "b1", labels = { dc = "par" } }, { name = "b2", labels = { dc = "par", disk = "ssd" } }, { name = "c1", labels = {} },
}

--- The steps as one text: the names, + where it is open, and the stages that are left.
local function text_of(text, before)
  local parts = {}
  for i, step in ipairs(stages.steps(text, NODES, before or {})) do
    parts[i] = table.concat(step.names, " ") .. (step.open and "+" or "") .. (step.left ~= "" and " [" .. step.left .. "]" or "")
  end
  return table.concat(parts, " | ")
end

describe("stages", function()
  it("are steps of nodes", function()
    for text, expected in pairs({
      ["c1; dc=fra; *"] = "c1 [dc=fra; *] | a1 a2 a3 [*] | b1 b2+",
      [" c1 ;dc=fra/2;* "] = "c1 [dc=fra/2; *] | a1 a2 [dc=fra/2; *] | a3 [*] | b1 b2+",
      ["a1, dc=par"] = "a1 b1 b2",
      ["*/4"] = "a1 a2 a3 b1 [*/4] | b2 c1+",
      ["* / 3"] = "a1 a2 a3 [* / 3] | b1 b2 c1+",
      ["*/6"] = "a1 a2 a3 b1 b2 c1+",
      ["dc=par; disk=ssd; a1"] = "b1 b2 [disk=ssd; a1] | a1",
      ["dc=fra; dc=par; c1; *"] = "a1 a2 a3 [dc=par; c1; *] | b1 b2 [c1; *] | c1 [*] | +",
    }) do
      assert.equal(expected, text_of(text), text)
    end
    assert.equal("a3 [*] | c1+", text_of("dc=fra; *", { "a1", "a2", "b1", "b2" }))
    assert.equal("", text_of("dc=fra", { "a1", "a2", "a3" }))
  end)

  it("refuse what is no stage, and names that the fleet does not have", function()
    for text, expected in pairs({
      [""] = "a name is missing", ["a1;"] = "a name is missing", ["a1,,b1"] = "a name is missing", ["*; a1"] = "comes after *",
      ["a1, *"] = "goes with no other", ["a1/0"] = "0 nodes at a time", ["a'1"] = "quote", ["lb9"] = "no node lb9",
      ["dc=ham"] = "no node of the fleet has the label dc=ham", ["a1; lb9"] = "stage 'lb9'",
    }) do
      local ok, problem = pcall(stages.steps, text, NODES, {})
      assert.is_false(ok, text)
      assert.matches(expected, tostring(problem), 1, true)
    end
  end)
end)
