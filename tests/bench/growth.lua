-- SPDX-License-Identifier: MIT
--
-- growth.lua - draw the picture (SVG) of how time and memory grow. Reads docs/performance.md from standard input and writes
-- the picture to standard output: a panel for the times and one for the memory, both axes logarithmic, a line for each
-- column of the tables between the marks `growth`.

local lines = {
  { table = "acl_replace", column = 1, name = "bare C, ACL", colour = "#8a8a8a" },
  { table = "acl_replace", column = 3, name = "haplua, ACL", colour = "#1f8fe0" },
  { table = "map_replace", column = 1, name = "bare C, map", colour = "#d9762b" },
  { table = "map_replace", column = 3, name = "haplua, map", colour = "#3f9e4d" },
}

--- For each line its points {n, milliseconds, MB}.
local function read(page)
  local name
  for row in (page:match("<!%-%- growth %-%->(.-)<!%-%- /growth %-%->") or ""):gmatch("[^\n]+") do
    name = row:match("^| `([%a_]+)`") or name
    local n, values = tonumber(row:match("^| (%d+) |")), {}
    for value in row:gsub("^| %d+ ", ""):gmatch("| ([%d.]+) %a+") do
      values[#values + 1] = tonumber(value)
    end
    for _, line in ipairs(n and lines or {}) do
      if line.table == name then
        table.insert(line, { n, values[line.column], values[line.column + 1] })
      end
    end
  end
end

local WIDTH, HEIGHT, LEFT, TOP, GAP = 860, 330, 60, 50, 80
local SIDE, TALL = (WIDTH - LEFT - GAP - 20) / 2, HEIGHT - TOP - 40

--- Where powers of ten lie on a panel: from 1,000 to 1,000,000 entries, and from 1 to 10,000 milliseconds or MB.
local function x_of(panel, n)
  return LEFT + panel * (SIDE + GAP) + (math.log(n, 10) - 3) / 3 * SIDE
end

local function y_of(value)
  return TOP + TALL - math.log(math.max(value, 1), 10) / 4 * TALL
end

local function panel(index, title, unit)
  local out = { ('<text x="%.1f" y="38" fill="#8a8a8a">%s</text>'):format(x_of(index, 1000), title) }
  for power = 0, 4 do
    local y = y_of(10 ^ power)
    out[#out + 1] = ('<path d="M%.1f %.1fH%.1f" stroke="#8a8a8a" stroke-opacity="0.3"/><text x="%.1f" y="%.1f" '
      .. 'text-anchor="end" fill="#8a8a8a">%d %s</text>'):format(x_of(index, 1000), y, x_of(index, 1e6),
      x_of(index, 1000) - 6, y + 4, 10 ^ power, unit)
  end
  for power = 3, 6 do
    out[#out + 1] = ('<text x="%.1f" y="%.1f" text-anchor="middle" fill="#8a8a8a">%s</text>'):format(
      x_of(index, 10 ^ power), TOP + TALL + 20, ({ "1,000", "10,000", "100,000", "1,000,000" })[power - 2])
  end
  for _, line in ipairs(lines) do
    local way = {}
    for i, point in ipairs(line) do
      way[i] = ("%s%.1f %.1f"):format(i == 1 and "M" or "L", x_of(index, point[1]), y_of(point[2 + index]))
    end
    out[#out + 1] = ('<path d="%s" fill="none" stroke="%s" stroke-width="2.5"/>'):format(table.concat(way), line.colour)
  end
  return table.concat(out, "\n")
end

read(io.read("a"))
print(('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">'):format(
  WIDTH, HEIGHT))
for i, line in ipairs(lines) do
  print(('<text x="%d" y="18" fill="%s">%s</text>'):format(LEFT + (i - 1) * 130, line.colour, line.name))
end
print(panel(0, "time, by the number of entries", "ms"))
print(panel(1, "memory, by the number of entries", "MB"))
print("</svg>")
