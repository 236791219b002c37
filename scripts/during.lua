#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- A maintenance for as long as a command runs: the same as `maint during`. It ends however the command ends, and also when
-- haplua is interrupted; other maintenances stay in force. The exit status is the command's. When maintenance cannot
-- begin, the command does not run.
--
--   haplua during -- ./migrate.sh --all
--   haplua during --path /shop --reason 'new database' -- ansible-playbook shop.yml

return require("haplua.cli").main("maint", { "during", table.unpack(arg) }, print)
