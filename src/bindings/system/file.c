/* SPDX-License-Identifier: MIT
 *
 * file.c - the table `haplua.file`: files replaced as a whole, locks, and what the system
 * knows of a file. */
#include "base/err.h"
#include "os/file.h"
#include "luakit/args.h"
#include "luakit/types.h"

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
/* The limit of file.read() in bytes, where none is given: no configuration comes near. */
#define READ_MAX (256 << 20)

static int done(lua_State *L, int rc, const char *path)
{
	if (rc < 0)
		return args_failure(L, rc, path);
	lua_pushboolean(L, true);
	return 1;
}

/* Push the option `mode` of the table at `index`, and read it. [-0, +1] */
static mode_t push_mode(lua_State *L, int index, mode_t absent)
{
	static const struct args_option known[] = {{"mode", ARGS_STRING}, {NULL, 0}};

	args_push_options(L, index, known, 0);
	return args_mode(L, -1, absent);
}

/* replace(path, text [, {mode = "0644"}]) -> true | nil, message, code */
static int lfile_replace(lua_State *L)
{
	const char *path = args_path(L, 1), *what;
	struct span text = args_text(L, 2);
	int rc = file_replace(path, text, push_mode(L, 3, 0644), &what);

	if (rc < 0 && what)
		path = lua_pushfstring(L, "%s: %s", path, what);
	return done(L, rc, path);
}

static int bytes_close(lua_State *L)
{
	buf_free(luaL_checkudata(L, 1, BYTES_BOX));
	return 0;
}

/* Push a box with an empty buffer, which is freed at the end of the call. [-0, +1] */
static struct buf *push_bytes(lua_State *L)
{
	struct buf *b = types_push(L, BYTES_BOX, sizeof *b, 0);

	lua_toclose(L, -1);
	return b;
}

/* read(path [, limit]) -> text | nil, message, code. "EFBIG": the file has more bytes
 * than the limit; a part of it is never returned. */
static int lfile_read(lua_State *L)
{
	const char *path = args_path(L, 1);
	lua_Integer limit = luaL_optinteger(L, 2, READ_MAX);

	luaL_argcheck(L, limit >= 0, 2, "a number of bytes expected");
	struct buf *b = push_bytes(L);
	int rc = file_read(path, (size_t)limit, b);

	if (rc < 0)
		return args_failure(L, rc, path);
	lua_pushlstring(L, b->p, b->n);
	return 1;
}

/* Locks. */

struct lock {
	int fd; /* owned: holds the lock; -1: released */
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

/* lock(path, slot) -> Lock | nil, message, code; "BUSY" where the slot is locked. */
static int lfile_lock(lua_State *L)
{
	const char *path = args_path(L, 1);
	int64_t slot = check_slot(L);
	struct lock *lock = types_push(L, LOCK_BOX, sizeof *lock, 0);

	lock->fd = -1;
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

/* The fields of file.info(). */

static const char *type_name(mode_t mode)
{
	static const char *const names[16] = {
		[S_IFREG >> 12] = "file", [S_IFDIR >> 12] = "folder",
		[S_IFLNK >> 12] = "link", [S_IFSOCK >> 12] = "socket",
		[S_IFIFO >> 12] = "pipe",
	};
	const char *name = names[(mode & S_IFMT) >> 12];

	return name ? name : "device";
}

static void set_integer(lua_State *L, const char *name, lua_Integer value)
{
	lua_pushinteger(L, value);
	lua_setfield(L, -2, name);
}

/* Set uid, gid, user, group, owner; "?" for a number without a name. getpwuid() and
 * getgrgid() return static memory, which a script's finalizer may overwrite: each name is
 * pushed at once. */
static void set_owner(lua_State *L, const struct stat *st)
{
	const struct passwd *user = getpwuid(st->st_uid);

	lua_pushstring(L, user ? user->pw_name : "?");
	const struct group *group = getgrgid(st->st_gid);

	lua_pushstring(L, group ? group->gr_name : "?");
	lua_pushfstring(L, "%s:%s", lua_tostring(L, -2), lua_tostring(L, -1));
	lua_setfield(L, -4, "owner");
	lua_setfield(L, -3, "group");
	lua_setfield(L, -2, "user");
	set_integer(L, "uid", st->st_uid);
	set_integer(L, "gid", st->st_gid);
}

/* info(path [, link]) -> {owner = "haproxy:haproxy", mode = "0600", ...} | nil, message,
 * code. True for `link` asks for the link itself. Does not open the file: a watch does
 * not notice. */
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
	types_set_text(L, "mode", mode);
	types_set_text(L, "type", type_name(st.st_mode));
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

/* id(path) -> "DEVICE:INODE" | nil, message, code. One system call; the names of info()
 * cost thirty. */
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

/* folder(path [, {mode = "0750"}]) -> true | nil, message, code; "EEXIST" where the path
 * exists, as whatever it is. */
static int lfile_folder(lua_State *L)
{
	const char *path = args_path(L, 1);

	return done(L, file_create(path, S_IFDIR, push_mode(L, 2, 0750)), path);
}

/* is_ours(path) -> file_is_ours() */
static int lfile_is_ours(lua_State *L)
{
	lua_pushboolean(L, file_is_ours(args_path(L, 1)));
	return 1;
}

/* list(path) -> the names in a folder, in no order | nil, message, code */
static int lfile_list(lua_State *L)
{
	const char *path = args_path(L, 1);
	struct buf *names = push_bytes(L);
	int rc = file_list(path, names);
	lua_Integer n = 0;

	if (rc < 0)
		return args_failure(L, rc, path);
	lua_newtable(L);
	for (size_t at = 0; at < names->n; at += strlen(names->p + at) + 1) {
		lua_pushstring(L, names->p + at);
		lua_rawseti(L, -2, ++n);
	}
	return 1;
}

static const luaL_Reg library[] = {
	{"replace", lfile_replace}, {"read", lfile_read},     {"lock", lfile_lock},
	{"locked", lfile_locked},   {"info", lfile_info},     {"real", lfile_real},
	{"link", lfile_link},       {"folder", lfile_folder}, {"list", lfile_list},
	{"is_ours", lfile_is_ours}, {"id", lfile_id},         {NULL, NULL},
};

static const luaL_Reg lock_methods[] = {{"release", lock_close},
					{"__close", lock_close},
					{"__gc", lock_close},
					{NULL, NULL}};

int luaopen_haplua_file(lua_State *L)
{
	types_object(L, LOCK_BOX, lock_methods);
	types_box(L, BYTES_BOX, bytes_close);
	luaL_newlib(L, library);
	return 1;
}
