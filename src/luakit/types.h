/* SPDX-License-Identifier: MIT
 *
 * lua_tables.h - the Lua tables that the host offers, one opener for each lua_*.c, and
 * the two ways in which they make a userdata type. */
#ifndef HAP_LUA_TABLES_H
#define HAP_LUA_TABLES_H

#include <lauxlib.h>
#include <lua.h>

int luaopen_haplua_core(lua_State *L);       /* lua_haproxy.c: targets and commands */
int luaopen_haplua_reply(lua_State *L);      /* lua_reply.c: replies to tables */
int luaopen_haplua_task(lua_State *L);       /* lua_task.c */
int luaopen_haplua_run(lua_State *L);        /* lua_run.c: child processes */
int luaopen_haplua_terminal(lua_State *L);   /* lua_terminal.c: the prompt's lines */
int luaopen_haplua_file(lua_State *L);       /* lua_file.c */
int luaopen_haplua_process(lua_State *L);    /* lua_process.c */
int luaopen_haplua_sqlite(lua_State *L);     /* lua_sqlite.c: the journal's file */
int luaopen_haplua_watch(lua_State *L);      /* lua_watch.c: inotify */
int luaopen_haplua_regex(lua_State *L);      /* regex.c: PCRE2 */
int luaopen_haplua_recurrence(lua_State *L); /* lua_recurrence.c: libical */
int luaopen_haplua_virtual(lua_State *L);    /* lua_test.c: time and HAProxy in tests */
int luaopen_haplua_coroutine(
	lua_State *L); /* lua_coroutine.c: mends the table `coroutine` */

/* The function `servers` of haplua.reply, in lua_servers.c. */
int lua_servers(lua_State *L);

/* Make the metatable `name`: methods in a table of their own under __index, and hidden
 * from getmetatable(). [-0, +0] */
void lua_table_type(lua_State *L, const char *name, const luaL_Reg *methods,
		    const luaL_Reg *meta);

/* Make the metatable of a box that scripts never see: `close` is its __gc and __close.
 * [-0, +0] */
void lua_table_box(lua_State *L, const char *name, lua_CFunction close);

#endif
