/* SPDX-License-Identifier: MIT
 *
 * terminal.c - the table `haplua.terminal`: reads lines at the prompt.
 * libedit gives editing, history and completion. The prompt opens it, and the program is
 * not linked with it: scripts never need it. Without it the terminal's own line editing
 * remains. */
#include "base/err.h"
#include "sched/cancel.h"
#include "sched/host.h"
#include "luakit/error.h"
#include "luakit/types.h"

#include <langinfo.h>
#include <lauxlib.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define READER_BOX  "haplua.Reader"
#define SESSION_BOX "haplua.Session"

enum { SLOT_PROMPT = 1, SLOT_COMPLETE, SLOT_READER };

/* The functions of libedit's readline interface that are used. */
static struct {
	bool tried;
	uv_lib_t library;
	void (*install)(const char *prompt, void (*on_line)(char *));
	void (*read_char)(void);
	void (*remove)(void);
	int (*add_history)(const char *);
	int (*add_defun)(const char *name, int (*run)(int, int), int key);
	int (*insert)(const char *);
	int (*redraw)(void);
	char **buffer; /* the line that is being edited */
	int *point;    /* the cursor in it, in bytes */
} edit;

/* The reader, one at a time: libedit's callback has no argument that could name it. */
static struct reader {
	uv_poll_t *poll;   /* owned while open, then by its close callback */
	struct task *task; /* borrowed: the task that waits */
	char *line;        /* owned: the line that was read */
	bool ended;        /* the input has ended */
	bool editing;      /* libedit has the terminal */
	bool tab;          /* TAB was typed, and completion is to come */
} * current;

static bool find(const char *name, void *function)
{
	return uv_dlsym(&edit.library, name, function) == 0;
}

/* libedit takes bytes for characters by the locale: UTF-8, unless the user's is another
 * multibyte one. */
static void set_locale(void)
{
	setlocale(LC_CTYPE, "");
	if (MB_CUR_MAX == 1 && strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
}

static int on_tab(int count, int key)
{
	(void)count, (void)key;
	current->tab = true;
	return 0;
}

static void load_edit(void)
{
	if (edit.tried)
		return;
	edit.tried = true;
	if (uv_dlopen("libedit.so.2", &edit.library) < 0 ||
	    !find("rl_callback_handler_install", (void *)&edit.install) ||
	    !find("rl_callback_read_char", (void *)&edit.read_char) ||
	    !find("rl_callback_handler_remove", (void *)&edit.remove) ||
	    !find("add_history", (void *)&edit.add_history) ||
	    !find("rl_add_defun", (void *)&edit.add_defun) ||
	    !find("rl_insert_text", (void *)&edit.insert) ||
	    !find("rl_forced_update_display", (void *)&edit.redraw) ||
	    !find("rl_line_buffer", (void *)&edit.buffer) ||
	    !find("rl_point", (void *)&edit.point))
		edit.install = NULL;
	if (edit.install)
		set_locale();
}

static void on_line(char *line)
{
	current->line = line;
	current->ended = !line;
	edit.remove();
	current->editing = false;
}

static void read_plain(struct reader *r)
{
	size_t room = 0;
	ssize_t n = getline(&r->line, &room, stdin);

	r->ended = n < 0;
	if (n > 0 && r->line[n - 1] == '\n')
		r->line[n - 1] = '\0';
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct reader *r = poll->data;

	(void)events;
	if (status < 0)
		r->ended = true;
	else if (r->editing)
		edit.read_char();
	else
		read_plain(r);
	if (r->tab)
		uv_poll_stop(poll);
	if (r->line || r->ended || r->tab)
		task_wake(r->task);
}

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static int reader_close(lua_State *L)
{
	struct reader *r = luaL_checkudata(L, 1, READER_BOX);

	if (r->editing)
		edit.remove();
	r->editing = false;
	if (r->poll)
		uv_close((uv_handle_t *)r->poll, on_poll_closed);
	r->poll = NULL;
	free(r->line);
	r->line = NULL;
	if (current == r)
		current = NULL;
	return 0;
}

static int readline_k(lua_State *L, int status, lua_KContext context);

/* The function for completion has returned what to insert, and what to print (nil:
 * nothing) below the line. */
static int completed_k(lua_State *L, int status, lua_KContext context)
{
	struct reader *r = lua_touserdata(L, SLOT_READER);
	const char *text = lua_tostring(L, -2), *list = lua_tostring(L, -1);

	r->tab = false;
	if (list)
		printf("\n%s\n", list);
	fflush(stdout);
	if (text)
		edit.insert(text);
	edit.redraw();
	lua_settop(L, SLOT_READER);
	int rc = uv_poll_start(r->poll, UV_READABLE, on_readable);

	if (rc < 0)
		return error_raise(L, rc, NULL);
	return readline_k(L, status, context);
}

static int readline_k(lua_State *L, int status, lua_KContext context)
{
	struct reader *r = lua_touserdata(L, SLOT_READER);

	(void)status, (void)context;
	if (r->tab) {
		int point = *edit.point;

		lua_pushvalue(L, SLOT_COMPLETE);
		lua_pushstring(L, *edit.buffer);
		lua_pushinteger(L, point);
		lua_callk(L, 2, 2, 0, completed_k);
		return completed_k(L, LUA_OK, 0);
	}
	if (!r->line && !r->ended)
		return task_park(L, 0, readline_k);
	if (r->ended)
		lua_pushnil(L);
	else
		lua_pushstring(L, r->line);
	return 1;
}

static int open_poll(lua_State *L, struct reader *r)
{
	uv_loop_t *loop = &host_of(L)->loop;
	uv_poll_t *poll = malloc(sizeof *poll);
	int rc = poll ? uv_poll_init(loop, poll, STDIN_FILENO) : HAP_ENOMEM;

	if (rc < 0) {
		free(poll);
		return rc;
	}
	poll->data = r;
	r->poll = poll;
	return uv_poll_start(poll, UV_READABLE, on_readable);
}

/* readline(prompt [, complete]) -> the line without its end, or nil at the end of the
 * input. Other tasks run meanwhile. complete(line, bytes before the cursor) is called
 * when TAB is typed; it returns the text to insert, and the text to print or nil. */
static int lterminal_readline(lua_State *L)
{
	const char *prompt = luaL_checkstring(L, 1);
	struct task *t = task_of(L);

	if (!lua_isnoneornil(L, SLOT_COMPLETE))
		luaL_checktype(L, SLOT_COMPLETE, LUA_TFUNCTION);
	if (current)
		return error_misuse(L, "another task reads from the terminal");
	lua_settop(L, SLOT_COMPLETE);
	struct reader *r = types_push(L, READER_BOX, sizeof *r, 0);

	r->task = t;
	lua_toclose(L, SLOT_READER);
	current = r;
	int rc = open_poll(L, r);

	if (rc < 0)
		return error_misuse(L, "cannot read from the terminal: %s", err_text(rc));
	load_edit();
	if (edit.install) {
		r->editing = true;
		edit.install(prompt, on_line);
		if (!lua_isnil(L, SLOT_COMPLETE))
			edit.add_defun("haplua-complete", on_tab, '\t');
	} else {
		fputs(prompt, stdout);
		fflush(stdout);
	}
	return readline_k(L, LUA_OK, 0);
}

/* is_terminal(fd) -> is this file descriptor a terminal? */
static int lterminal_is_terminal(lua_State *L)
{
	lua_Integer fd = luaL_checkinteger(L, 1);

	lua_pushboolean(L, fd == (int)fd && isatty((int)fd));
	return 1;
}

/* can_edit() -> is libedit there? */
static int lterminal_can_edit(lua_State *L)
{
	load_edit();
	lua_pushboolean(L, edit.install != NULL);
	return 1;
}

/* remember(line): add a line to the history of this session */
static int lterminal_remember(lua_State *L)
{
	const char *line = luaL_checkstring(L, 1);

	load_edit();
	if (edit.install)
		edit.add_history(line);
	return 0;
}

static int session_close(lua_State *L)
{
	struct task **session = luaL_checkudata(L, 1, SESSION_BOX);

	if (*session) {
		host_of(L)->session = NULL;
		task_unref(*session);
	}
	*session = NULL;
	return 0;
}

/* session() -> a value for a <close> variable of the running task: until it is closed,
 * SIGINT interrupts this task alone, and forgive() lets it go on. */
static int lterminal_session(lua_State *L)
{
	struct task *t = task_of(L);

	if (host_of(L)->session)
		return error_misuse(L, "there is a session already");
	struct task **session = types_push(L, SESSION_BOX, sizeof *session, 0);

	*session = host_of(L)->session = t;
	t->refs++;
	return 1;
}

/* forgive() -> did SIGINT interrupt the running task? It goes on as if it did not. */
static int lterminal_forgive(lua_State *L)
{
	lua_pushboolean(L, cancel_forgive(L, task_of(L)));
	return 1;
}

/* width([fd]) -> the columns of the terminal at a file descriptor, standard output where
 * none is given; nil: it is none */
static int lterminal_width(lua_State *L)
{
	struct winsize size;
	lua_Integer fd = luaL_optinteger(L, 1, STDOUT_FILENO);

	if (fd != (int)fd || ioctl((int)fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		lua_pushnil(L);
	else
		lua_pushinteger(L, size.ws_col);
	return 1;
}

static const luaL_Reg library[] = {
	{"width", lterminal_width},
	{"readline", lterminal_readline},
	{"can_edit", lterminal_can_edit},
	{"remember", lterminal_remember},
	{"session", lterminal_session},
	{"forgive", lterminal_forgive},
	{"is_terminal", lterminal_is_terminal},
	{NULL, NULL},
};

int luaopen_haplua_terminal(lua_State *L)
{
	types_box(L, READER_BOX, reader_close);
	types_box(L, SESSION_BOX, session_close);
	luaL_newlib(L, library);
	return 1;
}
