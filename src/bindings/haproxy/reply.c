/* SPDX-License-Identifier: MIT
 *
 * reply.c - the table `haplua.reply`: checked reply texts to Lua tables.
 * Fields have HAProxy's names; numbers are integers; what HAProxy leaves empty is nil. */
#include "base/err.h"
#include "base/tally.h"
#include "luakit/args.h"
#include "luakit/error.h"
#include "luakit/types.h"
#include "bindings/haproxy/fields.h"

#define TALLY_BOX "haplua.Tally"

/* Push the metatable of rows that may have these fields; made at the first call. [-0, +1]
 */
static void push_metatable(lua_State *L, const char *const *fields)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, fields) == LUA_TTABLE)
		return;
	lua_pop(L, 1);
	lua_newtable(L);
	for (const char *const *name = fields; *name; name++) {
		lua_pushboolean(L, true);
		lua_setfield(L, -2, *name);
	}
	fields_call(L, "metatable");
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, fields);
}

/* Add the row on the top to the list below it, with the metatable at 2. [-1, +0] */
static void add_row(lua_State *L, lua_Integer n)
{
	lua_pushvalue(L, 2);
	lua_setmetatable(L, -2);
	lua_rawseti(L, 3, n);
}

static void set_text(lua_State *L, const char *field, struct span s)
{
	fields_push_text(L, s);
	lua_setfield(L, -2, field);
}

static void set_integer(lua_State *L, const char *field, int64_t i)
{
	lua_pushinteger(L, i);
	lua_setfield(L, -2, field);
}

/* lists(text) -> {{id=, file=, text=, curr_ver=, next_ver=, entry_cnt=}, ...} */
static int lreply_lists(lua_State *L)
{
	static const char *const fields[] = {"id",       "file",      "text", "curr_ver",
					     "next_ver", "entry_cnt", NULL};
	struct span rest = args_text(L, 1);
	struct reply_list list;
	int rc;

	lua_settop(L, 1);
	push_metatable(L, fields);
	lua_newtable(L);
	for (lua_Integer n = 1; (rc = reply_list_next(&rest, &list)) > 0; n++) {
		lua_createtable(L, 0, 6);
		set_integer(L, "id", list.id);
		if (list.file.n > 0)
			set_text(L, "file", list.file);
		set_text(L, "text", list.text);
		if (list.versioned) {
			set_integer(L, "curr_ver", list.current);
			set_integer(L, "next_ver", list.upcoming);
			set_integer(L, "entry_cnt", list.entries);
		}
		add_row(L, n);
	}
	return rc < 0 ? fields_mismatch(L, rest) : 1;
}

/* matches(text) -> a list, one row for each match method that uses the list:
 * {type=, case=, found=, pattern=, index=, value=}; pattern is nil where nothing matched.
 */
static int lreply_matches(lua_State *L)
{
	static const char *const fields[] = {"type",  "case",  "found", "pattern",
					     "index", "value", NULL};
	struct span rest = args_text(L, 1);
	struct reply_match match;
	int rc;

	lua_settop(L, 1);
	push_metatable(L, fields);
	lua_newtable(L);
	for (lua_Integer n = 1; (rc = reply_match_next(&rest, &match)) > 0; n++) {
		lua_createtable(L, 0, 6);
		set_text(L, "type", match.type);
		set_text(L, "case", match.sensitivity);
		lua_pushboolean(L, match.found);
		lua_setfield(L, -2, "found");
		if (match.found) {
			set_text(L, "index", match.index);
			set_text(L, "pattern", match.pattern);
			if (match.is_map)
				set_text(L, "value", match.value);
		}
		add_row(L, n);
	}
	return rc < 0 ? fields_mismatch(L, rest) : 1;
}

/* pairs(text) -> {Name = value, ...}, for `show info`. An unknown name raises. */
static int lreply_pairs(lua_State *L)
{
	args_text(L, 1);
	lua_settop(L, 1);
	fields_call(L, "pairs");
	return 1;
}

/* keys(text) -> {pattern, ...}, of an ACL */
static int lreply_keys(lua_State *L)
{
	struct span rest = args_text(L, 1);
	struct reply_entry entry;
	int rc;

	lua_settop(L, 1);
	lua_newtable(L);
	for (lua_Integer n = 1; (rc = reply_entry_next(&rest, &entry)) > 0; n++) {
		fields_push_text(L, entry.pattern);
		lua_rawseti(L, 2, n);
	}
	return rc < 0 ? fields_mismatch(L, rest) : 1;
}

/* entries(text) -> {pattern, ...}, {reference, ...}
 * With a true second argument, for maps: {key, ...}, {reference, ...}, {value, ...} */
static int lreply_entries(lua_State *L)
{
	struct span rest = args_text(L, 1), key, value;
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
			fields_push_text(L, value);
			lua_rawseti(L, 4, n);
		}
		fields_push_text(L, key);
		lua_rawseti(L, 2, n);
		fields_push_text(L, entry.ref);
		lua_rawseti(L, 3, n);
	}
	lua_settop(L, map ? 4 : 3);
	return rc < 0 ? fields_mismatch(L, rest) : map ? 3 : 2;
}

/* Push the i-th wanted entry, and what lies behind it: its key, and its value where there
 * is a list of them. False: it is no text. [-0, +2] */
static bool push_wanted(lua_State *L, lua_Integer i, struct span *key, struct span *value)
{
	bool valued = !lua_isnil(L, 3);

	lua_geti(L, 2, i);
	key->p = lua_tolstring(L, -1, &key->n);
	if (valued)
		lua_geti(L, 3, i);
	else
		lua_pushnil(L);
	value->p = lua_tolstring(L, -1, &value->n);
	return key->p && (!valued || value->p);
}

/* Cut the entries off the front of *rest that are, in this order, the first ones wanted,
 * and return how many they are. [-0, +0] */
static lua_Integer cut_same(lua_State *L, struct span *rest, lua_Integer n)
{
	struct span next = *rest, key, value;
	struct reply_entry entry;
	lua_Integer i;
	bool same = true;
	int rc = 1, top = lua_gettop(L);

	for (i = 0; same && (rc = reply_entry_next(&next, &entry)) > 0 && i < n;
	     i += same) {
		same = push_wanted(L, i + 1, &key, &value) &&
		       tally_equal(entry.pattern, key, value);
		lua_settop(L, top);
		if (same)
			*rest = next;
	}
	if (rc < 0)
		fields_mismatch(L, next);
	return i;
}

/* same(text, keys [, values]) -> are the entries of `show acl|map REF` just these, in
 * this order? */
static int lreply_same(lua_State *L)
{
	struct span rest = args_text(L, 1);
	lua_Integer n = args_length(L, 2, "keys");

	lua_settop(L, 3);
	lua_pushboolean(L, cut_same(L, &rest, n) == n && rest.n == 0);
	return 1;
}

static int tally_close(lua_State *L)
{
	tally_free(luaL_checkudata(L, 1, TALLY_BOX));
	return 0;
}

/* Count the entries of a dump; there are no more than lines. Returns how many there are.
 */
static lua_Integer count(lua_State *L, struct tally *t, struct span rest)
{
	struct span look = rest, line;
	struct reply_entry entry;
	lua_Integer n = 0;
	size_t lines = 1;
	int rc;

	while (span_line(&look, &line))
		lines++;
	if (tally_start(t, lines) < 0)
		error_raise(L, HAP_ENOMEM, NULL);
	for (; (rc = reply_entry_next(&rest, &entry)) > 0; n++)
		tally_add(t, entry.pattern);
	if (rc < 0)
		fields_mismatch(L, rest);
	tally_count(t);
	return n;
}

/* compare(text, keys [, values]) -> how many of these entries the list lacks, and how
 * many others it has, in whatever order. Duplicates count. */
static int lreply_compare(lua_State *L)
{
	struct span rest = args_text(L, 1), key, value;
	lua_Integer n = args_length(L, 2, "keys"), first, matched = 0, there = 0;

	lua_settop(L, 3);
	struct tally *t = types_push(L, TALLY_BOX, sizeof *t, 0);

	lua_toclose(L, 4);
	first = cut_same(L, &rest, n);
	if (rest.n > 0)
		there = count(L, t, rest);
	for (lua_Integer i = first + 1; there > 0 && i <= n; i++) {
		if (push_wanted(L, i, &key, &value))
			matched += tally_take(t, key, value);
		lua_settop(L, 4);
	}
	lua_pushinteger(L, n - first - matched);
	lua_pushinteger(L, there - matched);
	return 2;
}

static const luaL_Reg library[] = {
	{"lists", lreply_lists},
	{"entries", lreply_entries},
	{"matches", lreply_matches},
	{"rows", lreply_rows},
	{"pairs", lreply_pairs},
	{"sessions", lreply_sessions},
	{"same", lreply_same},
	{"compare", lreply_compare},
	{"servers", lreply_servers},
	{"keys", lreply_keys},
	{NULL, NULL},
};

int luaopen_haplua_reply(lua_State *L)
{
	types_box(L, TALLY_BOX, tally_close);
	luaL_newlib(L, library);
	return 1;
}
