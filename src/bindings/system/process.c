/* SPDX-License-Identifier: MIT
 *
 * process.c - the table `haplua.process`: this process, its user, and its service manager
 * (the protocol of sd_notify(3)). */
#include "base/err.h"
#include "luakit/args.h"
#include "luakit/types.h"
#include "os/detach.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <uv.h>

/* The kernel's login uid of a process outside of any login. */
#define NO_LOGIN 4294967295u

/* pid() -> integer */
static int lprocess_pid(lua_State *L)
{
	lua_pushinteger(L, getpid());
	return 1;
}

/* The name of a user: its text is getpwuid()'s. NULL for one without. */
static const char *name_of(uid_t uid)
{
	const struct passwd *user = getpwuid(uid);

	return user ? user->pw_name : NULL;
}

/* identity() -> the user that this process acts as: "www-data (uid 33)" */
static int lprocess_identity(lua_State *L)
{
	const char *name = name_of(geteuid());

	lua_pushfstring(L, "%s (uid %I)", name ? name : "a user without name",
			(LUAI_UACINT)geteuid());
	return 1;
}

/* The state of a process in /proc: 'R', 'S', 'Z', ...; 0 where /proc does not say. */
static char state_of(lua_Integer pid)
{
	char path[64], line[512], state = 0;

	snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	if (fgets(line, sizeof line, f)) {
		/* Behind the name, which may hold any bytes. */
		const char *end = strrchr(line, ')');

		state = end && end[1] == ' ' ? end[2] : 0;
	}
	fclose(f);
	return state;
}

/* alive(pid) -> boolean. False for a zombie: a process that has ended, and whose parent
 * has not waited for it. */
static int lprocess_alive(lua_State *L)
{
	lua_Integer pid = luaL_checkinteger(L, 1);

	luaL_argcheck(L, pid > 0, 1, "a process ID expected");
	bool there = pid == (pid_t)pid && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
	char state = there ? state_of(pid) : 0;

	lua_pushboolean(L, there && state != 'Z' && state != 'X');
	return 1;
}

/* The service manager. */

/* The address in $NOTIFY_SOCKET: a path, or "@" and an abstract name. Returns its length,
 * or UV_*. */
static int notify_address(const char *text, struct sockaddr_un *to)
{
	size_t n = strlen(text);

	if (*text != '/' && *text != '@')
		return UV_EAFNOSUPPORT;
	if (n < 2 || n >= sizeof to->sun_path)
		return n < 2 ? UV_EINVAL : UV_ENAMETOOLONG;
	*to = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(to->sun_path, text, n);
	if (*text == '@')
		to->sun_path[0] = '\0';
	else
		n++;
	return (int)(offsetof(struct sockaddr_un, sun_path) + n);
}

static int send_notice(const char *address, const char *text, size_t n)
{
	struct sockaddr_un to;
	int length = notify_address(address, &to);
	int fd = length < 0 ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return length < 0 ? length : -errno;
	ssize_t sent = sendto(fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT,
			      (struct sockaddr *)&to, (socklen_t)length);
	int rc = sent < 0 ? -errno : 0;

	close(fd);
	return rc;
}

/* notify(text) -> true | false (there is no service manager that expects it) | nil,
 * message, code */
static int lprocess_notify(lua_State *L)
{
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);
	const char *address = getenv("NOTIFY_SOCKET");

	luaL_argcheck(L, n > 0, 1, "a text, not empty, expected");
	int rc = address && *address ? send_notice(address, text, n) : 0;

	if (rc < 0)
		return args_failure(L, rc,
				    lua_pushfstring(L, "$NOTIFY_SOCKET '%s'", address));
	lua_pushboolean(L, address && *address);
	return 1;
}

/* A decimal number and nothing else, or -1. */
static long long number(const char *text)
{
	char *end;

	if (!text || !(*text >= '0' && *text <= '9'))
		return -1;
	errno = 0;
	long long n = strtoll(text, &end, 10);

	return *end || errno ? -1 : n;
}

/* watchdog() -> the seconds within which the service manager expects the next WATCHDOG=1,
 * or nil where it expects none */
static int lprocess_watchdog(lua_State *L)
{
	long long microseconds = number(getenv("WATCHDOG_USEC"));
	const char *pid = getenv("WATCHDOG_PID");

	if (microseconds <= 0 || (pid && number(pid) != getpid()))
		lua_pushnil(L);
	else
		lua_pushnumber(L, (lua_Number)microseconds / 1e6);
	return 1;
}

/* The user. */

/* The user who has logged in, also where the process acts as another through sudo or su:
 * the kernel's login uid, else, for root, the environment's SUDO_USER: anybody else may
 * have set that. NULL: not known. Static memory, until the next call of getpwuid(). */
static const char *login_name(void)
{
	unsigned uid = NO_LOGIN;
	FILE *f = fopen("/proc/self/loginuid", "re");
	const char *name = NULL;

	if (f && fscanf(f, "%u", &uid) != 1)
		uid = NO_LOGIN;
	if (f)
		fclose(f);
	if (uid != NO_LOGIN)
		name = name_of((uid_t)uid);
	if (!name && geteuid() == 0)
		name = getenv("SUDO_USER");
	return name && *name ? name : NULL;
}

/* person() -> {user=, uid=, host=, login=}: the user that this process acts as (the
 * number where it has no name), the machine, and the user who has logged in, or nil */
static int lprocess_person(lua_State *L)
{
	struct utsname host;
	const char *name;
	char number_text[32];

	lua_createtable(L, 0, 4);
	lua_pushinteger(L, geteuid());
	lua_setfield(L, -2, "uid");
	name = name_of(geteuid());
	snprintf(number_text, sizeof number_text, "%u", (unsigned)geteuid());
	types_set_text(L, "user", name ? name : number_text);
	types_set_text(L, "host", uname(&host) == 0 ? host.nodename : "?");
	types_set_text(L, "login", login_name());
	return 1;
}

/* Other processes. */

/* detach(words, input) -> true | nil, message, code: start a program that outlives this
 * process (src/os/detach.h). words[1] is its path. */
static int lprocess_detach(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	int n = args_length(L, 1, "words");
	struct span input = args_text(L, 2);

	luaL_argcheck(L, n > 0, 1, "a list with a path expected");
	luaL_checkstack(L, n + LUA_MINSTACK, "too many words");
	char **argv = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *argv, 0);

	for (int i = 1; i <= n; i++) {
		lua_geti(L, 1, i);
		argv[i - 1] = (char *)args_path(L, lua_gettop(L));
	}
	argv[n] = NULL;
	int rc = detach_start(argv, input);

	if (rc < 0)
		return args_failure(L, rc, argv[0]);
	lua_pushboolean(L, true);
	return 1;
}

static const luaL_Reg library[] = {
	{"pid", lprocess_pid},           {"detach", lprocess_detach},
	{"identity", lprocess_identity}, {"alive", lprocess_alive},
	{"notify", lprocess_notify},     {"person", lprocess_person},
	{"watchdog", lprocess_watchdog}, {NULL, NULL},
};

int luaopen_haplua_process(lua_State *L)
{
	luaL_newlib(L, library);
	return 1;
}
