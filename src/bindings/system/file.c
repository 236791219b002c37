/* SPDX-License-Identifier: MIT
 *
 * file.c - the table `haplua.file`: files replaced as a whole, locks, and what is to
 * be known of a file. */
#include "base/err.h"
#include "os/file.h"
#include "luakit/args.h"
#include "luakit/types.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define LOCK_BOX  "haplua.Lock"
#define BYTES_BOX "haplua.Bytes"
#define LIST_BOX  "haplua.List"
/* What file.read() takes, if it is not told: no configuration comes near it. */
#define READ_MAX (256 << 20)

static int done(lua_State *L, int rc, const char *path)
{
	if (rc < 0)
		return args_failure(L, rc, path);
	lua_pushboolean(L, true);
	return 1;
}

/* replace(path, text [, {mode = "0644"}]) -> true | nil, message, code */
static int lfile_replace(lua_State *L)
{
	static const char *const known[] = {"mode", NULL};
	const char *path = args_path(L, 1), *what;
	struct span text;

	text.p = luaL_checklstring(L, 2, &text.n);
	args_options(L, 3, known);
	int rc = file_replace(path, text, args_mode(L, 3, 0644), &what);

	if (rc < 0 && what)
		path = lua_pushfstring(L, "%s: %s", path, what);
	return done(L, rc, path);
}

static int bytes_close(lua_State *L)
{
	buf_free(luaL_checkudata(L, 1, BYTES_BOX));
	return 0;
}

/* read(path [, limit]) -> text | nil, message, code. Over the limit is "EFBIG": what is
 * cut must not pass for the file. */
static int lfile_read(lua_State *L)
{
	const char *path = args_path(L, 1);
	lua_Integer limit = luaL_optinteger(L, 2, READ_MAX);

	luaL_argcheck(L, limit >= 0, 2, "a number of bytes expected");
	struct buf *b = lua_newuserdatauv(L, sizeof *b, 0);

	*b = (struct buf){0};
	luaL_setmetatable(L, BYTES_BOX);
	lua_toclose(L, -1);
	int rc = file_read(path, (size_t)limit, b);

	if (rc < 0)
		return args_failure(L, rc, path);
	lua_pushlstring(L, b->n ? b->p : "", b->n);
	return 1;
}

/* Locks. */

struct lock {
	int fd; /* -1: released */
};

static int lock_close(lua_State *L)
{
	struct lock *lock = luaL_checkudata(L, 1, LOCK_BOX);

	if (lock->fd >= 0)
		close(lock->fd);
	lock->fd = -1;
	return 0;
}

static int64_t check_slot(lua_State *L)
{
	lua_Integer slot = luaL_checkinteger(L, 2);

	luaL_argcheck(L, slot >= 0 && slot <= FILE_SLOT_MAX, 2,
		      "an integer, 0 or more, expected");
	return slot;
}

/* lock(path, slot) -> Lock | nil, message, code; "BUSY" when it is held. */
static int lfile_lock(lua_State *L)
{
	const char *path = args_path(L, 1);
	int64_t slot = check_slot(L);
	struct lock *lock = lua_newuserdatauv(L, sizeof *lock, 0);

	lock->fd = -1;
	luaL_setmetatable(L, LOCK_BOX);
	int rc = file_lock(path, slot);

	if (rc >= 0) {
		lock->fd = rc;
		return 1;
	}
	if (rc != UV_EBUSY)
		return args_failure(L, rc, path);
	lua_pushnil(L);
	lua_pushfstring(L, "%s: the lock is held", path);
	lua_pushliteral(L, "BUSY");
	return 3;
}

/* locked(path, slot) -> boolean | nil, message, code */
static int lfile_locked(lua_State *L)
{
	const char *path = args_path(L, 1);
	int rc = file_locked(path, check_slot(L));

	if (rc < 0)
		return args_failure(L, rc, path);
	lua_pushboolean(L, rc);
	return 1;
}

/* What is to be known. */

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "folder";
	case S_IFLNK:
		return "link";
	case S_IFSOCK:
		return "socket";
	case S_IFIFO:
		return "pipe";
	default:
		return "device";
	}
}

static void set_string(lua_State *L, const char *name, const char *value)
{
	lua_pushstring(L, value);
	lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, lua_Integer value)
{
	lua_pushinteger(L, value);
	lua_setfield(L, -2, name);
}

/* user, group, owner; "?" for one without a name. Their text is getpwuid()'s, until it is
 * called again. */
static void set_owner(lua_State *L, const struct stat *st)
{
	const struct passwd *user = getpwuid(st->st_uid);
	const struct group *group = getgrgid(st->st_gid);

	set_integer(L, "uid", st->st_uid);
	set_integer(L, "gid", st->st_gid);
	set_string(L, "user", user ? user->pw_name : "?");
	set_string(L, "group", group ? group->gr_name : "?");
	lua_pushfstring(L, "%s:%s", user ? user->pw_name : "?",
			group ? group->gr_name : "?");
	lua_setfield(L, -2, "owner");
}

/* info(path [, link]) -> {owner = "haproxy:haproxy", mode = "0600", ...} | nil, message,
 * code. Of the link itself if `link` is true. Opens nothing: no watch sees it. */
static int lfile_info(lua_State *L)
{
	const char *path = args_path(L, 1);
	int flags = lua_toboolean(L, 2) ? AT_SYMLINK_NOFOLLOW : 0;
	struct stat st;
	char mode[8];

	if (fstatat(AT_FDCWD, path, &st, flags) < 0)
		return args_failure(L, -errno, path);
	lua_createtable(L, 0, 12);
	set_owner(L, &st);
	snprintf(mode, sizeof mode, "%04o", (unsigned)st.st_mode & 07777);
	set_string(L, "mode", mode);
	set_string(L, "type", type_name(st.st_mode));
	set_integer(L, "size", st.st_size);
	set_integer(L, "inode", (lua_Integer)st.st_ino);
	set_integer(L, "device", (lua_Integer)st.st_dev);
	lua_pushnumber(L, (lua_Number)st.st_mtim.tv_sec +
				  (lua_Number)st.st_mtim.tv_nsec / 1e9);
	lua_setfield(L, -2, "mtime");
	lua_pushboolean(L, faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0);
	lua_setfield(L, -2, "writable");
	return 1;
}

/* id(path) -> "DEVICE:INODE" | nil, message, code. What info() tells of who owns a file
 * costs thirty system calls. */
static int lfile_id(lua_State *L)
{
	const char *path = args_path(L, 1);
	struct stat st;

	if (stat(path, &st) < 0)
		return args_failure(L, -errno, path);
	lua_pushfstring(L, "%I:%I", (LUAI_UACINT)st.st_dev, (LUAI_UACINT)st.st_ino);
	return 1;
}

/* real(path) -> absolute path without links | nil, message, code */
static int lfile_real(lua_State *L)
{
	const char *path = args_path(L, 1);
	char real[PATH_MAX];

	if (!realpath(path, real))
		return args_failure(L, -errno, path);
	lua_pushstring(L, real);
	return 1;
}

/* link(path) -> what a link says | nil, message, code */
static int lfile_link(lua_State *L)
{
	const char *path = args_path(L, 1);
	char text[PATH_MAX];
	ssize_t n = readlink(path, text, sizeof text);

	if (n < 0 || n == sizeof text)
		return args_failure(L, n < 0 ? -errno : UV_ENAMETOOLONG, path);
	lua_pushlstring(L, text, (size_t)n);
	return 1;
}

/* folder(path [, {mode = "0750"}]) -> true | nil, message, code; "EEXIST" when there is
 * anything. */
static int lfile_folder(lua_State *L)
{
	static const char *const known[] = {"mode", NULL};
	const char *path = args_path(L, 1);

	args_options(L, 2, known);
	return done(L, file_folder(path, args_mode(L, 2, 0750)), path);
}

static int list_close(lua_State *L)
{
	DIR **folder = luaL_checkudata(L, 1, LIST_BOX);

	if (*folder)
		closedir(*folder);
	*folder = NULL;
	return 0;
}

/* list(path) -> the names in a folder, in no order | nil, message, code */
static int lfile_list(lua_State *L)
{
	const char *path = args_path(L, 1);
	DIR **folder = lua_newuserdatauv(L, sizeof *folder, 0);
	lua_Integer n = 0;

	*folder = NULL;
	luaL_setmetatable(L, LIST_BOX);
	lua_toclose(L, -1);
	*folder = opendir(path);
	if (!*folder)
		return args_failure(L, -errno, path);
	lua_newtable(L);
	for (const struct dirent *e; (e = readdir(*folder));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		lua_pushstring(L, e->d_name);
		lua_rawseti(L, -2, ++n);
	}
	return 1;
}

static const luaL_Reg library[] = {
	{"replace", lfile_replace},
	{"read", lfile_read},
	{"lock", lfile_lock},
	{"locked", lfile_locked},
	{"info", lfile_info},
	{"real", lfile_real},
	{"link", lfile_link},
	{"folder", lfile_folder},
	{"list", lfile_list},
	{"id", lfile_id},
	{NULL, NULL},
};

static const luaL_Reg methods[] = {{"release", lock_close}, {NULL, NULL}};

static const luaL_Reg meta[] = {
	{"__gc", lock_close}, {"__close", lock_close}, {NULL, NULL}};

int luaopen_haplua_file(lua_State *L)
{
	types_object(L, LOCK_BOX, methods, meta);
	types_box(L, BYTES_BOX, bytes_close);
	types_box(L, LIST_BOX, list_close);
	luaL_newlib(L, library);
	return 1;
}
