/* SPDX-License-Identifier: MIT
 *
 * lines.c - the table `haplua.lines`: the lines of a calendar (RFC 5545, 3.1). A calendar
 * may have a million of them, and few matter; lua/haplua/ical/text.lua reads those. */
#include "base/buf.h"
#include "luakit/types.h"

#include <ctype.h>
#include <stdbool.h>

enum { ARG_TEXT = 1, ARG_KNOWN, HEADS, VALUES, PLACES, SCRATCH };

/* The next line of a text: what stands between `*at` and the LF or the end. *at becomes
 * the beginning of the line after it. */
static struct span physical_line(const char **at, const char *end)
{
	const char *lf = memchr(*at, '\n', (size_t)(end - *at));
	struct span line = {*at, (size_t)((lf ? lf : end) - *at)};

	*at = lf ? lf + 1 : end;
	line.n -= line.n > 0 && line.p[line.n - 1] == '\r';
	return line;
}

/* The line at *at with the lines that continue it: those begin with a space or a tab, and
 * may follow empty lines. Such lines are joined in `scratch`, which has space for all. */
static struct span whole_line(const char **at, const char *end, char *scratch)
{
	struct span line = physical_line(at, end);

	for (;;) {
		const char *next = *at;

		while (next < end && (*next == '\r' || *next == '\n'))
			next++;
		if (next == end || next[-1] != '\n' || (*next != ' ' && *next != '\t'))
			return line;
		*at = next + 1;
		struct span more = physical_line(at, end);

		if (line.p != scratch) /* else each part would copy all before it */
			line.p = memcpy(scratch, line.p, line.n);
		memcpy(scratch + line.n, more.p, more.n);
		line.n += more.n;
	}
}

/* The place of the colon before the value, after a name of n bytes. A time has no colon,
 * but a parameter before it may: TZID=GMT+01:00. Other values may have one; there, those
 * in quotes do not count. Returns the line's length where there is none. */
static size_t colon(struct span line, size_t n, bool is_time)
{
	size_t i = n;

	if (is_time && i < line.n && line.p[i] != ':') {
		const char *last = memrchr(line.p + n, ':', line.n - n);

		return last ? (size_t)(last - line.p) : line.n;
	}
	for (; i < line.n && line.p[i] != ':'; i++) {
		const char *quote = line.p[i] == '"'
					    ? memchr(line.p + i + 1, '"', line.n - i - 1)
					    : NULL;

		i = quote ? (size_t)(quote - line.p) : i;
	}
	return i;
}

/* The length of the name that a line begins with; 0: it is no property. */
static size_t name_length(struct span line)
{
	size_t n = 0;

	while (n < line.n && (isalpha((unsigned char)line.p[n]) || line.p[n] == '-'))
		n++;
	return n == line.n || line.p[n] == ':' || line.p[n] == ';' ? n : 0;
}

/* Push what stands behind a line's colon, without the space around it. */
static void push_value(lua_State *L, struct span line, size_t at)
{
	if (at == line.n) {
		lua_pushboolean(L, false);
		return;
	}
	while (isspace((unsigned char)line.p[line.n - 1]))
		line.n--;
	for (at++; at < line.n && isspace((unsigned char)line.p[at]);)
		at++;
	lua_pushlstring(L, line.p + at, line.n - at);
}

/* lines.known(text, known) -> heads, values, places: three lists of the lines that begin
 * with a name for which `known` has "text" or "time". A head is what stands before the
 * colon. A value has no space around it; it is false where there is no colon. A place is
 * the index of the line's first byte. */
static int lines_known(lua_State *L)
{
	size_t length;
	const char *text = luaL_checklstring(L, ARG_TEXT, &length), *at = text;
	const char *end = text + length;

	luaL_checktype(L, ARG_KNOWN, LUA_TTABLE);
	lua_settop(L, ARG_KNOWN);
	for (int list = HEADS; list <= PLACES; list++)
		lua_newtable(L);
	char *scratch = lua_newuserdatauv(L, length, 0);

	for (lua_Integer i = 1; at < end;) {
		const char *place = at;

		if (!isalpha((unsigned char)*at)) {
			physical_line(&at, end);
			continue;
		}
		struct span line = whole_line(&at, end, scratch);
		size_t n = name_length(line);

		lua_pushlstring(L, line.p, n);
		lua_gettable(L, ARG_KNOWN);
		const char *kind = lua_tostring(L, -1);
		size_t head = kind ? colon(line, n, strcmp(kind, "time") == 0) : 0;

		lua_pop(L, 1);
		if (!kind)
			continue;
		lua_pushlstring(L, line.p, head);
		lua_rawseti(L, HEADS, i);
		push_value(L, line, head);
		lua_rawseti(L, VALUES, i);
		lua_pushinteger(L, place - text + 1);
		lua_rawseti(L, PLACES, i++);
	}
	lua_settop(L, PLACES);
	return 3;
}

static const luaL_Reg library[] = {{"known", lines_known}, {NULL, NULL}};

int luaopen_haplua_lines(lua_State *L)
{
	luaL_newlib(L, library);
	return 1;
}
