#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Maintenance for as long as a command runs: the same as `maint during`. Afterwards what was there before is restored,
-- however the command ends, and also when haplua is interrupted. The exit status is the command's. When maintenance
-- cannot be put on, the command does not run.
--
--   haplua during -- ./migrate.sh --all
--   haplua during --path /shop --reason 'new database' -- ansible-playbook shop.yml

return require("haplua.cli").main("maint", { "during", table.unpack(arg) }, print)
