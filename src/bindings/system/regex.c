/* SPDX-License-Identifier: MIT
 *
 * regex.c - the table `haplua.regex`: regular expressions by PCRE2, compiled and matched
 * with the options that HAProxy uses (its src/regex.c), and the quoting of texts in them.
 * The library is loaded when the first one is compiled, not linked: few runs need it. */
#include "luakit/error.h"
#include "luakit/types.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#define REGEX_BOX "haplua.Regex"
#define LIBRARY   "libpcre2-8.so.0"

/* Values of pcre2.h, which has them in its binary interface. */
#define NOTBOL          0x00000001u
#define CASELESS        0x00000008u
#define NO_AUTO_CAPTURE 0x00002000u
#define UTF             0x00080000u
#define ALL_OPTIONS     0u
#define JIT_COMPLETE    1u
#define HEAP_FAILED     121
#define JIT_BADOPTION   (-45)
#define NOMEMORY        (-48)

struct pcre2_code;
struct pcre2_data;
typedef int match_fn(const struct pcre2_code *code, const char *text, size_t n,
		     size_t start, uint32_t options, struct pcre2_data *data,
		     void *context);

/* The part of PCRE2 that is used. */
static struct {
	bool loaded;
	bool jit; /* this process may make machine code */
	uv_lib_t library;
	struct pcre2_code *(*compile)(const char *pattern, size_t n, uint32_t options,
				      int *error, size_t *offset, void *context);
	void (*code_free)(struct pcre2_code *code);
	int (*jit_compile)(struct pcre2_code *code, uint32_t options);
	int (*info)(const struct pcre2_code *code, uint32_t what, void *value);
	struct pcre2_data *(*data_create)(const struct pcre2_code *code, void *context);
	void (*data_free)(struct pcre2_data *data);
	match_fn *match, *jit_match;
	size_t *(*ovector)(struct pcre2_data *data);
	uint32_t (*ovector_count)(struct pcre2_data *data);
	int (*message)(int error, char *text, size_t size);
} pcre2;

struct regex {
	struct pcre2_code *code; /* owned; NULL: closed */
	struct pcre2_data *data; /* owned; likewise */
	match_fn *match;
};

static const struct {
	const char *name;
	void *pointer;
} functions[] = {
	{"pcre2_compile_8", &pcre2.compile},
	{"pcre2_code_free_8", &pcre2.code_free},
	{"pcre2_jit_compile_8", &pcre2.jit_compile},
	{"pcre2_pattern_info_8", &pcre2.info},
	{"pcre2_match_data_create_from_pattern_8", &pcre2.data_create},
	{"pcre2_match_data_free_8", &pcre2.data_free},
	{"pcre2_match_8", &pcre2.match},
	{"pcre2_jit_match_8", &pcre2.jit_match},
	{"pcre2_get_ovector_pointer_8", &pcre2.ovector},
	{"pcre2_get_ovector_count_8", &pcre2.ovector_count},
	{"pcre2_get_error_message_8", &pcre2.message},
};

/* A machine may forbid new machine code (SELinux's execmem): then no expression gets any,
 * and all are interpreted. */
static bool may_jit(void)
{
	int error;
	size_t offset;
	struct pcre2_code *code = pcre2.compile("", 0, 0, &error, &offset, NULL);
	bool may = code && pcre2.jit_compile(code, JIT_COMPLETE) == 0;

	pcre2.code_free(code);
	return may;
}

static bool load(void)
{
	bool found = uv_dlopen(LIBRARY, &pcre2.library) == 0;

	for (size_t i = 0; found && i < sizeof functions / sizeof *functions; i++)
		found = uv_dlsym(&pcre2.library, functions[i].name,
				 functions[i].pointer) == 0;
	if (found)
		pcre2.jit = may_jit();
	else
		uv_dlclose(&pcre2.library);
	return found;
}

static int regex_close(lua_State *L)
{
	struct regex *r = luaL_checkudata(L, 1, REGEX_BOX);

	if (r->data)
		pcre2.data_free(r->data);
	if (r->code)
		pcre2.code_free(r->code);
	*r = (struct regex){0};
	return 0;
}

/* Choose the function that matches. HAProxy calls pcre2_jit_match() since 2.3: that
 * passes over (*NOTEMPTY), and never matches (*NO_JIT). It reads astray in a text that is
 * not UTF-8 where the pattern begins with (*UTF); pcre2_match() finds no match there. */
static match_fn *choose(const struct pcre2_code *code, bool old)
{
	uint32_t options = 0;

	pcre2.info(code, ALL_OPTIONS, &options);
	return pcre2.jit && !old && !(options & UTF) ? pcre2.jit_match : pcre2.match;
}

/* Returns 0, an error of PCRE2, or JIT_BADOPTION: HAProxy refuses a pattern of which
 * PCRE2 cannot make machine code. */
static int regex_init(struct regex *r, const char *pattern, uint32_t options, bool old,
		      size_t *offset)
{
	int rc = 0;

	r->code = pcre2.compile(pattern, SIZE_MAX /* up to NUL */, options, &rc, offset,
				NULL);
	if (!r->code)
		return rc;
	if (pcre2.jit && pcre2.jit_compile(r->code, JIT_COMPLETE) != 0)
		return JIT_BADOPTION;
	r->match = choose(r->code, old);
	r->data = pcre2.data_create(r->code, NULL);
	return r->data ? 0 : HEAP_FAILED;
}

/* compile(pattern, insensitive, old, captures) -> Regex, or nil and what HAProxy says of
 * the pattern; `old`: as HAProxy 2.2 does; `captures`: as for its converter regsub.
 * Raises where the library is missing. */
static int lregex_compile(lua_State *L)
{
	const char *pattern = luaL_checkstring(L, 1);
	bool old = lua_toboolean(L, 3);
	uint32_t options = (lua_toboolean(L, 2) ? CASELESS : 0) |
			   (lua_toboolean(L, 4) ? 0 : NO_AUTO_CAPTURE);
	size_t offset = 0;
	char text[256];

	if (!pcre2.loaded)
		pcre2.loaded = load();
	if (!pcre2.loaded)
		return error_misuse(
			L, "regular expressions need the PCRE2 library, and " LIBRARY
			   " cannot be loaded: install the package libpcre2-8-0");
	struct regex *r = types_push(L, REGEX_BOX, sizeof *r, 0);
	int rc = regex_init(r, pattern, options, old, &offset);

	if (rc == 0)
		return 1;
	if (rc == HEAP_FAILED)
		return luaL_error(L, "not enough memory");
	lua_pushnil(L);
	if (rc == JIT_BADOPTION) {
		lua_pushliteral(L, "jit compilation failed");
	} else {
		pcre2.message(rc, text, sizeof text);
		lua_pushfstring(L, "is invalid (error=%s, erroffset=%I)", text,
				(LUAI_UACINT)offset);
	}
	return 2;
}

/* regex:matches(text) -> boolean. As in HAProxy, a match that reaches one of PCRE2's
 * limits is none. */
static int regex_matches(lua_State *L)
{
	struct regex *r = luaL_checkudata(L, 1, REGEX_BOX);
	size_t n;
	const char *text = luaL_checklstring(L, 2, &n);

	luaL_argcheck(L, r->code, 1, "the expression is closed");
	int rc = r->match(r->code, text, n, 0, 0, r->data, NULL);

	if (rc == NOMEMORY)
		return luaL_error(L, "not enough memory");
	lua_pushboolean(L, rc >= 0);
	return 1;
}

/* The position of a byte, or of the one before it, for Lua; false: the group has none. */
static void push_position(lua_State *L, size_t at, int more)
{
	if (at == SIZE_MAX)
		lua_pushboolean(L, false);
	else
		lua_pushinteger(L, (lua_Integer)at + more);
}

/* regex:find(text, inside) -> first, last of the match and of each group, or nothing;
 * `inside`: the text is a rest, so that ^ does not match at its beginning. */
static int regex_find(lua_State *L)
{
	struct regex *r = luaL_checkudata(L, 1, REGEX_BOX);
	size_t n;
	const char *text = luaL_checklstring(L, 2, &n);

	luaL_argcheck(L, r->code, 1, "the expression is closed");
	int groups = (int)pcre2.ovector_count(r->data);

	luaL_checkstack(L, 2 * groups, "too many groups");
	luaL_argcheck(L, r->code, 1, "the expression is closed");
	int rc = r->match(r->code, text, n, 0, lua_toboolean(L, 3) ? NOTBOL : 0, r->data,
			  NULL);

	if (rc == NOMEMORY)
		return luaL_error(L, "not enough memory");
	if (rc < 0)
		return 0;
	const size_t *at = pcre2.ovector(r->data);

	for (int i = 0; i < groups; i++) {
		push_position(L, i < rc ? at[2 * i] : SIZE_MAX, 1);
		push_position(L, i < rc ? at[2 * i + 1] : SIZE_MAX, 0);
	}
	return 2 * groups;
}

/* quote(text, before) -> string: an expression, in POSIX's and PCRE's syntax, that
 * matches this text alone, behind the expression `before`. A plan quotes a path for each
 * maintenance in force. */
static int lregex_quote(lua_State *L)
{
	size_t n, n_before, out;
	const char *text = luaL_checklstring(L, 1, &n);
	const char *before = luaL_checklstring(L, 2, &n_before);
	luaL_Buffer b;

	luaL_argcheck(L, n < SIZE_MAX / 4 && n_before < SIZE_MAX / 4, 1, "too long");
	char *p = luaL_buffinitsize(L, &b, n_before + 2 * n);

	memcpy(p, before, n_before);
	out = n_before;
	for (size_t i = 0; i < n; i++) {
		if (text[i] && strchr("^$.[](){}*+?|\\", text[i]))
			p[out++] = '\\';
		p[out++] = text[i];
	}
	luaL_pushresultsize(&b, out);
	return 1;
}

static const luaL_Reg library[] = {
	{"compile", lregex_compile}, {"quote", lregex_quote}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"matches", regex_matches},
				   {"find", regex_find},
				   {"__gc", regex_close},
				   {NULL, NULL}};

int luaopen_haplua_regex(lua_State *L)
{
	types_object(L, REGEX_BOX, methods);
	luaL_newlib(L, library);
	return 1;
}
