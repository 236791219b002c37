-- SPDX-License-Identifier: MIT
--
--- The command line of `haplua test`, as haplua.cli takes it.

-- Real time that one test may take: the default, and the highest value of --seconds.
local SECONDS, SECONDS_MAX = 30, 86400

--- Read the value of --seconds. It must be a plain decimal: "1e9" or "0x10" is probably a mistake.
---@return number?, string?
local function seconds(text)
  local number = text:find("^%d*%.?%d*$") and tonumber(text)
  if number and number > 0 and number <= SECONDS_MAX then
    return number
  end
  return nil, ("seconds expected, more than 0 and at most %d, not '%s'"):format(SECONDS_MAX, text)
end

return {
  name = "haplua test",
  help = "Run tests of policies against fake HAProxys, on a clock of their own. `haplua new` writes one to start from.",
  args = "file",
  options = {
    { "--name", value = "TEXT", help = "run only tests with TEXT in their name" },
    { "--tap", help = "print TAP" },
    { "--watch", help = "run the tests again whenever a Lua file changes" },
    {
      "--seconds", value = "SECONDS", default = tostring(SECONDS), convert = seconds,
      help = ("real time that one test may take (default %d)"):format(SECONDS),
    },
  },
}
