-- SPDX-License-Identifier: MIT
std = "lua54"
max_line_length = 130
-- What the host gives every script; src/run/script.c.
read_globals = { "send", "acl_add", "acl_clear", "acl_get", "servers", "haproxy", "task", "run", "defer" }
-- 211: a <close> variable does its work by being there. 542: a branch may hold a comment alone. 212/self: a method need not look at its object.
ignore = { "211/restore", "211/undo", "542", "212/self" }
-- Declarations without bodies.
exclude_files = { "build/", "docs/types/" }

files["tests/**/*_test.lua"] = { std = "+busted", globals = { "_" } }
files["lua/haplua/test/world.lua"] = { globals = { "os", "io" } }
-- Tests put others in the place of what ends a process or writes.
files["tests/**/*.lua"] = { globals = { "os", "io" } }
