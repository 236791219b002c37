-- SPDX-License-Identifier: MIT
--
-- picture.lua - draw docs/first-use.svg: a terminal with the commands of README.md's first use and what they print.
-- Usage: haplua tests/documents/picture.lua README.md > docs/first-use.svg

package.path = arg[0]:match("^(.*)/") .. "/?.lua;" .. package.path

local reader = require("reader")

local COLUMNS <const> = 92
local LINE <const> = 20
local TEXT_Y <const> = 52

local file <close> = assert(io.open(arg[1]))
local text = file:read("a")
local _, first_use = text:find("\n## First use\n")
local block = reader.blocks(text:sub(first_use))[1]

-- No-break spaces: not every program that draws SVG keeps several blanks.
local function escape(line)
  return (line:gsub("[&<> ]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", [" "] = "\u{a0}" }))
end

local lines = {}
for _, line in ipairs(block.lines) do
  if line:find("^%$ ") and #lines > 0 then
    lines[#lines + 1] = ""
  end
  lines[#lines + 1] = line
end

local width, height = math.ceil(COLUMNS * 8.43) + 32, TEXT_Y + #lines * LINE
print(([[<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">
<title>A terminal: haplua closes /shop, a visitor gets the maintenance page, haplua opens it again</title>
<rect width="100%%" height="100%%" rx="8" fill="#1d2430"/>
<circle cx="20" cy="18" r="6" fill="#e0604f"/><circle cx="40" cy="18" r="6" fill="#e0b44f"/>
<circle cx="60" cy="18" r="6" fill="#6fb36a"/>
<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" fill="#c9d1dc">]])
  :format(width, height, width, height))
for i, line in ipairs(lines) do
  local style = line:find("^%$ ") and ' fill="#ffffff" font-weight="bold"' or ""
  if line ~= "" then
    print(('<text x="16" y="%d"%s>%s</text>'):format(TEXT_Y + (i - 1) * LINE, style, escape(line)))
  end
end
print("</g>\n</svg>")
