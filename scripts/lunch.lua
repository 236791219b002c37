#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Close one path over lunch, from Monday to Friday: the smallest policy of one's own. Copy it into ./policies, and change
-- the window, the path and the reason. It runs until a signal stops it; HAProxy may be away or be reloaded meanwhile.
--
--   $ haplua lunch --tz UTC
--   /run/haproxy/admin.sock: next: the window Mon..Fri 12:00-13:00, 2026-01-01 12:00:00 +0000, in 12 h

local cli = require("haplua.cli")
local window = require("haplua.window")

local args = cli.parse({
  name = "lunch",
  help = "Close one path over lunch, from Monday to Friday.",
  options = {
    { "--path", value = "PREFIX", default = "/orders", help = "what is closed (default /orders)" },
    { "--tz", value = "ZONE", help = "the zone of the clock, such as Europe/Paris (default: the machine's)" },
  },
}, arg)

window.hold("Mon..Fri 12:00-13:00", { tz = args.tz, paths = { args.path }, reason = "closed over lunch" })
