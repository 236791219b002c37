-- SPDX-License-Identifier: MIT
--
--- What stores share: edits (haplua.plan.maintenance) that are carried out one after the other, and the functions of
-- a store that needs no locks.

local M = {}

--- Carry edits out. An `add` gets its id.
---@param edits haplua.Edit[]
---@param insert fun(m: haplua.Maintenance): integer  returns the id
---@param update fun(id: integer, set: table): table  returns what the fields were, as another `set`
---@return haplua.Edit[] undo, string? touched  the edits that undo these, and the maintenances: "m12 m13"
function M.carry_out(edits, insert, update)
  local undo, names, there = {}, {}, {}
  for _, edit in ipairs(edits) do
    local id = edit.of and edit.of.id
    if edit.add then
      id = insert(edit.add)
      edit.add.id = id
      table.insert(undo, 1, { of = { id = id }, set = { ended = edit.add.begins, why = "failed", occurrence = false } })
    else
      table.insert(undo, 1, { of = { id = id }, set = update(id, edit.set) })
    end
    if not there[id] then
      there[id], names[#names + 1] = true, "m" .. id
    end
  end
  return undo, #names > 0 and table.concat(names, " ") or nil
end

local unlocked = setmetatable({ release = function() end }, { __close = function() end })

--- Give a store the functions for locks (haplua.store.sqlite documents them), where nobody has to be kept out.
---@param store table  the class of stores
function M.without_locks(store)
  function store.lock()
    return unlocked
  end
  function store.locked()
    return false
  end
  function store.keeper()
    return unlocked
  end
  function store.kept()
    return false
  end
end

return M
