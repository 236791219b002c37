/* SPDX-License-Identifier: MIT
 *
 * namespace.c - the table `haplua.namespace`: a part of the system for this process and
 * its children alone, in which lua/haplua/rehearse starts another HAProxy
 * (namespaces(7)). Each function returns true, or nil, message, code. */
#include "base/err.h"
#include "luakit/args.h"
#include "luakit/types.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <lauxlib.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* mount_setattr(2): glibc has it since 2.36, Linux since 5.12. */
#define SYS_MOUNT_SETATTR   442
#define WITH_ALL_BELOW      0x8000
#define ATTRIBUTE_READ_ONLY 0x1

/* What a process shares with others. */
static const struct word {
	const char *name;
	unsigned long bit;
} kinds[] =
	{
		{"user", CLONE_NEWUSER},
		{"mount", CLONE_NEWNS},
		{"net", CLONE_NEWNET},
		{"pid", CLONE_NEWPID},
		{"ipc", CLONE_NEWIPC},
		{"uts", CLONE_NEWUTS},
		{NULL, 0},
},
  ways[] = {
	  {"bind", MS_BIND},         {"recursive", MS_REC},
	  {"private", MS_PRIVATE},   {"read-only", MS_RDONLY},
	  {"remount", MS_REMOUNT},   {"nosuid", MS_NOSUID},
	  {"nodev", MS_NODEV},       {"noexec", MS_NOEXEC},
	  {"noatime", MS_NOATIME},   {"nodiratime", MS_NODIRATIME},
	  {"relatime", MS_RELATIME}, {NULL, 0},
};

static int done(lua_State *L, int failed, const char *what)
{
	if (failed < 0)
		return args_failure(L, -errno, what);
	lua_pushboolean(L, true);
	return 1;
}

/* The bits of the words in the list at `index`. */
static unsigned long bits_of(lua_State *L, int index, const struct word *known)
{
	unsigned long bits = 0;
	int n = args_length(L, index, "the list");

	for (int i = 1; i <= n; i++) {
		const struct word *word = known;

		lua_geti(L, index, i);
		const char *name = luaL_checkstring(L, -1);

		while (word->name && strcmp(word->name, name) != 0)
			word++;
		if (!word->name)
			luaL_argerror(L, index, "a list of known words expected");
		bits |= word->bit;
		lua_pop(L, 1);
	}
	return bits;
}

/* unshare{"mount", "net", ...}: have these apart from now on; "pid" is for children. */
static int lnamespace_unshare(lua_State *L)
{
	return done(L, unshare((int)bits_of(L, 1, kinds)), "unshare");
}

/* join(path): go over to the mounts of another process: "/proc/PID/ns/mnt". Its root is
 * then this process's root and folder. */
static int lnamespace_join(lua_State *L)
{
	const char *path = args_path(L, 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int failed = fd < 0 ? -1 : setns(fd, CLONE_NEWNS), problem = errno;

	if (fd >= 0)
		close(fd);
	errno = problem;
	return done(L, failed, path);
}

/* mount(source, target, type, {"bind", ...} [, data]); source, type: "" for none */
static int lnamespace_mount(lua_State *L)
{
	const char *source = luaL_checkstring(L, 1), *target = args_path(L, 2);
	const char *type = luaL_checkstring(L, 3), *data = luaL_optstring(L, 5, NULL);
	unsigned long flags = bits_of(L, 4, ways);

	return done(L, mount(source, target, *type ? type : NULL, flags, data), target);
}

/* read_only(path): the mount at a path, and all below it, can only be read. */
static int lnamespace_read_only(lua_State *L)
{
	const char *path = args_path(L, 1);
	struct {
		uint64_t set, clear, propagation, user;
	} attributes = {.set = ATTRIBUTE_READ_ONLY};

	return done(L,
		    (int)syscall(SYS_MOUNT_SETATTR, AT_FDCWD, path, WITH_ALL_BELOW,
				 &attributes, sizeof attributes),
		    path);
}

/* root(path): make a folder the root and the folder of this process. */
static int lnamespace_root(lua_State *L)
{
	const char *path = args_path(L, 1);

	return done(L, chroot(path) < 0 || chdir("/") < 0 ? -1 : 0, path);
}

/* folder(path): the folder in which relative names begin. */
static int lnamespace_folder(lua_State *L)
{
	const char *path = args_path(L, 1);

	return done(L, chdir(path), path);
}

/* SIGKILL for this process when its parent ends. The parent may have ended just before:
 * who needs to know writes to a pipe of which only the parent has the other end. */
static int lnamespace_end_with_parent(lua_State *L)
{
	return done(L, prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
}

/* The network. */

/* Bring the loopback interface up. It is down in a new network alone: EBUSY elsewhere, so
 * that the addresses of a network with others are never taken. 0, or -1 and errno. */
static int set_up(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	int failed = ioctl(fd, SIOCGIFFLAGS, &request), problem = errno;

	if (failed == 0 && (request.ifr_flags & IFF_UP)) {
		failed = -1;
		problem = EBUSY;
	} else if (failed == 0) {
		request.ifr_flags = IFF_UP;
		failed = ioctl(fd, SIOCSIFFLAGS, &request);
		problem = errno;
	}
	close(fd);
	errno = problem;
	return failed;
}

/* Make all addresses of a family those of this machine, by a route of the table "local"
 * to interface `index`. 0, or -1 and errno. */
static int own_all(unsigned char family, int index)
{
	struct {
		struct nlmsghdr head;
		struct rtmsg route;
		struct rtattr attribute;
		int index;
	} request = {
		.head = {.nlmsg_len = sizeof request,
			 .nlmsg_type = RTM_NEWROUTE,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE},
		.route = {.rtm_family = family,
			  .rtm_table = RT_TABLE_LOCAL,
			  .rtm_protocol = RTPROT_BOOT,
			  .rtm_scope = RT_SCOPE_HOST,
			  .rtm_type = RTN_LOCAL},
		.attribute = {.rta_len = RTA_LENGTH(sizeof(int)), .rta_type = RTA_OIF},
		.index = index,
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[256];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -1;
	ssize_t n = send(fd, &request, sizeof request, 0);

	n = n < 0 ? n : recv(fd, &answer, sizeof answer, 0);
	int problem = n < 0 ? errno : -answer.error.error;

	close(fd);
	errno = problem;
	return problem ? -1 : 0;
}

/* loopback() -> true, whether IPv6 is there as well: in a new network, every address
 * becomes one of this process's. "EBUSY": the network is not new. */
static int lnamespace_loopback(lua_State *L)
{
	if (set_up() < 0 || own_all(AF_INET, (int)if_nametoindex("lo")) < 0)
		return args_failure(L, -errno, "the loopback interface");
	lua_pushboolean(L, true);
	lua_pushboolean(L, own_all(AF_INET6, (int)if_nametoindex("lo")) == 0);
	return 2;
}

static const luaL_Reg library[] = {
	{"unshare", lnamespace_unshare},
	{"join", lnamespace_join},
	{"mount", lnamespace_mount},
	{"read_only", lnamespace_read_only},
	{"root", lnamespace_root},
	{"folder", lnamespace_folder},
	{"end_with_parent", lnamespace_end_with_parent},
	{"loopback", lnamespace_loopback},
	{NULL, NULL},
};

int luaopen_haplua_namespace(lua_State *L)
{
	luaL_newlib(L, library);
	return 1;
}
