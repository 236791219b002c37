-- SPDX-License-Identifier: MIT
--
--- A switch with its lists and their files, and the journal: for conversations with `switch` or `journal`. Their states
-- have these parts:
--   main, bypass, info                    what HAProxy holds
--   main_file, bypass_file, info_file     what the files hold
--   journal                               the patterns of the maintenances in the journal that are not ended
-- Of the entries since and until of a map only the keys are compared. A conversation with `switch = "map"` has the second
-- switch, whose main list and bypass list are maps; the beginning of a maintenance in its values is not compared.

local listfile = require("haplua.haproxy.list_file")
local contents = require("haplua.plan.content")
local reply = require("haplua.reply")

local M = {}

--- The client that passes unless --bypass names others.
M.ALLOW = "127.0.0.9"

--- The frontend's lines for the switch. DIR is the site's folder.
M.frontend = [[
    acl passes src -f DIR/bypass.acl
    http-response set-header X-Reason %[str(reason),map_str(DIR/info.map,none)]
    http-request set-var(txn.site) base,map_reg(DIR/site.map)
    http-request set-var(txn.bits) src,map_ip_int(DIR/bypass.map,0)
]]

M.files = { ["site.acl"] = "", ["bypass.acl"] = "", ["info.map"] = "", ["site.map"] = "", ["bypass.map"] = "" }

local lists_of_switch = {
  acl = {
    { part = "main", file = "site.acl", kind = "acl" },
    { part = "bypass", file = "bypass.acl", kind = "acl" },
    { part = "info", file = "info.map", kind = "map" },
  },
  map = {
    { part = "main", file = "site.map", kind = "map" },
    { part = "bypass", file = "bypass.map", kind = "map" },
  },
}

--- The kind of the main list of a conversation.
function M.kind(conversation)
  return conversation.switch == "map" and "map" or "acl"
end

local function lists_of(conversation)
  return lists_of_switch[M.kind(conversation)]
end

--- Make the configuration and the journal of a site.
---@param name string  the target in the journal
function M.start(site, name)
  site.books = {
    target = name,
    journal = assert(require("haplua.store.sqlite").open(site.dir .. "/journal.db")),
    config = site.folder.write("config.lua", ([[return { switches = { site = { acl = "DIR/site.acl",
      bypass = "DIR/bypass.acl", info = "DIR/info.map", allow = { "%s" } },
      map = { map = "DIR/site.map", bypass = "DIR/bypass.map" } }, default = "site" }]]):format(M.ALLOW)
      :gsub("DIR", site.dir)),
  }
end

function M.stop(site)
  site.books.journal:close()
end

--- The main list of a conversation.
function M.acl(site, conversation)
  return conversation.switch and site.dir .. "/site." .. M.kind(conversation) or "#9999"
end

--- The variables of haplua's environment.
function M.environment(site, conversation)
  return {
    HAPLUA_JOURNAL = conversation.journal and site.books.journal.path or "none",
    HAPLUA_CONFIG = conversation.switch and site.books.config or "none",
    HAPLUA_ACL = conversation.switch == "map" and M.acl(site, conversation) or nil,
  }
end

--- Entries as text, without the values of since and until.
local function text_of(keys, values)
  local found = {}
  for i, key in ipairs(keys or {}) do
    local value = values and key ~= "since" and key ~= "until" and values[i]:gsub("^%d+|", "|")
    found[i] = value and key .. " " .. value or key
  end
  if not values then
    table.sort(found)
  end
  return table.concat(found, "\n") .. (#found > 0 and "\n" or "")
end

local function read_lists(site, lists, state)
  local commands = {}
  for i, list in ipairs(lists) do
    commands[i] = { "show", list.kind, site.dir .. "/" .. list.file }
  end
  local texts = site.target:batch(commands)
  for i, list in ipairs(lists) do
    local keys, _, values = reply.entries(texts[i], list.kind == "map")
    state[list.part] = text_of(keys, values)
    local file_keys, file_values = listfile.read(site.dir .. "/" .. list.file, list.kind)
    state[list.part .. "_file"] = text_of(file_keys, file_values)
  end
end

--- Add to a state the parts that a conversation has.
function M.read(site, conversation, state)
  if conversation.switch then
    read_lists(site, lists_of(conversation), state)
  end
  if conversation.journal then
    local store, acl = site.books.journal, M.acl(site, conversation)
    local current = store:current(site.books.target, acl)
    state.journal = text_of(contents.of(current, {
      kind = "path", method = M.kind(conversation) == "map" and "map_reg" or "reg", allow = {},
    }).patterns)
    state.entry = store:latest(site.books.target, acl)
  end
end

local function split(text)
  local keys, values = {}, {}
  for line in text:gmatch("[^\n]+") do
    local key, value = line:match("^(%S+) (.*)$")
    keys[#keys + 1], values[#values + 1] = key or line, value or "0"
  end
  return keys, values
end

local function restore_lists(site, lists, state, wanted)
  for _, list in ipairs(lists) do
    local keys, values = split(wanted[list.part])
    local path = site.dir .. "/" .. list.file
    if list.kind == "acl" and state[list.part] ~= wanted[list.part] then
      site.target:acl_replace(path, keys)
    elseif state[list.part] ~= wanted[list.part] then
      local entries = {}
      for i, key in ipairs(keys) do
        entries[i] = { key = key, value = values[i] }
      end
      site.target:map_replace(path, entries)
    end
    if state[list.part .. "_file"] ~= wanted[list.part .. "_file"] then
      keys, values = split(wanted[list.part .. "_file"])
      listfile.write(path, list.kind, keys, list.kind == "map" and values or nil)
    end
  end
end

--- Write the journal: a maintenance of `wanted.journal`, which was carried out on this HAProxy. The conversation's `row`
-- may have other fields of the change (ends: seconds from now).
local function restore_journal(site, conversation, wanted)
  local journal, books = site.books.journal, site.books
  local now, acl = os.time(), M.acl(site, conversation)
  local live = require("haplua.haproxy.switch").look(site.target, { kind = M.kind(conversation), acl = acl })
  journal:run("DELETE FROM maintenances")
  journal:run("DELETE FROM changes")
  if wanted.journal == "" and not conversation.row then
    return
  end
  local row = setmetatable(conversation.row or {}, { __index = { outcome = "done", worker = live.worker } })
  local keys, passing = split(wanted.journal), wanted.bypass and split(wanted.bypass)
  local m = {
    target = books.target, acl = acl, switch = "site", scope = { patterns = keys }, bypass = passing, reason = "old",
    origin = "on", user = "root", host = "here", begins = now - 60, ends = row.ends and now + row.ends,
  }
  local id = journal:begin({
    target = books.target, acl = acl, switch = "site", action = "on", patterns = keys, bypass = passing, ours = passing,
    reason = "old", since = now - 60, ends = m.ends, user = m.user, host = m.host,
  }, { { add = m } }).id
  journal:run("UPDATE changes SET outcome = ?, worker = ?, started = ?, asked = ?, pid = 1, time = ? WHERE id = ?",
    row.outcome or nil, row.worker, live.started, live.asked, now - 60, id)
end

--- Give these parts the wanted content.
function M.restore(site, conversation, state, wanted)
  if conversation.switch then
    restore_lists(site, lists_of(conversation), state, wanted)
  end
  if conversation.journal then
    restore_journal(site, conversation, wanted)
  end
end

return M
