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

struct days {
	icalrecur_iterator *iterator; /* owned; NULL: closed, or at the end */
};

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
	struct days *d = luaL_checkudata(L, 1, DAYS_BOX);

	if (d->iterator)
		ical.free(d->iterator);
	d->iterator = NULL;
	return 0;
}

static lua_Integer number(int year, int month, int day)
{
	return ((lua_Integer)year * 100 + month) * 100 + day;
}

/* days:next(from) -> the next day that is not before `from`, as 20261201; nothing where
 * the rule has ended. */
static int days_next(lua_State *L)
{
	struct days *d = luaL_checkudata(L, 1, DAYS_BOX);
	lua_Integer from = luaL_checkinteger(L, 2), day;

	while (d->iterator) {
		struct icaltimetype t = ical.next(d->iterator);

		if (t.year == 0 && t.month == 0) {
			days_close(L);
			break;
		}
		day = number(t.year, t.month, t.day);
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
	struct days *d = lua_newuserdatauv(L, sizeof *d, 0);

	d->iterator = NULL;
	luaL_setmetatable(L, DAYS_BOX);
	if (!load()) {
		lua_pushnil(L);
		lua_pushliteral(L, "libical is not installed");
		lua_pushliteral(L, "ENOENT");
		return 3;
	}
	struct icalrecurrencetype rule = ical.from_string(text);

	/* NULL for a rule without any day, such as the 30th of February */
	if (rule.freq != ICAL_NO_RECURRENCE)
		d->iterator = ical.iterator_new(rule, start);
	else {
		lua_pushnil(L);
		lua_pushliteral(L, "libical does not take this rule");
		lua_pushliteral(L, "EINVAL");
		return 3;
	}
	return 1;
}

static const luaL_Reg library[] = {
	{"days", lrecurrence_days},
	{NULL, NULL},
};

static const luaL_Reg methods[] = {
	{"next", days_next},
	{NULL, NULL},
};

static const luaL_Reg meta[] = {
	{"__gc", days_close},
	{"__close", days_close},
	{NULL, NULL},
};

int luaopen_haplua_recurrence(lua_State *L)
{
	types_object(L, DAYS_BOX, methods, meta);
	luaL_newlib(L, library);
	return 1;
}
