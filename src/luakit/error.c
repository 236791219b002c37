/* SPDX-License-Identifier: MIT
 *
 * error.c - error objects, their text, and tracebacks without the host's lines. */
#include "luakit/error.h"
#include "base/err.h"
#include "base/typo.h"
#include "luakit/types.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 300
/* A traceback has so many calls of its top, and so many of its bottom. */
#define TRACE_HALF 15

void error_push_visible(lua_State *L, struct span s, size_t max)
{
	luaL_Buffer b;

	while (s.n > 0 && s.p[s.n - 1] == '\n')
		s.n--;
	luaL_buffinit(L, &b);
	for (size_t i = 0, n; i < s.n; i += n) {
		char hex[5];

		if (i >= max) {
			luaL_addstring(&b, "...");
			break;
		}
		n = span_printable((struct span){s.p + i, s.n - i});
		luaL_addlstring(&b, s.p + i, n);
		if (n > 0)
			continue;
		n = 1;
		if (s.p[i] == '\n')
			luaL_addstring(&b, "\\n");
		else
			luaL_addlstring(
				&b, hex,
				(size_t)sprintf(hex, "\\x%02x", (unsigned char)s.p[i]));
	}
	luaL_pushresult(&b);
}

/* The text, from the fields of the object at index 1. */

/* Push the first line of a field that is not empty, made visible, between two texts; ""
 * where there is none. HAProxy's reply may begin with empty lines, for commands that it
 * carried out, and goes on with its whole help where it does not know a command. [-0, +1]
 */
static void push_field(lua_State *L, const char *before, const char *name,
		       const char *after)
{
	lua_getfield(L, 1, name);
	size_t n = 0;
	const char *p = lua_tolstring(L, -1, &n);

	for (; n > 0 && *p == '\n'; n--)
		p++;
	if (n == 0) {
		lua_pop(L, 1);
		lua_pushliteral(L, "");
		return;
	}
	const char *end = memchr(p, '\n', n);

	error_push_visible(L, (struct span){p, end ? (size_t)(end - p) : n}, SHOWN_MAX);
	lua_pushfstring(L, "%s%s%s", before, lua_tostring(L, -1), after);
	lua_replace(L, -3);
	lua_pop(L, 1);
}

/* Push a clause about changes that may have been carried out, or "". [-0, +1] */
static void push_doubt(lua_State *L)
{
	lua_getfield(L, 1, "in_doubt");
	lua_Integer n = lua_tointeger(L, -1);

	lua_pop(L, 1);
	if (n == 1)
		lua_pushliteral(L, "; the change may have been carried out");
	else if (n > 1)
		lua_pushfstring(L, "; the %I changes may have been carried out, or some",
				n);
	else
		lua_pushliteral(L, "");
}

/* __tostring: "'COMMAND' at TARGET: MESSAGE: REPLY", without what is not known. */
static int error_tostring(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	push_field(L, "'", "command", "' at ");
	push_field(L, "", "target", ": ");
	push_field(L, "", "message", "");
	push_field(L, ": ", "reply", "");
	push_doubt(L);
	lua_concat(L, 5);
	return 1;
}

bool error_is(lua_State *L, int index)
{
	bool is = false;

	if (lua_istable(L, index) && lua_getmetatable(L, index)) {
		luaL_getmetatable(L, ERROR_OBJECT);
		is = lua_rawequal(L, -1, -2);
		lua_pop(L, 2);
	}
	return is;
}

static int lerror_is(lua_State *L)
{
	lua_pushboolean(L, error_is(L, 1));
	return 1;
}

/* The fields that an error object may have: strings, then integers. */
static const char *const field_names[] = {
	"kind",     "message", "command", "reply",  "target", "code",
	"phase",    "look",    "advice",  "signal", "index",  "done",
	"in_doubt", "column",  "line",    "exit",   NULL};
enum { FIRST_INTEGER = 9 };

int error_unknown(lua_State *L, const char *what, const char *name, const void *known,
		  size_t size)
{
	const char *nearest = typo_nearest(name, known, size);

	return error_misuse(
		L, nearest ? "unknown %s '%s'; did you mean '%s'?" : "unknown %s '%s'",
		what, name, nearest);
}

static void check_kind(lua_State *L, const char *name)
{
	if (!err_kind_find(name))
		error_unknown(L, "kind", name, error_kinds, sizeof *error_kinds);
}

/* Raise where the key at -2 and the value at -1 are no field of an error object. */
static void check_field(lua_State *L)
{
	if (lua_type(L, -2) != LUA_TSTRING)
		error_misuse(L, "a field's name is a string, not a %s",
			     luaL_typename(L, -2));
	const char *name = lua_tostring(L, -2);
	const char *const *field = typo_exact(name, field_names, sizeof *field_names);

	if (!field)
		error_unknown(L, "field", name, field_names, sizeof *field_names);
	bool is_integer = field - field_names >= FIRST_INTEGER;

	if (is_integer ? !lua_isinteger(L, -1) : lua_type(L, -1) != LUA_TSTRING)
		error_misuse(L, "%s: %s expected, got %s", name,
			     is_integer ? "an integer" : "a string",
			     luaL_typename(L, -1));
}

/* new{kind=, message=, ...} -> the table itself, made an error object. Raises where the
 * kind is not registered or a field is unknown or of the wrong type. */
static int error_new(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
		check_field(L);
	lua_pushliteral(L, "kind");
	if (lua_rawget(L, 1) == LUA_TNIL)
		error_misuse(L, "kind: a string expected, got nil");
	check_kind(L, lua_tostring(L, -1));
	lua_settop(L, 1);
	luaL_setmetatable(L, ERROR_OBJECT);
	return 1;
}

/* Raise the error object of this kind from the message and the advice (or nil) at `index`
 * and behind. */
static int raise_kind(lua_State *L, const char *kind, int index)
{
	luaL_checktype(L, index, LUA_TSTRING);
	if (!lua_isnoneornil(L, index + 1))
		luaL_checktype(L, index + 1, LUA_TSTRING);
	lua_settop(L, index + 1);
	lua_createtable(L, 0, 3);
	lua_insert(L, index);
	lua_setfield(L, index, "advice");
	lua_setfield(L, index, "message");
	lua_pushstring(L, kind);
	lua_setfield(L, index, "kind");
	luaL_setmetatable(L, ERROR_OBJECT);
	return lua_error(L);
}

/* raise(kind, message [, advice]) */
static int error_raise_kind(lua_State *L)
{
	const char *kind = luaL_checkstring(L, 1);

	check_kind(L, kind);
	return raise_kind(L, kind, 2);
}

/* refuse(message [, advice]) */
static int error_refuse(lua_State *L)
{
	return raise_kind(L, "refused", 1);
}

/* nearest(word, candidates) -> the candidate of the list that was meant, or nil */
static int error_nearest(lua_State *L)
{
	struct span typed, nearest = {NULL, 0}, candidate;
	size_t edits, least_edits = TYPO_FAR;

	typed.p = luaL_checklstring(L, 1, &typed.n);
	luaL_checktype(L, 2, LUA_TTABLE);
	for (lua_Integer i = 1; lua_rawgeti(L, 2, i) == LUA_TSTRING; i++) {
		candidate.p = lua_tolstring(L, -1, &candidate.n);
		edits = typo_distance(typed, candidate);
		if (edits < least_edits) {
			least_edits = edits;
			nearest = candidate; /* the list goes on holding it */
		}
		lua_pop(L, 1);
	}
	if (nearest.p)
		lua_pushlstring(L, nearest.p, nearest.n);
	else
		lua_pushnil(L);
	return 1;
}

/* visible(text) -> the text with control bytes as "\\n" and "\\x1b", so that a pattern
 * cannot control the terminal */
static int error_visible(lua_State *L)
{
	struct span text;

	text.p = luaL_checklstring(L, 1, &text.n);
	error_push_visible(L, text, SIZE_MAX);
	return 1;
}

/* Push the list of all kinds. [-0, +1] */
static void push_kinds(lua_State *L)
{
	lua_newtable(L);
	for (lua_Integer i = 0; error_kinds[i].name; i++) {
		lua_createtable(L, 0, 3);
		types_set_text(L, "name", error_kinds[i].name);
		types_set_text(L, "meaning", error_kinds[i].meaning);
		lua_pushinteger(L, error_kinds[i].exit);
		lua_setfield(L, -2, "exit");
		lua_rawseti(L, -2, i + 1);
	}
}

int luaopen_haplua_error(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"is", lerror_is},
		{"new", error_new},
		{"raise", error_raise_kind},
		{"refuse", error_refuse},
		{"nearest", error_nearest},
		{"visible", error_visible},
		{NULL, NULL},
	};

	luaL_newmetatable(L, ERROR_OBJECT);
	lua_pushcfunction(L, error_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pop(L, 1);
	luaL_newlib(L, functions);
	push_kinds(L);
	lua_setfield(L, -2, "kinds");
	return 1;
}

/* What has not happened in time, by the phase; words that end before the seconds. */
static const char *timed_out(const struct error_about *about)
{
	static const struct {
		const char *phase, *text;
	} phases[] = {
		{"queue", "no connection came free within"},
		{"resolve", "the name was not resolved within"},
		{"connect", "no connection within"},
		{"write", "the request was not taken within"},
	};

	for (size_t i = 0; about->phase && i < sizeof phases / sizeof *phases; i++)
		if (strcmp(phases[i].phase, about->phase) == 0)
			return phases[i].text;
	return "no answer within";
}

static void set_span(lua_State *L, const char *name, struct span s)
{
	if (!s.p)
		return;
	lua_pushlstring(L, s.p, s.n);
	lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, size_t value)
{
	if (value == 0)
		return;
	lua_pushinteger(L, (lua_Integer)value);
	lua_setfield(L, -2, name);
}

static void set_message(lua_State *L, int rc, const struct error_about *about)
{
	char text[64];
	const char *message = text;

	if (rc == HAP_ETIMEOUT && about->seconds > 0 && about->command.p)
		snprintf(text, sizeof text, "%s %g s", timed_out(about), about->seconds);
	else if (rc == HAP_ETIMEOUT && about->seconds > 0)
		snprintf(text, sizeof text, "the deadline of %g s is over",
			 about->seconds);
	else if (rc == HAP_ELIMIT && about->limit > 0)
		snprintf(text, sizeof text, "the answer is over %zu bytes (--max-reply)",
			 about->limit);
	else if (rc == HAP_EINTERRUPTED && about->signal)
		snprintf(text, sizeof text, "interrupted by SIG%s",
			 sigabbrev_np(about->signal));
	else
		message = err_text(rc);
	types_set_text(L, "message", message);
}

void error_push(lua_State *L, int rc, const struct error_about *about)
{
	static const struct error_about nothing;

	if (!about)
		about = &nothing;
	luaL_checkstack(L, 4, NULL);
	lua_createtable(L, 0, 8);
	types_set_text(L, "kind", err_kind(rc));
	types_set_text(L, "code", rc > HAP_ENOMEM ? err_name(rc) : NULL);
	set_message(L, rc, about);
	set_span(L, "command", about->command);
	set_span(L, "reply", about->reply);
	types_set_text(L, "target", about->target);
	types_set_text(L, "phase", about->phase);
	set_integer(L, "signal", (size_t)about->signal);
	set_integer(L, "index", about->index);
	set_integer(L, "in_doubt", about->in_doubt);
	if (about->index)
		set_integer(L, "done", about->done);
	luaL_setmetatable(L, ERROR_OBJECT);
}

void error_in_doubt(lua_State *L, int index, size_t in_doubt)
{
	if (!error_is(L, index))
		return;
	if (lua_getfield(L, index, "command") == LUA_TNIL) {
		lua_pushinteger(L, (lua_Integer)in_doubt);
		lua_setfield(L, index, "in_doubt");
	}
	lua_pop(L, 1);
}

int error_raise(lua_State *L, int rc, const struct error_about *about)
{
	error_push(L, rc, about);
	return lua_error(L);
}

/* Is it a frame of a script, from a file, standard input or -e; not C, and no module that
 * is compiled in? */
static bool is_script(const lua_Debug *ar)
{
	return ar->source[0] == '@' || strcmp(ar->source, "=stdin") == 0 ||
	       strcmp(ar->source, "=-e") == 0;
}

/* Push "file:line: CALL: " of the place where the script called the host or its library,
 * without what is not known. [-0, +1] */
static void push_where(lua_State *L)
{
	lua_Debug ar, inner = {0};

	for (int level = 0; lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "Sln", &ar);
		if (is_script(&ar) && ar.currentline > 0) {
			lua_pushfstring(L, "%s:%d: %s%s", ar.short_src, ar.currentline,
					inner.name ? inner.name : "",
					inner.name ? ": " : "");
			return;
		}
		/* A function that pcall() calls has pcall's name, a metamethod its
		 * event's. */
		if (ar.name &&
		    (strstr(ar.name, "pcall") || strcmp(ar.namewhat, "metamethod") == 0))
			ar.name = NULL;
		inner = ar;
	}
	lua_pushliteral(L, "");
}

int error_misuse(lua_State *L, const char *format, ...)
{
	va_list args;

	luaL_checkstack(L, 8, NULL);
	push_where(L);
	va_start(args, format);
	lua_pushvfstring(L, format, args);
	va_end(args);
	lua_concat(L, 2);
	return lua_error(L);
}

/* Add the line of a traceback for a frame of a script. */
static void add_frame(luaL_Buffer *b, const lua_Debug *ar)
{
	lua_State *L = b->L;

	lua_pushfstring(L, "\n    %s:%d: in ", ar->short_src, ar->currentline);
	luaL_addvalue(b);
	if (strcmp(ar->what, "main") == 0)
		lua_pushliteral(L, "the main chunk");
	else if (ar->name)
		lua_pushfstring(L, "%s '%s'", ar->namewhat, ar->name);
	else
		lua_pushfstring(L, "the function of line %d", ar->linedefined);
	luaL_addvalue(b);
}

/* The number of calls on the stack. A binary search: lua_getstack() takes as many steps
 * as there are frames above. */
static int count_frames(lua_State *of)
{
	lua_Debug ar;
	int low = 0, high = 1;

	while (lua_getstack(of, high, &ar)) {
		low = high;
		high *= 2;
	}
	while (low < high) {
		int middle = (low + high) / 2;

		if (lua_getstack(of, middle, &ar))
			low = middle + 1;
		else
			high = middle;
	}
	return high;
}

void error_traceback(lua_State *L, lua_State *of)
{
	int n = count_frames(of);
	lua_Debug ar;
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	for (int level = 0; level < n && lua_getstack(of, level, &ar); level++) {
		if (level == TRACE_HALF && n - level > TRACE_HALF) {
			level = n - TRACE_HALF;
			luaL_addstring(&b, "\n    ...");
			continue;
		}
		lua_getinfo(of, "Sln", &ar);
		if (is_script(&ar))
			add_frame(&b, &ar);
	}
	luaL_pushresult(&b);
}
