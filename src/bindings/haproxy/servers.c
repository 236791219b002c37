/* SPDX-License-Identifier: MIT
 *
 * servers.c - `show servers state` as rows that are read when a script uses them.
 * These are the longest answers, and a script mostly uses few fields of few rows. So a
 * row is a table that holds where its line begins, and __index reads a field from there;
 * pairs() fills the row first. */
#include "bindings/haproxy/fields.h"
#include "luakit/args.h"

#include <lauxlib.h>

/* Key of the place of a row in the answer. Its address is a key that no script can make.
 */
static const char at_key;

/* Upvalues of a row's metamethods. */
enum { UP_DUMP = 1, UP_COLUMNS, UP_MISSING };

/* Bits of srv_admin_state. 4 alone is no maintenance: it only says that the configuration
 * once asked for it. */
enum {
	FORCED_MAINT = 1,
	INHERITED_MAINT = 2,
	FORCED_DRAIN = 8,
	INHERITED_DRAIN = 16,
	RESOLVER_MAINT = 32,
};

static void push_admin(lua_State *L, int64_t bits)
{
	if (bits & (FORCED_MAINT | INHERITED_MAINT | RESOLVER_MAINT))
		lua_pushliteral(L, "maint");
	else if (bits & (FORCED_DRAIN | INHERITED_DRAIN))
		lua_pushliteral(L, "drain");
	else
		lua_pushliteral(L, "ready");
}

static void push_operational(lua_State *L, int64_t state)
{
	static const char *const words[] = {"stopped", "starting", "running", "stopping"};

	if (state >= 0 && state < 4)
		lua_pushstring(L, words[state]);
	else
		lua_pushinteger(L, state);
}

/* The line of the row at index 1 in the answer, without its LF; {NULL, 0} for a row that
 * pairs() has filled. */
static struct span row_line(lua_State *L)
{
	struct span dump, line = {NULL, 0};

	dump.p = lua_tolstring(L, lua_upvalueindex(UP_DUMP), &dump.n);
	if (lua_rawgetp(L, 1, &at_key) == LUA_TNUMBER) {
		lua_Integer at = lua_tointeger(L, -1);
		struct span rest = {dump.p + at, dump.n - (size_t)at};

		span_word(&rest, '\n', &line);
	}
	lua_pop(L, 1);
	return line;
}

static bool line_field(struct span line, lua_Integer column, struct span *field)
{
	bool there = true;

	for (lua_Integer i = 0; there && i <= column; i++)
		there = span_word(&line, ' ', field);
	return there;
}

/* Push the field of column `column`, whose name is at `key`. [-0, +1] */
static void push_row_field(lua_State *L, struct span line, int key, lua_Integer column)
{
	struct span name, field;
	int64_t state;

	name.p = lua_tolstring(L, key, &name.n);
	bool admin = span_equal(name, SPAN_LIT("admin"));
	bool in_words = admin || span_equal(name, SPAN_LIT("operational"));

	if (!line_field(line, column, &field) ||
	    (in_words && !reply_integer(field, &state)))
		lua_pushnil(L);
	else if (!in_words)
		fields_push_named(L, name, field);
	else if (admin)
		push_admin(L, state);
	else
		push_operational(L, state);
}

static int row_index(lua_State *L)
{
	struct span line = row_line(L);

	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(UP_COLUMNS)) != LUA_TNUMBER) {
		lua_settop(L, 2);
		lua_pushvalue(L, lua_upvalueindex(UP_MISSING));
		lua_insert(L, 1);
		lua_call(L, 2, 0);
		return 0;
	}
	if (!line.p)
		return 0; /* pairs() has left it out, as HAProxy leaves it empty */
	push_row_field(L, line, 2, lua_tointeger(L, -1));
	return 1;
}

/* Fill the row, which then holds its fields as any table does. */
static int row_pairs(lua_State *L)
{
	struct span line = row_line(L);

	lua_settop(L, 1);
	if (line.p) {
		lua_pushnil(L);
		while (lua_next(L, lua_upvalueindex(UP_COLUMNS))) {
			lua_pushvalue(L, -2);
			push_row_field(L, line, -1, lua_tointeger(L, -2));
			lua_rawset(L, 1);
			lua_pop(L, 1);
		}
		lua_pushnil(L);
		lua_rawsetp(L, 1, &at_key);
	}
	lua_getglobal(L, "next");
	lua_insert(L, 1);
	lua_pushnil(L);
	return 3;
}

static void set_column(lua_State *L, struct span name, size_t column)
{
	fields_push_text(L, name);
	lua_pushinteger(L, (lua_Integer)column);
	lua_rawset(L, -3);
}

/* Push a table from a field's name to its column, the two words included. [-0, +1] */
static void push_columns(lua_State *L, const struct reply_columns *columns)
{
	size_t admin = columns->n, operational = columns->n; /* there is none */

	lua_createtable(L, 0, (int)columns->n + 2);
	for (size_t i = 0; i < columns->n; i++) {
		set_column(L, columns->name[i], i);
		if (span_equal(columns->name[i], SPAN_LIT("srv_admin_state")))
			admin = i;
		if (span_equal(columns->name[i], SPAN_LIT("srv_op_state")))
			operational = i;
	}
	set_column(L, SPAN_LIT("admin"), admin);
	set_column(L, SPAN_LIT("operational"), operational);
}

static void push_row_metatable(lua_State *L, const struct reply_columns *columns)
{
	static const luaL_Reg row_meta[] = {
		{"__index", row_index}, {"__pairs", row_pairs}, {NULL, NULL}};

	push_columns(L, columns);
	lua_pushvalue(L, -1);
	fields_call(L, "metatable");
	lua_insert(L, -2);
	lua_pushvalue(L, 1);
	lua_insert(L, -2);
	lua_getfield(L, -3, "__index"); /* raises where no field has this name */
	luaL_setfuncs(L, row_meta, UP_MISSING);
}

/* Has the line a field for each column? Values are read later, by their column. */
static bool is_row_of(struct span line, size_t columns)
{
	size_t blanks = 0;

	for (size_t i = 0; i < line.n; i++)
		blanks += line.p[i] == ' ';
	return blanks + 1 == columns;
}

/* servers(text) -> the rows of `show servers state`: its columns, and `admin` and
 * `operational` in words */
int lreply_servers(lua_State *L)
{
	struct span rest = args_text(L, 1), line;
	const char *begin = rest.p;
	struct reply_columns columns;

	lua_settop(L, 1);
	if (reply_columns(&rest, &columns) < 0)
		return fields_mismatch(L, rest);
	push_row_metatable(L, &columns);
	lua_createtable(L, (int)(rest.n / 64), 0);
	for (lua_Integer row = 1; rest.n > 0; row++) {
		lua_Integer at = rest.p - begin;

		span_word(&rest, '\n', &line);
		if (line.n == 0)
			break;
		if (!is_row_of(line, columns.n))
			return fields_mismatch(L, line);
		lua_createtable(L, 0, 1);
		lua_pushinteger(L, at);
		lua_rawsetp(L, -2, &at_key);
		lua_pushvalue(L, 2);
		lua_setmetatable(L, -2);
		lua_rawseti(L, 3, row);
	}
	return 1;
}
