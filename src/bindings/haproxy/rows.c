/* SPDX-License-Identifier: MIT
 *
 * rows.c - the answers with thousands of rows, which are read when a script uses them:
 * `show servers state`, `show servers conn`, `show stat`, `show sess`.
 * A script mostly uses few fields of few rows. So a row is a table that holds where it
 * begins in the answer, and __index reads a field from there; pairs() fills the row
 * first.
 */
#include "bindings/haproxy/fields.h"
#include "luakit/args.h"

#include <lauxlib.h>

/* Key of the place of a row in the answer. Its address is a key that no script can make.
 */
static const char at_key;

/* Upvalues of a row's metamethods; sessions have the first alone. */
enum { UP_DUMP = 1, UP_COLUMNS, UP_MISSING, UP_SEPARATOR };

/* How the field of a column becomes a value. A table has, for each name, the number of
 * its column times KINDS, and this. */
enum kind { AS_IT_LOOKS, TEXT, ADMIN, OPERATIONAL, LIST, KINDS };

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

/* Add a row that begins at this place of the answer to the list at 3; its metatable is at
 * 2. [-0, +0] */
static void add_row(lua_State *L, lua_Integer row, lua_Integer at)
{
	lua_createtable(L, 0, 1);
	lua_pushinteger(L, at);
	lua_rawsetp(L, -2, &at_key);
	lua_pushvalue(L, 2);
	lua_setmetatable(L, -2);
	lua_rawseti(L, 3, row);
}

/* The answer from the row at index 1 on; {NULL, 0} for a row that pairs() has filled. */
static struct span row_text(lua_State *L)
{
	struct span dump, text = {NULL, 0};

	dump.p = lua_tolstring(L, lua_upvalueindex(UP_DUMP), &dump.n);
	if (lua_rawgetp(L, 1, &at_key) == LUA_TNUMBER) {
		lua_Integer at = lua_tointeger(L, -1);

		text = (struct span){dump.p + at, dump.n - (size_t)at};
	}
	lua_pop(L, 1);
	return text;
}

/* Return next, the row, nil: the row at index 1 has its fields now. */
static int push_next(lua_State *L)
{
	lua_pushnil(L);
	lua_rawsetp(L, 1, &at_key);
	lua_settop(L, 1);
	lua_getglobal(L, "next");
	lua_insert(L, 1);
	lua_pushnil(L);
	return 3;
}

/* Rows with columns. */

/* Push a list of the fields from this one on. [-0, +1] */
static void push_list(lua_State *L, struct span text, char sep, size_t column)
{
	struct span field;

	lua_newtable(L);
	for (lua_Integer i = 1; reply_field_at(text, sep, column, &field);
	     i++, column++) {
		fields_push(L, field);
		lua_rawseti(L, -2, i);
	}
}

static void push_unquoted(lua_State *L, struct span field)
{
	luaL_Buffer b;
	char *plain = luaL_buffinitsize(L, &b, field.n);

	luaL_pushresultsize(&b, reply_unquote(plain, field));
}

/* Push the field of a column, which is a number as in UP_COLUMNS. [-0, +1] */
static void push_row_field(lua_State *L, struct span text, lua_Integer column)
{
	char sep = (char)lua_tointeger(L, lua_upvalueindex(UP_SEPARATOR));
	enum kind kind = (enum kind)(column % KINDS);
	struct span field;
	int64_t state = 0;

	if (kind == LIST)
		push_list(L, text, sep, (size_t)(column / KINDS));
	else if (!reply_field_at(text, sep, (size_t)(column / KINDS), &field))
		lua_pushnil(L);
	else if (sep == ',' && span_begins(field, "\""))
		push_unquoted(L, field);
	else if (kind == TEXT)
		fields_push_given(L, field);
	else if (kind == AS_IT_LOOKS)
		fields_push(L, field);
	else if (!reply_integer(field, &state))
		lua_pushnil(L);
	else if (kind == ADMIN)
		push_admin(L, state);
	else
		push_operational(L, state);
}

static int row_index(lua_State *L)
{
	struct span text = row_text(L);

	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(UP_COLUMNS)) != LUA_TNUMBER) {
		lua_settop(L, 2);
		lua_pushvalue(L, lua_upvalueindex(UP_MISSING));
		lua_insert(L, 1);
		lua_call(L, 2, 0);
		return 0;
	}
	if (!text.p)
		return 0; /* pairs() has left it out, as HAProxy leaves it empty */
	push_row_field(L, text, lua_tointeger(L, -1));
	return 1;
}

/* Fill the row, which then holds its fields as any table does. */
static int row_pairs(lua_State *L)
{
	struct span text = row_text(L);

	lua_settop(L, 1);
	lua_pushnil(L);
	while (text.p && lua_next(L, lua_upvalueindex(UP_COLUMNS))) {
		lua_pushvalue(L, -2);
		push_row_field(L, text, lua_tointeger(L, -2));
		lua_rawset(L, 1);
		lua_pop(L, 1);
	}
	return push_next(L);
}

static void set_column(lua_State *L, struct span name, size_t column, enum kind kind)
{
	fields_push_text(L, name);
	lua_pushinteger(L, (lua_Integer)(column * KINDS + kind));
	lua_rawset(L, -3);
}

/* Push a table from a field's name to its column. "idle_per_thr[4]", the last one, stands
 * for one field a thread. [-0, +1] */
static void push_columns(lua_State *L, const struct reply_columns *columns)
{
	lua_createtable(L, 0, (int)columns->n + 2);
	for (size_t i = 0; i < columns->n; i++) {
		struct span name = columns->name[i];
		const char *bracket = memchr(name.p, '[', name.n);
		bool list = bracket && i + 1 == columns->n;

		if (list)
			name.n = (size_t)(bracket - name.p);
		set_column(L, name, i,
			   list                   ? LIST
			   : fields_is_text(name) ? TEXT
						  : AS_IT_LOOKS);
	}
}

/* Push the metatable of rows with the columns in the table on the top. [-1, +1] */
static void push_row_metatable(lua_State *L, char sep)
{
	static const luaL_Reg row_meta[] = {
		{"__index", row_index}, {"__pairs", row_pairs}, {NULL, NULL}};

	lua_pushvalue(L, -1);
	fields_call(L, "metatable");
	lua_insert(L, -2);
	lua_pushvalue(L, 1);
	lua_insert(L, -2);
	lua_getfield(L, -3, "__index"); /* raises where no field has this name */
	lua_pushinteger(L, sep);
	luaL_setfuncs(L, row_meta, UP_SEPARATOR);
}

/* rows(text) -> a list of tables by column name, for `show stat` (CSV) and `show servers
 * conn`. A field that is no column raises. */
int lreply_rows(lua_State *L)
{
	struct span rest = args_text(L, 1), fields[REPLY_COLUMNS_MAX];
	const char *begin = rest.p;
	struct reply_columns columns;
	size_t n;
	int rc = reply_columns(&rest, &columns);

	lua_settop(L, 1);
	if (rc < 0)
		return fields_mismatch(L, rest);
	push_columns(L, &columns);
	push_row_metatable(L, columns.sep);
	lua_newtable(L);
	for (lua_Integer row = 1;; row++) {
		lua_Integer at = rest.p - begin;

		rc = reply_row_next(&rest, &columns, fields, &n);
		if (rc <= 0)
			break;
		add_row(L, row, at);
	}
	return rc < 0 ? fields_mismatch(L, rest) : 1;
}

/* Has the line a field for each column? Values are read later, by their column. */
static bool is_row_of(struct span line, size_t columns)
{
	size_t blanks = 0;

	for (size_t i = 0; i < line.n; i++)
		blanks += line.p[i] == ' ';
	return blanks + 1 == columns;
}

/* Add the columns `admin` and `operational`, in words. */
static void add_words(lua_State *L, const struct reply_columns *columns)
{
	size_t admin = columns->n, operational = columns->n; /* there is none */

	for (size_t i = 0; i < columns->n; i++) {
		if (span_equal(columns->name[i], SPAN_LIT("srv_admin_state")))
			admin = i;
		if (span_equal(columns->name[i], SPAN_LIT("srv_op_state")))
			operational = i;
	}
	set_column(L, SPAN_LIT("admin"), admin, ADMIN);
	set_column(L, SPAN_LIT("operational"), operational, OPERATIONAL);
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
	push_columns(L, &columns);
	add_words(L, &columns);
	push_row_metatable(L, ' ');
	lua_createtable(L, (int)(rest.n / 64), 0);
	for (lua_Integer row = 1; rest.n > 0; row++) {
		lua_Integer at = rest.p - begin;

		span_word(&rest, '\n', &line);
		if (line.n == 0)
			break;
		if (!is_row_of(line, columns.n))
			return fields_mismatch(L, line);
		add_row(L, row, at);
	}
	return 1;
}

/* Sessions: each line names its fields. */

static int session_index(lua_State *L)
{
	struct span text = row_text(L), ref, fields, name, value, wanted;

	if (!text.p || lua_type(L, 2) != LUA_TSTRING)
		return 0;
	wanted.p = lua_tolstring(L, 2, &wanted.n);
	reply_session_next(&text, &ref, &fields);
	lua_pushnil(L);
	if (span_equal(wanted, SPAN_LIT("ref")))
		fields_push_text(L, ref);
	while (reply_field_next(&fields, &name, &value) > 0)
		if (span_equal(name, wanted)) {
			lua_settop(L, 2);
			fields_push_named(L, name, value);
		}
	return 1;
}

static int session_pairs(lua_State *L)
{
	struct span text = row_text(L), ref, fields, name, value;

	lua_settop(L, 1);
	if (text.p) {
		reply_session_next(&text, &ref, &fields);
		fields_push_text(L, ref);
		lua_setfield(L, 1, "ref");
		while (reply_field_next(&fields, &name, &value) > 0) {
			fields_push_text(L, name);
			fields_push_named(L, name, value);
			lua_rawset(L, 1);
		}
	}
	return push_next(L);
}

/* sessions(text) -> rows with ref, proto, fe, be, srv, age, ...: the fields differ by
 * version and row, and one that is not there is nil */
int lreply_sessions(lua_State *L)
{
	static const luaL_Reg session_meta[] = {
		{"__index", session_index}, {"__pairs", session_pairs}, {NULL, NULL}};
	struct span rest = args_text(L, 1), ref, fields;
	const char *begin = rest.p;

	lua_settop(L, 1);
	lua_createtable(L, 0, 3);
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_pushvalue(L, 1);
	luaL_setfuncs(L, session_meta, UP_DUMP);
	lua_createtable(L, (int)(rest.n / 256), 0);
	for (lua_Integer row = 1; reply_session_next(&rest, &ref, &fields) > 0; row++)
		add_row(L, row, ref.p - begin);
	return 1;
}
