/* SPDX-License-Identifier: MIT
 *
 * screen.c - the table `haplua.screen`: the whole terminal, for a view that draws itself.
 * Keys come one by one and without echo. Ctrl-C and Ctrl-Z stay signals, for which
 * libuv's raw mode has no room: a view that computes can be interrupted, too. The
 * terminal is as it was before whenever the screen is closed, the process is stopped, or
 * a signal ends it (but SIGKILL). */
#include "base/err.h"
#include "luakit/error.h"
#include "luakit/types.h"
#include "os/signals.h"
#include "sched/host.h"

#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define SCREEN_BOX "haplua.Screen"
#define READ_BOX   "haplua.ScreenRead"

/* The other screen, no cursor, lines that end at the margin; and back. */
#define ENTER "\033[?1049h\033[?25l\033[?7l\033[2J"
#define LEAVE "\033[0m\033[?7h\033[?25h\033[?1049l"

/* How long a terminal may take nothing within a text. */
#define WRITE_MS 1000

enum { WINCH, TSTP, CONT, SIGNALS };
static const int watched[SIGNALS] = {SIGWINCH, SIGTSTP, SIGCONT};

/* Signals that end the process and that nobody else handles. */
static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT};
enum { FATAL = sizeof fatal / sizeof *fatal };

/* Freed once all of its handles are closed. */
struct device {
	uv_poll_t poll;
	uv_signal_t signals[SIGNALS];
	int open;          /* handles that are not closed */
	struct task *task; /* borrowed: the one that reads, or NULL */
	char typed[256];
	size_t n;
	bool changed; /* what is on the terminal is lost, or its size is another */
	bool ended;   /* the input has ended */
};

struct screen {
	struct device *device; /* NULL: closed */
};

/* What handlers of signals need: there is one screen at a time. */
static struct {
	volatile sig_atomic_t entered;
	struct termios before;
	struct sigaction handlers[FATAL];
	struct device *device;
} shown;

/* Only what signal-safety(7) allows. */
static void leave(void)
{
	if (!shown.entered)
		return;
	shown.entered = 0;
	ssize_t n = write(STDOUT_FILENO, LEAVE, sizeof LEAVE - 1);

	(void)n;
	tcsetattr(STDIN_FILENO, TCSANOW, &shown.before);
}

static int enter(void)
{
	struct termios raw = shown.before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
	raw.c_iflag &= ~(tcflag_t)IXON;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
		return -errno;
	shown.entered = 1;
	ssize_t n = write(STDOUT_FILENO, ENTER, sizeof ENTER - 1);

	(void)n;
	return 0;
}

static void on_fatal(int signo)
{
	leave();
	signal(signo, SIG_DFL);
	raise(signo);
}

static void catch_fatal(void)
{
	struct sigaction caught = {.sa_handler = on_fatal};

	for (int i = 0; i < FATAL; i++)
		sigaction(fatal[i], &caught, &shown.handlers[i]);
	signals_before_end(leave);
}

static void forget_fatal(void)
{
	for (int i = 0; i < FATAL; i++)
		sigaction(fatal[i], &shown.handlers[i], NULL);
	signals_before_end(NULL);
}

static void wake(struct device *d)
{
	if (d->task)
		task_wake(d->task);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct device *d = poll->data;
	ssize_t n = status < 0 ? 0 : read(STDIN_FILENO, d->typed, sizeof d->typed);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	d->n = n > 0 ? (size_t)n : 0;
	d->ended = n <= 0;
	uv_poll_stop(poll);
	wake(d);
}

/* A stop by the terminal gives it back first. SIGSTOP, because SIGTSTP is caught. */
static void on_signal(uv_signal_t *handle, int signo)
{
	struct device *d = handle->data;

	if (signo == SIGTSTP) {
		leave();
		kill(getpid(), SIGSTOP);
	}
	if (signo != SIGWINCH)
		enter();
	d->changed = true;
	wake(d);
}

static void on_closed(uv_handle_t *handle)
{
	struct device *d = handle->data;

	if (--d->open == 0)
		free(d);
}

/* Start the handle of one signal, unless whoever has started haplua ignores it. */
static int watch_signal(struct device *d, int i)
{
	struct sigaction now;

	sigaction(watched[i], NULL, &now);
	if (now.sa_handler == SIG_IGN)
		return 0;
	return uv_signal_start(&d->signals[i], on_signal, watched[i]);
}

/* Open the handles. Where one fails, the caller must call close_device(). */
static int open_handles(uv_loop_t *loop, struct device *d)
{
	int rc = uv_poll_init(loop, &d->poll, STDIN_FILENO);

	if (rc < 0)
		return rc;
	d->poll.data = d;
	d->open++;
	for (int i = 0; i < SIGNALS && rc == 0; i++) {
		uv_signal_init(loop, &d->signals[i]);
		uv_unref((uv_handle_t *)&d->signals[i]);
		d->signals[i].data = d;
		d->open++;
		rc = watch_signal(d, i);
	}
	return rc;
}

static void close_device(struct device *d)
{
	int open = d->open;

	wake(d);
	for (int i = 0; i < open - 1; i++)
		uv_close((uv_handle_t *)&d->signals[i], on_closed);
	if (open > 0)
		uv_close((uv_handle_t *)&d->poll, on_closed);
	else
		free(d);
}

static int screen_close(lua_State *L)
{
	struct screen *s = luaL_checkudata(L, 1, SCREEN_BOX);
	struct device *d = s->device;

	s->device = NULL;
	if (!d)
		return 0;
	leave();
	forget_fatal();
	shown.device = NULL;
	close_device(d);
	return 0;
}

/* open() -> Screen. Raises where there is no terminal, and where a screen is open. */
static int lscreen_open(lua_State *L)
{
	if (shown.device)
		return error_misuse(L, "there is a screen already");
	struct screen *s = types_push(L, SCREEN_BOX, sizeof *s, 0);
	struct device *d = calloc(1, sizeof *d);

	if (shown.device) { /* by a finalizer that ran in types_push() */
		free(d);
		return error_misuse(L, "there is a screen already");
	}
	if (!d)
		return error_raise(L, HAP_ENOMEM, NULL);
	int rc = tcgetattr(STDIN_FILENO, &shown.before) < 0 || !isatty(STDOUT_FILENO)
			 ? -errno
			 : 0;

	if (rc == 0)
		rc = open_handles(&host_of(L)->loop, d);
	if (rc == 0) {
		fflush(stdout);
		catch_fatal();
		rc = enter();
		if (rc < 0)
			forget_fatal();
	}
	if (rc < 0) {
		close_device(d);
		return error_misuse(L, "no terminal to draw on: %s", err_text(rc));
	}
	s->device = shown.device = d;
	return 1;
}

static struct device *check_open(lua_State *L)
{
	struct screen *s = luaL_checkudata(L, 1, SCREEN_BOX);

	if (!s->device)
		error_misuse(L, "the screen is closed");
	return s->device;
}

/* Also called when the box is collected: another read may be under way by then. */
static int read_close(lua_State *L)
{
	struct screen **box = luaL_checkudata(L, 1, READ_BOX);
	struct device *d = *box ? (*box)->device : NULL;

	*box = NULL;
	if (d) {
		uv_poll_stop(&d->poll);
		d->task = NULL;
	}
	return 0;
}

static int read_k(lua_State *L, int status, lua_KContext context)
{
	struct screen *s = lua_touserdata(L, 1);
	struct device *d = s->device;
	char typed[sizeof d->typed];

	(void)status, (void)context;
	if (d && d->n == 0 && !d->ended && !d->changed)
		return task_park(L, 0, read_k);
	if (!d || d->ended) {
		lua_pushnil(L);
		return 1;
	}
	size_t n = d->n;

	memcpy(typed, d->typed, n);
	d->n = 0;
	d->changed = false;
	lua_pushlstring(L, typed, n);
	return 1;
}

/* screen:read() -> the bytes that were typed; "": all is to be drawn anew, perhaps in
 * another size; nil: the input has ended. Other tasks run meanwhile. */
static int lscreen_read(lua_State *L)
{
	struct task *t = task_of(L);

	check_open(L);
	lua_settop(L, 1);
	struct screen **box = types_push(L, READ_BOX, sizeof(struct screen *), 0);
	struct device *d = check_open(L); /* a finalizer may have closed it */

	if (d->task)
		return error_misuse(L, "another task reads from the screen");
	*box = lua_touserdata(L, 1);
	d->task = t;
	lua_toclose(L, 2);
	int rc = uv_poll_start(&d->poll, UV_READABLE, on_readable);

	if (rc < 0)
		return error_raise(L, rc, NULL);
	return read_k(L, LUA_OK, 0);
}

/* Can the terminal take a text within so many milliseconds? Ctrl-S and a dead connection
 * keep it from that. */
static bool is_writable(int ms)
{
	struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&p, 1, ms) > 0 && (p.revents & POLLOUT);
}

/* screen:write(text) -> was all of it written? */
static int lscreen_write(lua_State *L)
{
	size_t n, done = 0;

	check_open(L);
	const char *text = luaL_checklstring(L, 2, &n);
	bool ready = shown.entered && is_writable(0);

	while (ready && done < n) {
		ssize_t more = write(STDOUT_FILENO, text + done, n - done);

		if (more > 0)
			done += (size_t)more;
		else if (errno == EAGAIN || errno == EINTR)
			ready = is_writable(WRITE_MS);
		else
			ready = false;
	}
	lua_pushboolean(L, ready);
	return 1;
}

/* screen:size() -> columns, rows */
static int lscreen_size(lua_State *L)
{
	struct winsize size = {0};

	check_open(L);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 ||
	    size.ws_row == 0)
		size = (struct winsize){.ws_col = 80, .ws_row = 24};
	lua_pushinteger(L, size.ws_col);
	lua_pushinteger(L, size.ws_row);
	return 2;
}

/* screen:flush(): forget what was typed and not read. */
static int lscreen_flush(lua_State *L)
{
	check_open(L)->n = 0;
	tcflush(STDIN_FILENO, TCIFLUSH);
	return 0;
}

static const luaL_Reg methods[] = {
	{"read", lscreen_read},
	{"write", lscreen_write},
	{"size", lscreen_size},
	{"flush", lscreen_flush},
	{"__close", screen_close},
	{"__gc", screen_close},
	{NULL, NULL},
};

static const luaL_Reg library[] = {
	{"open", lscreen_open},
	{NULL, NULL},
};

int luaopen_haplua_screen(lua_State *L)
{
	types_object(L, SCREEN_BOX, methods);
	types_box(L, READ_BOX, read_close);
	luaL_newlib(L, library);
	return 1;
}
