/* SPDX-License-Identifier: MIT
 *
 * types.h - the Lua tables that the host offers, one opener for each binding, and
 * the two ways in which bindings make a userdata type. */
#ifndef HAP_TYPES_H
#define HAP_TYPES_H

#include <lauxlib.h>
#include <lua.h>

int luaopen_haplua_core(lua_State *L);      /* haproxy/core.c: targets and commands */
int luaopen_haplua_inet(lua_State *L);      /* haproxy/inet.c: IP addresses */
int luaopen_haplua_reply(lua_State *L);     /* haproxy/reply.c: replies as tables */
int luaopen_haplua_task(lua_State *L);      /* task.c */
int luaopen_haplua_run(lua_State *L);       /* system/run.c: child processes */
int luaopen_haplua_terminal(lua_State *L);  /* system/terminal.c: the prompt's lines */
int luaopen_haplua_screen(lua_State *L);    /* system/screen.c: a view on the terminal */
int luaopen_haplua_file(lua_State *L);      /* system/file.c */
int luaopen_haplua_namespace(lua_State *L); /* system/namespace.c: a rehearsal's own */
int luaopen_haplua_process(lua_State *L);   /* system/process.c */
int luaopen_haplua_sqlite(lua_State *L);    /* system/sqlite.c: the journal's file */
int luaopen_haplua_watch(lua_State *L);     /* system/watch.c: inotify */
int luaopen_haplua_regex(lua_State *L);     /* system/regex.c: PCRE2 */
int luaopen_haplua_lines(lua_State *L);     /* system/lines.c: the lines of a calendar */
int luaopen_haplua_virtual(lua_State *L);   /* run/virtual.c: time and HAProxy in tests */
int luaopen_haplua_coroutine(lua_State *L); /* sched/coroutine.c: mends `coroutine` */

/* Make the metatable `name`, hidden from getmetatable(): it has those of `methods` whose
 * names begin with "__", and the others in a table under __index. [-0, +0] */
void types_object(lua_State *L, const char *name, const luaL_Reg *methods);

/* Make the metatable `name` for boxes that scripts never get: `close` is both __gc and
 * __close. [-0, +0] */
void types_box(lua_State *L, const char *name, lua_CFunction close);

/* Set a field of the table on the top to a text; NULL: leave it out. [-0, +0] */
void types_set_text(lua_State *L, const char *name, const char *text);

/* Push a userdata of this type: `size` bytes of 0, and user values. [-0, +1] */
void *types_push(lua_State *L, const char *name, size_t size, int values);

#endif
