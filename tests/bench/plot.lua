-- SPDX-License-Identifier: MIT
--
-- plot.lua - draw the picture (SVG) of docs/performance.md. Reads the page from standard input and writes the picture
-- to standard output. Each table with a mark `<!-- plot: NAME -->` is a line of the picture, with a point for each
-- program: the time in the first row whose label begins with the program's name.

-- The colours are visible on white and on black. The shapes differ, too, for those who cannot see colours.
local programs = {
  { name = "bare C", colour = "#8a8a8a", shape = "circle" },
  { name = "haplua", colour = "#1f8fe0", shape = "square" },
  { name = "socat", colour = "#d9762b", shape = "triangle" },
  { name = "Python", colour = "#3f9e4d", shape = "diamond" },
}

local shapes = {
  circle = '<circle cx="%.1f" cy="%.1f" r="5.5" fill="%s"/>',
  square = '<path transform="translate(%.1f %.1f)" d="M-6-6h12v12h-12z" fill="%s"/>',
  triangle = '<path transform="translate(%.1f %.1f)" d="M0-7l7 12h-14z" fill="%s"/>',
  diamond = '<path transform="translate(%.1f %.1f)" d="M0-7.5l7.5 7.5l-7.5 7.5l-7.5-7.5z" fill="%s"/>',
}

--- The tables with a mark: {name=, [program] = milliseconds}.
local function read(page)
  local tables, current = {}, nil
  for line in page:gmatch("[^\n]+") do
    local name = line:match("^<!%-%- plot: (.-) %-%->")
    local label, ms = line:match("^| (.-) | ([%d.]+) ms |")
    if name then
      current = { name = name }
      tables[#tables + 1] = current
    elseif label and current then
      for _, program in ipairs(programs) do
        if label:sub(1, #program.name) == program.name then
          current[program.name] = current[program.name] or tonumber(ms)
        end
      end
    elseif not line:find("^|") then
      current = nil
    end
  end
  return tables
end

local WIDTH, LEFT, RIGHT, TOP, ROW = 860, 200, 30, 56, 34

local function time_text(ms)
  if ms >= 1000 then
    return ("%g s"):format(ms / 1000)
  end
  return ("%g ms"):format(ms)
end

--- The powers of ten below and above all values.
---@return integer first, integer last
local function range(tables)
  local low, high = math.huge, 0
  for _, row in ipairs(tables) do
    for _, program in ipairs(programs) do
      low = math.min(low, row[program.name] or low)
      high = math.max(high, row[program.name] or high)
    end
  end
  return math.floor(math.log(low, 10)), math.ceil(math.log(high, 10))
end

local function draw(tables)
  local first, last = range(tables)
  local bottom = TOP + #tables * ROW
  local out = {}
  local function add(form, ...)
    out[#out + 1] = form:format(...)
  end
  local function x_of(ms)
    return LEFT + (math.log(ms, 10) - first) / (last - first) * (WIDTH - LEFT - RIGHT)
  end

  add('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" '
    .. 'aria-label="Median times of bare C, haplua, socat and Python, on a logarithmic scale">', WIDTH, bottom + 56)
  add("<style>text{font:13px sans-serif;fill:#333}line{stroke:#ccc}.minor{opacity:.45}"
    .. "@media(prefers-color-scheme:dark){text{fill:#ddd}line{stroke:#555}}</style>")
  for i, program in ipairs(programs) do
    local x = LEFT + (i - 1) * 110
    add(shapes[program.shape], x, 20, program.colour)
    add('<text x="%d" y="24.5">%s</text>', x + 12, program.name)
  end
  for power = first, last do
    for digit = 1, power < last and 9 or 1 do
      local x = x_of(digit * 10.0 ^ power)
      add('<line x1="%.1f" x2="%.1f" y1="%d" y2="%d"%s/>', x, x, TOP - 12, bottom, digit > 1 and ' class="minor"' or "")
    end
    add('<text x="%.1f" y="%d" text-anchor="middle">%s</text>', x_of(10.0 ^ power), bottom + 18, time_text(10.0 ^ power))
  end
  add('<text x="%.1f" y="%d" text-anchor="middle">from start to exit, median (logarithmic: less is better)</text>',
    (LEFT + WIDTH - RIGHT) / 2, bottom + 42)
  for i, row in ipairs(tables) do
    local y = TOP + (i - 0.5) * ROW
    add('<text x="%d" y="%.1f" text-anchor="end">%s</text>', LEFT - 14, y + 4.5, row.name)
    add('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>', LEFT, WIDTH - RIGHT, y, y)
    for _, program in ipairs(programs) do
      if row[program.name] then
        add(shapes[program.shape], x_of(row[program.name]), y, program.colour)
      end
    end
  end
  add("</svg>")
  return table.concat(out, "\n")
end

local tables = read(io.read("a"))
assert(#tables > 0, "there is no table with a mark")
print(draw(tables))
