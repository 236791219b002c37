/* SPDX-License-Identifier: MIT
 *
 * sqlite.c - the table `haplua.sqlite`: a database file, one statement at a time.
 * The library above sets pragmas.
 * Any allocation of Lua's may run a finalizer of the script, which may close the database
 * that a call works on. The statement of that call stays until the call ends, and keeps
 * the connection alive (sqlite3_close_v2()); the call then raises. */
#include "base/err.h"
#include "os/file.h"
#include "luakit/args.h"
#include "luakit/error.h"
#include "luakit/types.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>
#include <uv.h>

#define DATABASE_BOX  "haplua.Database"
#define STATEMENT_BOX "haplua.Statement"

struct database {
	sqlite3 *db; /* owned; NULL: closed */
};

/* Failures. */

static const char *code_name(int rc)
{
	static const char *const names[] = {
		"OK",       "ERROR",      "INTERNAL", "PERM",      "ABORT", "BUSY",
		"LOCKED",   "NOMEM",      "READONLY", "INTERRUPT", "IOERR", "CORRUPT",
		"NOTFOUND", "FULL",       "CANTOPEN", "PROTOCOL",  "EMPTY", "SCHEMA",
		"TOOBIG",   "CONSTRAINT", "MISMATCH", "MISUSE",    "NOLFS", "AUTH",
		"FORMAT",   "RANGE",      "NOTADB",
	};
	size_t primary = (size_t)(rc & 0xff);

	return primary < sizeof names / sizeof *names ? names[primary] : "ERROR";
}

/* Return nil, message, "BUSY". The message has the system's reason where there is one.
 * `db` may be NULL. */
static int failure(lua_State *L, sqlite3 *db, int rc)
{
	const char *text = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
	int primary = rc & 0xff;
	int system = db && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN)
			     ? sqlite3_system_errno(db)
			     : 0;

	lua_pushnil(L);
	if (system)
		lua_pushfstring(L, "%s (%s)", text, err_text(-system));
	else
		lua_pushstring(L, text);
	lua_pushstring(L, code_name(rc));
	return 3;
}

/* Databases. */

/* The open database in argument 1. */
static struct database *check_open(lua_State *L)
{
	struct database *d = luaL_checkudata(L, 1, DATABASE_BOX);

	luaL_argcheck(L, d->db, 1, "the database is closed");
	return d;
}

/* Safe settings that no file can change, and cheap closing: what is in the WAL stays
 * there for the next process that opens the file. */
static int configure(sqlite3 *db)
{
	static const struct {
		int option, value;
	} settings[] = {
		{SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1},
		{SQLITE_DBCONFIG_DEFENSIVE, 1},
		{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
		{SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
	};
	int keep = 1, rc = sqlite3_extended_result_codes(db, 1);

	for (size_t i = 0; i < sizeof settings / sizeof *settings && rc == SQLITE_OK; i++)
		rc = sqlite3_db_config(db, settings[i].option, settings[i].value, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	return rc == SQLITE_OK ? sqlite3_busy_timeout(db, 0) : rc;
}

/* open(path [, {mode = "0640", readonly = bool}]) -> Database | nil, message, code. A
 * relative path is made to begin with "./": "file:..." and ":memory:" are no files to
 * SQLite. */
static int lsqlite_open(lua_State *L)
{
	static const struct args_option known[] = {
		{"mode", ARGS_STRING}, {"readonly", ARGS_BOOLEAN}, {NULL, 0}};
	const char *path = args_path(L, 1);

	args_push_options(L, 2, known, 0);
	mode_t mode = args_mode(L, -2, 0640);
	bool readonly = lua_toboolean(L, -1);

	if (*path != '/')
		path = lua_pushfstring(L, "./%s", path);
	struct database *d = types_push(L, DATABASE_BOX, sizeof *d, 0);
	int rc = readonly ? UV_EEXIST : file_create(path, S_IFREG, mode);

	if (rc < 0 && rc != UV_EEXIST) {
		args_failure(L, rc, path);
		lua_pushliteral(L, "CANTOPEN");
		lua_replace(L, -2);
		return 3;
	}
	int flags = readonly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;

	rc = sqlite3_open_v2(path, &d->db, flags, NULL);
	if (rc == SQLITE_OK)
		rc = configure(d->db);
	return rc == SQLITE_OK ? 1 : failure(L, d->db, rc);
}

static int database_close(lua_State *L)
{
	struct database *d = luaL_checkudata(L, 1, DATABASE_BOX);

	sqlite3_close_v2(d->db);
	d->db = NULL;
	return 0;
}

static int database_tostring(lua_State *L)
{
	struct database *d = luaL_checkudata(L, 1, DATABASE_BOX);

	lua_pushfstring(L, "database: %s",
			d->db ? sqlite3_db_filename(d->db, "main") : "closed");
	return 1;
}

/* Statements. */

static int statement_close(lua_State *L)
{
	sqlite3_stmt **s = luaL_checkudata(L, 1, STATEMENT_BOX);

	sqlite3_finalize(*s);
	*s = NULL;
	return 0;
}

/* Only white space, semicolons and comments? */
static bool is_blank(sqlite3 *db, const char *sql, const char *end)
{
	while (sql < end) {
		sqlite3_stmt *more = NULL;
		const char *rest = sql;

		if (sqlite3_prepare_v2(db, sql, (int)(end - sql), &more, &rest) !=
			    SQLITE_OK ||
		    more) {
			sqlite3_finalize(more);
			return false;
		}
		if (rest == sql)
			break;
		sql = rest;
	}
	return true;
}

/* Push the statement of the SQL text in argument 2, which is finalized at the end of the
 * call. SQLITE_OK, or SQLite's code. [-0, +1] */
static int push_statement(lua_State *L, sqlite3_stmt **out)
{
	size_t n;
	const char *sql = luaL_checklstring(L, 2, &n), *rest;

	luaL_argcheck(L, strlen(sql) == n && n < 1 << 20, 2, "SQL expected");
	sqlite3_stmt **s = types_push(L, STATEMENT_BOX, sizeof *s, 0);

	lua_toclose(L, -1);
	sqlite3 *db = check_open(L)->db;
	int rc = sqlite3_prepare_v2(db, sql, (int)n + 1, s, &rest);

	luaL_argcheck(L, rc != SQLITE_OK || (*s && is_blank(db, rest, sql + n)), 2,
		      "one SQL statement expected");
	*out = *s;
	return rc;
}

/* Bind argument `index` to parameter i. Its string lives as long as the call. */
static int bind_value(lua_State *L, sqlite3_stmt *s, int i, int index)
{
	size_t n;
	const char *text;

	switch (lua_type(L, index)) {
	case LUA_TNIL:
		return sqlite3_bind_null(s, i);
	case LUA_TBOOLEAN:
		return sqlite3_bind_int(s, i, lua_toboolean(L, index));
	case LUA_TNUMBER:
		return lua_isinteger(L, index)
			       ? sqlite3_bind_int64(s, i, lua_tointeger(L, index))
			       : sqlite3_bind_double(s, i, lua_tonumber(L, index));
	case LUA_TSTRING:
		text = lua_tolstring(L, index, &n);
		return sqlite3_bind_text64(s, i, text, n, SQLITE_STATIC, SQLITE_UTF8);
	default:
		return luaL_argerror(L, index, "nil, boolean, number or string expected");
	}
}

/* Push the names of the columns. The statement stands on a row: no other process changes
 * its columns until it ends. [-0, +n] */
static int push_names(lua_State *L, sqlite3_stmt *s)
{
	int n = sqlite3_column_count(s);

	luaL_checkstack(L, n + LUA_MINSTACK, NULL);
	for (int i = 0; i < n; i++)
		lua_pushstring(L, sqlite3_column_name(s, i));
	return n;
}

/* Push the row that a statement stands on; NULL leaves its field out. The stack has the
 * names of its n columns from `names` on. [-0, +1] */
static void push_row(lua_State *L, sqlite3_stmt *s, int names, int n)
{
	lua_createtable(L, 0, n);
	for (int i = 0; i < n; i++) {
		int type = sqlite3_column_type(s, i);

		if (type == SQLITE_NULL)
			continue;
		lua_pushvalue(L, names + i);
		switch (type) {
		case SQLITE_INTEGER:
			lua_pushinteger(L, sqlite3_column_int64(s, i));
			break;
		case SQLITE_FLOAT:
			lua_pushnumber(L, sqlite3_column_double(s, i));
			break;
		default: {
			const char *p = sqlite3_column_blob(s, i);

			lua_pushlstring(L, p ? p : "",
					(size_t)sqlite3_column_bytes(s, i));
		}
		}
		lua_rawset(L, -3);
	}
}

/* db:run(sql, ...) -> rows, changes | nil, message, code. `rows` lists a table for each
 * row, by the columns' names; `changes` counts the rows that the statement wrote. */
static int ldatabase_run(lua_State *L)
{
	int given = lua_gettop(L) - 2;
	struct database *d = check_open(L);
	sqlite3_stmt *s;
	int rc = push_statement(L, &s);

	if (rc != SQLITE_OK)
		return failure(L, d->db, rc);
	sqlite3 *db = sqlite3_db_handle(s); /* valid as long as the statement */

	if (given != sqlite3_bind_parameter_count(s))
		return error_misuse(L, "%d parameters expected, got %d",
				    sqlite3_bind_parameter_count(s), given);
	for (int i = 1; i <= given && rc == SQLITE_OK; i++)
		rc = bind_value(L, s, i, i + 2);
	lua_newtable(L);
	int rows = lua_gettop(L), columns = 0;
	sqlite3_int64 before = sqlite3_total_changes64(db), n = 0;

	while (d->db && rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		if (n == 0)
			columns = push_names(L, s);
		push_row(L, s, rows + 1, columns);
		lua_rawseti(L, rows, ++n);
		rc = SQLITE_OK;
	}
	lua_settop(L, rows);
	if (!d->db)
		return error_misuse(L, "the database was closed");
	if (rc != SQLITE_DONE)
		return failure(L, db, rc);
	bool changed = sqlite3_total_changes64(db) != before;

	lua_pushinteger(L, changed ? sqlite3_changes64(db) : 0);
	return 2;
}

/* db:script(sql) -> true | nil, message, code. Runs several statements, and returns no
 * rows. Stops at the first failure, and rolls nothing back. */
static int ldatabase_script(lua_State *L)
{
	size_t n;
	const char *sql = luaL_checklstring(L, 2, &n);
	struct database *d = check_open(L);

	luaL_argcheck(L, strlen(sql) == n, 2, "SQL expected");
	int rc = sqlite3_exec(d->db, sql, NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		return failure(L, d->db, rc);
	lua_pushboolean(L, true);
	return 1;
}

static const luaL_Reg library[] = {{"open", lsqlite_open}, {NULL, NULL}};

static const luaL_Reg methods[] = {
	{"run", ldatabase_run},
	{"script", ldatabase_script},
	{"close", database_close},
	{"__gc", database_close},
	{"__close", database_close},
	{"__tostring", database_tostring},
	{NULL, NULL},
};

int luaopen_haplua_sqlite(lua_State *L)
{
	/* No locks, no counters of memory, and no pages ahead: one thread uses SQLite,
	 * and few pages. Once a database was opened, these calls change nothing. */
	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
	types_object(L, DATABASE_BOX, methods);
	types_box(L, STATEMENT_BOX, statement_close);
	luaL_newlib(L, library);
	return 1;
}
