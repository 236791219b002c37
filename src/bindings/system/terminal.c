/* SPDX-License-Identifier: MIT
 *
 * terminal.c - the table `haplua.terminal`: reads lines at the prompt.
 * libedit gives editing and history. The prompt opens it, and the program is not linked
 * with it: scripts never need it. Without it the terminal's own line editing remains. */
#include "base/err.h"
#include "sched/host.h"
#include "luakit/error.h"
#include "luakit/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define READER_BOX "haplua.Reader"

/* The functions of libedit's readline interface that are used. */
static struct {
	bool tried;
	uv_lib_t library;
	void (*install)(const char *prompt, void (*on_line)(char *));
	void (*read_char)(void);
	void (*remove)(void);
	int (*add_history)(const char *);
} edit;

/* The reader, one at a time: libedit's callback has no argument that could name it. */
static struct reader {
	uv_poll_t *poll;   /* owned while open, then by its close callback */
	struct task *task; /* borrowed: the task that waits */
	char *line;        /* owned: the line that was read */
	bool ended;        /* the input has ended */
	bool editing;      /* libedit has the terminal */
} * current;

static bool find(const char *name, void *function)
{
	return uv_dlsym(&edit.library, name, function) == 0;
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
	    !find("add_history", (void *)&edit.add_history))
		edit.install = NULL;
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
	if (r->line || r->ended)
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

static int readline_k(lua_State *L, int status, lua_KContext context)
{
	struct reader *r = lua_touserdata(L, 2);

	(void)status, (void)context;
	if (!r->line && !r->ended)
		return task_park(L, 0, readline_k);
	if (r->ended) {
		lua_pushnil(L);
		return 1;
	}
	if (edit.install && r->line[0])
		edit.add_history(r->line);
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

/* readline(prompt) -> the line without its end, or nil at the end of the input. Other
 * tasks run meanwhile. */
static int lterminal_readline(lua_State *L)
{
	const char *prompt = luaL_checkstring(L, 1);
	struct task *t = task_of(L);

	if (current)
		return error_misuse(L, "another task reads from the terminal");
	lua_settop(L, 1);
	struct reader *r = types_push(L, READER_BOX, sizeof *r, 0);

	r->task = t;
	lua_toclose(L, 2);
	current = r;
	int rc = open_poll(L, r);

	if (rc < 0)
		return error_misuse(L, "cannot read from the terminal: %s", err_text(rc));
	load_edit();
	if (edit.install) {
		r->editing = true;
		edit.install(prompt, on_line);
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

static const luaL_Reg library[] = {
	{"readline", lterminal_readline},
	{"is_terminal", lterminal_is_terminal},
	{NULL, NULL},
};

int luaopen_haplua_terminal(lua_State *L)
{
	types_box(L, READER_BOX, reader_close);
	luaL_newlib(L, library);
	return 1;
}
