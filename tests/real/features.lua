-- SPDX-License-Identifier: MIT
--
-- The rows of docs/compatibility.md in their order, as { id, title }. compatibility_test.lua tries each feature on each
-- version of HAProxy; tests/compatibility.lua makes the table, and checks that it has all rows.

return {
  { "maint", "`maint on`, `status`, `off`, with the journal" },
  { "during", "`maint during`" },
  { "switch", "scope, bypass and the visitors' text in one change" },
  { "acl_replace", "a list of ACL patterns replaced" },
  { "map_replace", "a map replaced" },
  { "several", "several HAProxys, all or nothing (`maint -s A -s B`)" },
  { "file", "lists from `-f FILE`" },
  { "opt", "lists from `-f opt@FILE`" },
  { "virt", "lists from `-f virt@NAME`" },
  { "expression", "what an ACL looks at, from `show acl`" },
  { "process", "which process it is: fields of `show info`" },
  { "reload", "after a reload" },
  { "socket", "the socket's file at a reload" },
  { "keep", "`keep` after a reload" },
  { "reload_answer", "`reload` through the master CLI" },
  { "master", "through the master CLI (`--via @1`)" },
  { "tcp", "over TCP" },
  { "operator", "at level operator" },
  { "user", "at level user" },
  { "servers", "`servers`, `server_set`" },
  { "drain", "`drain`, `rolling`" },
  { "add_server", "servers added while it runs (`add server`)" },
  { "wait", "`wait` (haplua looks again instead, on every version)" },
  { "read_only", "`--read-only`, `--only`, `-n`" },
}
