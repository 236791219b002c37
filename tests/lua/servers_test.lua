-- SPDX-License-Identifier: MIT
--
-- haplua.plan.servers: what state a server shall have, over random histories of maintenances, hands and reloads.

local maintenance = require("haplua.plan.maintenance")
local plans = require("haplua.plan.servers")
local support = require("support")

local RANK = { ready = 0, drain = 1, maint = 2 }
local STATES = { "ready", "drain", "maint" }
local ADDRESS = "192.0.2.1 80"

--- A server of one HAProxy, its maintenances, and its latest change.
local function world(admin, weight)
  local w = { now = 1, admin = admin, weight = weight, initial = 100, address = ADDRESS, all = {}, process = 1 }

  function w.look()
    local current = {}
    for _, m in ipairs(w.all) do
      current[#current + 1] = not m.ended and m or nil
    end
    local latest = w.latest
    return {
      name = "app/a1", now = w.now, current = current,
      row = { admin = w.admin, weight = w.weight, initial = w.initial, address = w.address },
      latest = latest, by_hand = "keep",
      same_process = latest ~= nil and (not latest.process or latest.process == w.process),
      left = plans.left(latest),
      entity = function(fields)
        return fields
      end,
    }
  end

  --- Carry a change out. `cut`: how far, in words.
  function w.change(decide, cut)
    w.now = w.now + 1
    local look = w.look()
    local by_hand = plans.edits_by_hand(look)
    local edits = table.move(by_hand, 1, #by_hand, 1, {})
    for _, edit in ipairs(decide(maintenance.after(look.current, by_hand))) do
      edits[#edits + 1] = edit
    end
    local plan = plans.plan(look, by_hand, edits)
    for _, edit in ipairs(edits) do
      if edit.add then
        edit.add.id = #w.all + 1
        w.all[edit.add.id] = edit.add
      else
        w.all[edit.of.id] = maintenance.with(edit.of, edit.set)
      end
    end
    w.latest = { patterns = plan.patterns, ours = plan.ours }
    if cut == "before HAProxy" then
      return plan
    end
    w.admin, w.weight, w.address = plan.state, plan.weight or w.weight, plan.address or w.address
    if cut == "before the outcome" then
      return plan
    end
    w.latest.outcome, w.latest.ours, w.latest.process = "done", plan.settled, w.process
    return plan
  end

  function w.keep()
    local look = w.look()
    local by_hand = plans.edits_by_hand(look)
    local plan = plans.plan(look, by_hand, by_hand)
    if #by_hand > 0 or not plans.is_in_step(look, plan) then
      w.change(function() return {} end)
    elseif w.latest then
      w.latest.process = w.process
    end
    look = w.look()
    assert.is_true(plans.is_in_step(look, plans.plan(look, {}, {})))
  end

  return w
end

describe("the plan for a server", function()
  it("keeps the two laws over random histories", function()
    local random = support.random(tonumber(os.getenv("SEED")) or 7)
    local cuts = { "before HAProxy", "before the outcome" }
    for _ = 1, tonumber(os.getenv("HISTORIES")) or 10000 do
      local base, weight = STATES[random(3)], random(200)
      local w, trail, touched = world(base, weight), { base .. " " .. weight }, false
      local function check(ok, text)
        if not ok then
          error(("%s: %s"):format(text, table.concat(trail, ", ")), 0)
        end
      end
      local function in_force()
        return maintenance.in_force(w.look().current, w.now)
      end
      for _ = 1, random(12) do
        local what, before = random(10), w.admin
        local cut = random(6) == 1 and cuts[random(2)] or nil
        local list, broken = in_force(), w.latest and not w.latest.outcome
        if what <= 3 then
          local state = STATES[1 + random(2)]
          trail[#trail + 1] = ("on %s%s"):format(state, cut and " cut " .. cut or "")
          w.change(function()
            return { { add = { scope = plans.scope("app/a1", state), origin = "on", begins = w.now } } }
          end, cut)
          check(broken or RANK[w.admin] >= RANK[before], "on opened")
        elseif what <= 4 then
          local scope = plans.scope("app/a1", STATES[random(3)], random(3) > 1 and random(256) or nil,
            random(3) == 1 and "192.0.2.9 " .. random(9) or nil)
          trail[#trail + 1] = ("hold %s %s %s%s"):format(scope.state, scope.weight, scope.address, cut and " cut " .. cut or "")
          w.change(function()
            return { { add = { scope = scope, origin = "hold", begins = w.now } } }
          end, cut)
          check(broken or RANK[w.admin] >= RANK[before], "on opened")
        elseif what <= 7 and #list > 0 then
          local m = list[random(#list)]
          trail[#trail + 1] = ("off %s%s"):format(m.scope.state, cut and " cut " .. cut or "")
          w.change(function(current)
            for _, one in ipairs(current) do
              if one.id == m.id and not one.ended then
                return { maintenance.ending(one, w.now, "off") }
              end
            end
            return {}
          end, cut)
          check(RANK[w.admin] <= RANK[before] or #in_force() > 0, "off closed")
        elseif what == 8 then
          w.admin = STATES[random(3)]
          trail[#trail + 1] = "hand " .. w.admin
          if #list == 0 and not (w.latest and not w.latest.outcome) then
            base = w.admin
          else
            touched = true
          end
        elseif what == 9 then
          w.process, w.admin, w.weight, w.address = w.process + 1, "ready", w.initial, ADDRESS
          trail[#trail + 1] = "reload"
          touched = true
          weight = #list == 0 and not (w.latest and not w.latest.outcome) and w.weight or weight
        else
          trail[#trail + 1] = "keep"
          w.keep()
        end
        if w.latest and w.latest.outcome and what ~= 8 and what ~= 9 then
          local strictest = plans.strictest("ready", in_force())
          check(RANK[w.admin] >= RANK[strictest], "opened though one is in force")
        end
      end
      trail[#trail + 1] = "off all"
      w.keep()
      w.change(function(current)
        local edits = {}
        for _, m in ipairs(current) do
          edits[#edits + 1] = not m.ended and maintenance.ending(m, w.now, "off") or nil
        end
        return edits
      end)
      check(#in_force() == 0, "one is left")
      check(touched or w.admin == base, "not the state from before")
      check(w.weight == weight, "not the weight from before")
      check(w.address == ADDRESS, "not the address from before")
      check(#w.latest.ours == 0, "something is remembered")
    end
  end)

  it("gives back a weight and an address, and the smallest weight counts", function()
    local w = world("ready", 37)
    local function hold(weight, address)
      return function()
        return { { add = { scope = plans.scope("app/a1", "ready", weight, address), origin = "hold", begins = w.now } } }
      end
    end
    local function finish(id)
      w.change(function(current)
        for _, m in ipairs(current) do
          if m.id == id then
            return { maintenance.ending(m, w.now, "off") }
          end
        end
      end)
    end
    w.change(hold(20, "192.0.2.9 81"))
    w.change(hold(10))
    assert.same({ 10, "192.0.2.9 81" }, { w.weight, w.address })
    finish(2)
    assert.same({ 20, "192.0.2.9 81" }, { w.weight, w.address })
    w.process, w.weight, w.address = 2, w.initial, ADDRESS -- a reload
    w.keep()
    assert.same({ 20, "192.0.2.9 81" }, { w.weight, w.address })
    finish(1)
    assert.same({ "ready", 37, ADDRESS }, { w.admin, w.weight, w.address })
  end)

  it("leaves a weight alone that a hand has set meanwhile", function()
    local w = world("ready", 37)
    w.change(function()
      return { { add = { scope = plans.scope("app/a1", "drain", 5), origin = "hold", begins = w.now } } }
    end)
    w.weight = 8
    assert.equal("weight 8", plans.by_hand(w.look()))
    w.keep()
    assert.same({ "drain", 8 }, { w.admin, w.weight })
    w.change(function(current)
      return { maintenance.ending(current[1], w.now, "off") }
    end)
    assert.same({ "ready", 8 }, { w.admin, w.weight })
  end)

  it("takes no change that was broken off for a hand", function()
    local w = world("ready", 37)
    local function on()
      return { { add = { scope = plans.scope("app/a1", "maint"), origin = "on", begins = w.now } } }
    end
    w.change(on, "before HAProxy")
    w.keep()
    assert.equal("maint", w.admin)
    w.change(function(current)
      return { maintenance.ending(current[1], w.now, "off") }
    end, "before HAProxy")
    assert.equal("maint", w.admin)
    w.keep()
    assert.same({ "ready", 37, 0 }, { w.admin, w.weight, #w.latest.ours })
  end)
end)
