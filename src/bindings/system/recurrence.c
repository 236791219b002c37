/* SPDX-License-Identifier: MIT
 *
 * recurrence.c - the table `haplua.recurrence`: the days that an RFC 5545 recurrence
 * rule gives, by libical. It is opened when a script first asks for a rule, and not
 * linked: most scripts never ask, and libical brings ICU's tables with it. libical only
 * computes days, in no zone; lua/haplua/ical/rule.lua does times and zones. */
#include "sched/host.h"
#include "luakit/types.h"

#include <libical/ical.h>
#include <string.h>

/* A box of an iterator, which it owns; NULL: closed, or at the end. */
#define DAYS_BOX "haplua.Days"

/* The functions of libical that are used. */
static struct {
	bool tried, there;
	uv_lib_t library;
	void (*set_errors_are_fatal)(bool fatal);
	struct icalrecurrencetype (*from_string)(const char *text);
	icalrecur_iterator *(*iterator_new)(struct icalrecurrencetype rule,
					    struct icaltimetype start);
	struct icaltimetype (*next)(icalrecur_iterator *i);
	void (*free)(icalrecur_iterator *i);
} ical;

static bool find(const char *name, void *function)
{
	return uv_dlsym(&ical.library, name, function) == 0;
}

static bool load(void)
{
	if (ical.tried)
		return ical.there;
	ical.tried = true;
	ical.there = uv_dlopen("libical.so.3", &ical.library) == 0 &&
		     find("icalerror_set_errors_are_fatal",
			  (void *)&ical.set_errors_are_fatal) &&
		     find("icalrecurrencetype_from_string", (void *)&ical.from_string) &&
		     find("icalrecur_iterator_new", (void *)&ical.iterator_new) &&
		     find("icalrecur_iterator_next", (void *)&ical.next) &&
		     find("icalrecur_iterator_free", (void *)&ical.free);
	if (ical.there)
		ical.set_errors_are_fatal(false);
	return ical.there;
}

static int days_close(lua_State *L)
{
	icalrecur_iterator **days = luaL_checkudata(L, 1, DAYS_BOX);

	if (*days)
		ical.free(*days);
	*days = NULL;
	return 0;
}

/* days:next(from) -> the next day that is not before `from`, as 20261201; nothing at the
 * end. */
static int days_next(lua_State *L)
{
	icalrecur_iterator **days = luaL_checkudata(L, 1, DAYS_BOX);
	lua_Integer from = luaL_checkinteger(L, 2), day;

	while (*days) {
		struct icaltimetype t = ical.next(*days);

		if (t.year == 0 && t.month == 0) {
			days_close(L);
			break;
		}
		day = ((lua_Integer)t.year * 100 + t.month) * 100 + t.day;
		if (day >= from) {
			lua_pushinteger(L, day);
			return 1;
		}
	}
	return 0;
}

/* A part of a date, 1 to `most`. */
static int check_part(lua_State *L, int index, lua_Integer most)
{
	lua_Integer part = luaL_checkinteger(L, index);

	luaL_argcheck(L, part >= 1 && part <= most, index, "a part of a date expected");
	return (int)part;
}

/* days(rule, year, month, day) -> an object with next(): the days of a rule that begins
 * on this day. nil, message, code: "EINVAL" where libical does not take the rule,
 * "ENOENT" where libical is not installed. */
static int lrecurrence_days(lua_State *L)
{
	const char *text = luaL_checkstring(L, 1);
	struct icaltimetype start = {
		.year = check_part(L, 2, 9999),
		.month = check_part(L, 3, 12),
		.day = check_part(L, 4, 31),
		.is_date = 1,
	};
	icalrecur_iterator **days = types_push(L, DAYS_BOX, sizeof *days, 0);

	if (load()) {
		struct icalrecurrencetype rule = ical.from_string(text);

		if (rule.freq != ICAL_NO_RECURRENCE) {
			/* NULL for a rule that can give no day: the 30th of February */
			*days = ical.iterator_new(rule, start);
			return 1;
		}
	}
	lua_pushnil(L);
	lua_pushstring(L, ical.there ? "libical does not take this rule"
				     : "libical is not installed");
	lua_pushstring(L, ical.there ? "EINVAL" : "ENOENT");
	return 3;
}

static const luaL_Reg library[] = {{"days", lrecurrence_days}, {NULL, NULL}};

static const luaL_Reg methods[] = {
	{"next", days_next}, {"__close", days_close}, {"__gc", days_close}, {NULL, NULL}};

int luaopen_haplua_recurrence(lua_State *L)
{
	types_object(L, DAYS_BOX, methods);
	luaL_newlib(L, library);
	return 1;
}
