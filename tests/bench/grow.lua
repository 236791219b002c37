-- SPDX-License-Identifier: MIT
--
-- grow.lua FROM TO COUNT - write a journal TO that has at least COUNT changes: those of the journal FROM, again and again.
-- bench.sh measures commands that read it.

local sqlite = require("haplua.sqlite")

local from, to, count = ...
local db <close> = assert(sqlite.open(from))
assert(db:run("VACUUM INTO ?", to))
local long <close> = assert(sqlite.open(to))
local names = {}
for _, column in ipairs(assert(long:run("SELECT name FROM pragma_table_info('changes') WHERE name <> 'id'"))) do
  names[#names + 1] = column.name
end
names = table.concat(names, ", ")
assert(long:run(([[WITH RECURSIVE n(i) AS
    (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i * (SELECT count(*) FROM changes) < ?)
  INSERT INTO changes (%s) SELECT %s FROM n, (SELECT * FROM changes)]]):format(names, names), math.tointeger(tonumber(count))))
