/* SPDX-License-Identifier: MIT
 *
 * lua_reply.c - the table `haplua.reply`: checked reply texts to Lua tables.
 * Field names are HAProxy's own; numbers are integers; what HAProxy leaves empty is nil.
 */
#include "lua_reply.h"
#include "err.h"
#include "lua_error.h"
#include "lua_tables.h"

static struct span check_text(lua_State *L, int index)
{
	struct span s;

	s.p = luaL_checklstring(L, index, &s.n);
	return s;
}

static int raise_mismatch(lua_State *L, struct span rest)
{
	struct error_about about = {.reply = rest};

	return error_raise(L, HAP_EPROTOCOL, &about);
}

static void push_span(lua_State *L, struct span s)
{
	lua_pushlstring(L, s.n ? s.p : "", s.n);
}

/* A number becomes an integer, "-" and nothing at all become nil. */
static void push_value(lua_State *L, struct span s)
{
	int64_t i;

	if (s.n == 0 || (s.n == 1 && s.p[0] == '-'))
		lua_pushnil(L);
	else if (reply_integer(s, &i))
		lua_pushinteger(L, i);
	else
		push_span(L, s);
}

static void set_span(lua_State *L, const char *name, struct span s)
{
	push_span(L, s);
	lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, uint64_t i)
{
	lua_pushinteger(L, (lua_Integer)i);
	lua_setfield(L, -2, name);
}

/* lists(text) -> {{id=, file=, text=, curr_ver=, next_ver=, entry_cnt=}, ...} */
static int lreply_lists(lua_State *L)
{
	struct span rest = check_text(L, 1);
	struct reply_list list;
	int rc;

	lua_newtable(L);
	for (lua_Integer n = 1; (rc = reply_list_next(&rest, &list)) > 0; n++) {
		lua_createtable(L, 0, 6);
		set_integer(L, "id", (uint64_t)list.id);
		if (list.file.n)
			set_span(L, "file", list.file);
		set_span(L, "text", list.text);
		if (list.versioned) {
			set_integer(L, "curr_ver", list.curr_ver);
			set_integer(L, "next_ver", list.next_ver);
			set_integer(L, "entry_cnt", list.entry_cnt);
		}
		lua_rawseti(L, 2, n);
	}
	return rc < 0 ? raise_mismatch(L, rest) : 1;
}

/* entries(text) -> {pattern, ...}, {reference, ...}
 * With a true second argument, for maps: {key, ...}, {reference, ...}, {value, ...} */
static int lreply_entries(lua_State *L)
{
	struct span rest = check_text(L, 1), key, value;
	bool map = lua_toboolean(L, 2);
	struct reply_entry entry;
	int rc;

	lua_settop(L, 1);
	lua_newtable(L);
	lua_newtable(L);
	lua_newtable(L);
	for (lua_Integer n = 1; (rc = reply_entry_next(&rest, &entry)) > 0; n++) {
		key = entry.pattern;
		if (map) {
			reply_entry_pair(entry.pattern, &key, &value);
			push_span(L, value);
			lua_rawseti(L, 4, n);
		}
		push_span(L, key);
		lua_rawseti(L, 2, n);
		push_span(L, entry.ref);
		lua_rawseti(L, 3, n);
	}
	lua_settop(L, map ? 4 : 3);
	return rc < 0 ? raise_mismatch(L, rest) : map ? 3 : 2;
}

/* matches(text) -> a list, one row for each match method that uses the list:
 * {type=, case=, pattern=, index=, value=}; pattern is nil where nothing matched. */
static int lreply_matches(lua_State *L)
{
	struct span rest = check_text(L, 1);
	struct reply_match m;
	int rc;

	lua_newtable(L);
	for (lua_Integer n = 1; (rc = reply_match_next(&rest, &m)) > 0; n++) {
		lua_createtable(L, 0, 5);
		set_span(L, "type", m.type);
		lua_pushstring(L, m.sensitive ? "sensitive" : "insensitive");
		lua_setfield(L, -2, "case");
		lua_pushboolean(L, m.found);
		lua_setfield(L, -2, "found");
		if (m.found) {
			set_span(L, "pattern", m.pattern);
			set_span(L, "index", m.index);
		}
		if (m.found && m.map)
			set_span(L, "value", m.value);
		lua_rawseti(L, 2, n);
	}
	return rc < 0 ? raise_mismatch(L, rest) : 1;
}

static void push_field(lua_State *L, struct span field)
{
	struct buf *plain;

	if (field.n == 0 || field.p[0] != '"') {
		push_value(L, field);
		return;
	}
	plain = lua_newuserdatauv(L, sizeof *plain, 0);
	*plain = (struct buf){0};
	luaL_setmetatable(L, "haplua.Buf");
	if (reply_unquote(plain, field) < 0)
		error_raise(L, HAP_ENOMEM, NULL);
	push_span(L, buf_span(plain));
	buf_free(plain);
	lua_remove(L, -2);
}

static int buf_close(lua_State *L)
{
	buf_free(lua_touserdata(L, 1));
	return 0;
}

/* Set fields[i] under its column's name, which lies on the stack at 3 + i. [-0, +0] */
static void set_column(lua_State *L, const struct span *fields, size_t i)
{
	lua_pushvalue(L, 3 + (int)i);
	push_field(L, fields[i]);
	lua_rawset(L, -3);
}

/* "idle_per_thr[4]" stands for as many fields as there are threads: they become a list.
 */
static void set_list(lua_State *L, const struct reply_columns *columns,
		     const struct span *fields, size_t n)
{
	size_t first = columns->n - 1;

	push_span(L,
		  (struct span){columns->name[first].p,
				(size_t)((const char *)memchr(columns->name[first].p, '[',
							      columns->name[first].n) -
					 columns->name[first].p)});
	lua_newtable(L);
	for (size_t i = first; i < n; i++) {
		push_field(L, fields[i]);
		lua_rawseti(L, -2, (lua_Integer)(i - first + 1));
	}
	lua_rawset(L, -3);
}

/* rows(text) -> a list of tables by column name, for `show stat` (CSV) and `show servers
 * conn` */
static int lreply_rows(lua_State *L)
{
	struct span rest = check_text(L, 1);
	struct span fields[REPLY_COLUMNS_MAX];
	struct reply_columns columns;
	size_t n, plain;
	int rc = reply_columns(&rest, &columns);

	lua_settop(L, 1);
	lua_newtable(L);
	if (rc < 0)
		return raise_mismatch(L, rest);
	luaL_checkstack(L, (int)columns.n + 8, NULL);
	for (size_t i = 0; i < columns.n; i++)
		push_span(L, columns.name[i]);
	plain = columns.n;
	if (plain > 0 &&
	    memchr(columns.name[plain - 1].p, '[', columns.name[plain - 1].n))
		plain--;
	for (lua_Integer row = 1; (rc = reply_row_next(&rest, &columns, fields, &n)) > 0;
	     row++) {
		lua_createtable(L, 0, (int)columns.n);
		for (size_t i = 0; i < n && i < plain; i++)
			set_column(L, fields, i);
		if (plain < columns.n)
			set_list(L, &columns, fields, n);
		lua_rawseti(L, 2, row);
	}
	lua_settop(L, 2);
	return rc < 0 ? raise_mismatch(L, rest) : 1;
}

/* pairs(text) -> {Name = value, ...}, for `show info` */
static int lreply_pairs(lua_State *L)
{
	struct span rest = check_text(L, 1), name, value;
	int rc;

	lua_newtable(L);
	while ((rc = reply_pair_next(&rest, &name, &value)) > 0) {
		push_span(L, name);
		push_value(L, value);
		lua_rawset(L, 2);
	}
	return rc < 0 ? raise_mismatch(L, rest) : 1;
}

/* sessions(text) -> {{ref=, proto=, fe=, be=, srv=, age=, ...}, ...} */
static int lreply_sessions(lua_State *L)
{
	struct span rest = check_text(L, 1), ref, fields, name, value;
	int rc;

	lua_newtable(L);
	for (lua_Integer n = 1; (rc = reply_session_next(&rest, &ref, &fields)) > 0;
	     n++) {
		lua_createtable(L, 0, 16);
		set_span(L, "ref", ref);
		while (reply_field_next(&fields, &name, &value) > 0) {
			push_span(L, name);
			push_value(L, value);
			lua_rawset(L, -3);
		}
		lua_rawseti(L, 2, n);
	}
	return rc < 0 ? raise_mismatch(L, rest) : 1;
}

/* Servers: the longest lists there are, so their rows are made while they come, with
 * every name and every word of the two states interned once. */

enum { ADMIN_READY, ADMIN_DRAIN, ADMIN_MAINT, OP_FIRST, WORDS = OP_FIRST + 4 };

static const char *const words[WORDS] = {
	"ready",   "drain",    "maint", /* administrative */
	"stopped", "starting", "running",
	"stopping" /* operational, srv_op_state 0 to 3 */
};

/* Bits of srv_admin_state (server-t.h of HAProxy). 4 alone is no maintenance: it only
 * says that the configuration once asked for it. */
enum {
	FORCED_MAINT = 1,
	INHERITED_MAINT = 2,
	FORCED_DRAIN = 8,
	INHERITED_DRAIN = 16,
	RESOLVER_MAINT = 32,
};

static int admin_word(int64_t bits)
{
	if (bits & (FORCED_MAINT | INHERITED_MAINT | RESOLVER_MAINT))
		return ADMIN_MAINT;
	return bits & (FORCED_DRAIN | INHERITED_DRAIN) ? ADMIN_DRAIN : ADMIN_READY;
}

/* Stack from `names` on: "admin", "operational", the words, then the column names. */
static int column_index(const struct server_reader *r, size_t column)
{
	return r->names + 2 + WORDS + (int)column;
}

static void read_header(lua_State *L, struct server_reader *r,
			const struct reply_columns *columns)
{
	luaL_checkstack(L, (int)columns->n + WORDS + 12, NULL);
	r->names = lua_gettop(L) + 1;
	r->n = r->admin = r->op = columns->n;
	lua_pushliteral(L, "admin");
	lua_pushliteral(L, "operational");
	for (int i = 0; i < WORDS; i++)
		lua_pushstring(L, words[i]);
	for (size_t i = 0; i < columns->n; i++) {
		push_span(L, columns->name[i]);
		if (span_equal(columns->name[i], SPAN_LIT("srv_admin_state")))
			r->admin = i;
		if (span_equal(columns->name[i], SPAN_LIT("srv_op_state")))
			r->op = i;
	}
}

static void set_word(lua_State *L, const struct server_reader *r, int key, int word)
{
	lua_pushvalue(L, r->names + key);
	lua_pushvalue(L, r->names + 2 + word);
	lua_rawset(L, -3);
}

static void push_row(lua_State *L, const struct server_reader *r,
		     const struct span *fields, size_t n)
{
	int64_t state;

	lua_createtable(L, 0, (int)r->n + 2);
	for (size_t i = 0; i < n && i < r->n; i++) {
		if (fields[i].n == 1 && fields[i].p[0] == '-')
			continue;
		lua_pushvalue(L, column_index(r, i));
		push_value(L, fields[i]);
		lua_rawset(L, -3);
	}
	if (r->admin < n && reply_integer(fields[r->admin], &state))
		set_word(L, r, 0, admin_word(state));
	if (r->op < n && reply_integer(fields[r->op], &state) && state >= 0 && state < 4)
		set_word(L, r, 1, OP_FIRST + (int)state);
}

/* The format line and the header, once both have come whole. */
static bool read_head(lua_State *L, struct server_reader *r, struct span *rest)
{
	struct reply_columns columns;
	struct span look = *rest, line;

	if (!span_line(&look, &line) || !span_line(&look, &line))
		return false;
	if (reply_columns(rest, &columns) < 0)
		raise_mismatch(L, *rest);
	read_header(L, r, &columns);
	return true;
}

void lua_reply_servers(lua_State *L, struct server_reader *r, struct span reply, int list)
{
	struct span fields[REPLY_COLUMNS_MAX];
	struct reply_columns columns = {.sep = ' '};
	const char *end =
		reply.n > r->at ? memrchr(reply.p + r->at, '\n', reply.n - r->at) : NULL;
	size_t n;
	int rc;

	if (!end)
		return;
	struct span rest = {reply.p + r->at, (size_t)(end - reply.p) + 1 - r->at};

	if (r->n == 0 && !read_head(L, r, &rest))
		return;
	columns.n = r->n;
	while ((rc = reply_row_next(&rest, &columns, fields, &n)) > 0) {
		push_row(L, r, fields, n);
		lua_rawseti(L, list, (lua_Integer)++r->rows);
	}
	if (rc < 0)
		raise_mismatch(L, rest);
	r->at = (size_t)(end - reply.p) + 1;
}

static const luaL_Reg library[] = {
	{"lists", lreply_lists},
	{"entries", lreply_entries},
	{"matches", lreply_matches},
	{"rows", lreply_rows},
	{"pairs", lreply_pairs},
	{"sessions", lreply_sessions},
	{NULL, NULL},
};

int luaopen_haplua_reply(lua_State *L)
{
	lua_table_box(L, "haplua.Buf", buf_close);
	luaL_newlib(L, library);
	return 1;
}
