/* SPDX-License-Identifier: MIT
 *
 * host.c - start, turn, ordered shutdown: everything that is there before a script is. */
#include "sched/host.h"
#include "base/err.h"
#include "net/target.h"
#include "os/signals.h"
#include "sched/cancel.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define HEAP_START 196608

/* Files that are no connections: the loop's, the script's, children's pipes. */
#define SPARE_FILES 128

/* Under such a limit of descriptors there may be too few to start with. */
#define LOW_LIMIT 64

struct host *host_of(lua_State *L)
{
	void *host;

	lua_getallocf(L, &host);
	return host;
}

/* Does a tool watch the memory? Then each object has an allocation of its own, and at the
 * end all is given back. Else objects are small parts of large blocks, and at the end the
 * system takes the memory back faster than it is given back one by one. */
static bool is_watched(void)
{
#ifdef HAP_DEBUG
	return true;
#else
	return getenv("HAPLUA_FREE") != NULL;
#endif
}

static void *allocate(void *owner, void *p, size_t old, size_t size)
{
	struct host *host = owner;

	return arena_resize(&host->arena, p, p ? old : 0, size);
}

static void *allocate_apart(void *host, void *p, size_t old, size_t size)
{
	(void)host, (void)old;
	if (size == 0) {
		free(p);
		return NULL;
	}
	return realloc(p, size);
}

/* Only a fault of the host's own gets here: scripts run protected. */
static int panic(lua_State *L)
{
	const char *text = lua_tostring(L, -1);

	fprintf(stderr, "haplua: internal error: %s\n", text ? text : "(no message)");
	return 0;
}

static void on_signal(void *owner, int signo)
{
	struct host *host = owner;

	if (signo == SIGINT && host->session)
		cancel_interrupt(host->session);
	else
		cancel_all(&host->scheduler, HAP_EINTERRUPTED);
}

/* libuv runs its timers before it sleeps: those may have woken a task. */
static void on_before_sleep(uv_prepare_t *handle)
{
	struct host *host = handle->data;

	if (!STAILQ_EMPTY(&host->scheduler.ready))
		uv_stop(&host->loop);
}

/* One turn of the loop, when every ready task has run once. */
static void turn(struct host *host)
{
	bool ready = !STAILQ_EMPTY(&host->scheduler.ready);

	if (uv_run(&host->loop, ready ? UV_RUN_NOWAIT : UV_RUN_ONCE) || ready ||
	    !STAILQ_EMPTY(&host->scheduler.ready))
		return;
	if (!host->test || !host->test->still(host))
		cancel_all(&host->scheduler, HAP_EDEADLOCK);
}

int host_loop(struct host *host)
{
	struct signals_user user = {on_signal, cancel_stop_running, host,
				    CANCEL_COMPUTE_NS};
	int rc = signals_start(&host->loop, &user);

	if (rc < 0)
		return rc;
	while (host->scheduler.alive > 0) {
		scheduler_run(&host->scheduler);
		if (host->test)
			host->test->serve(host);
		if (host->scheduler.alive > 0)
			turn(host);
	}
	signals_stop();
	return 0;
}

static jmp_buf finalized;

static int on_finalized(lua_State *L)
{
	(void)L;
	longjmp(finalized, 1);
}

/* Lua runs the oldest finalizer last. Make it one that leaves lua_close(). */
static int add_oldest_finalizer(lua_State *L)
{
	lua_newuserdatauv(L, 0, 0);
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, on_finalized);
	lua_setfield(L, -2, "__gc");
	lua_setmetatable(L, -2);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &finalized);
	return 0;
}

/* Most runs are over before there is anything worth collecting: let the heap grow to ten
 * times what it is now, with HEAP_START bytes more, before the first real cycle. */
static int grow_heap(lua_State *L)
{
	lua_newuserdatauv(L, HEAP_START, 0);
	lua_gc(L, LUA_GCINC, 1000, 0, 0);
	lua_gc(L, LUA_GCCOLLECT);
	return 0;
}

/* Call a function without arguments and results. false: out of memory. */
static bool call(lua_State *L, lua_CFunction function)
{
	lua_pushcfunction(L, function);
	return lua_pcall(L, 0, 0, 0) == LUA_OK;
}

/* With the loop open: make everything else. */
static int start(struct host *host)
{
	int rc = clock_init(&host->clock, &host->loop);

	uv_prepare_init(&host->loop, &host->before_sleep);
	host->before_sleep.data = host;
	uv_prepare_start(&host->before_sleep, on_before_sleep);
	uv_unref((uv_handle_t *)&host->before_sleep);
	host->L = rc == 0 ? lua_newstate(is_watched() ? allocate_apart : allocate, host)
			  : NULL;
	if (rc == 0 && !host->L)
		rc = HAP_ENOMEM;
	if (rc < 0)
		return rc;
	lua_atpanic(host->L, panic);
	if (!is_watched() && !call(host->L, add_oldest_finalizer))
		return HAP_ENOMEM;
	if (!call(host->L, grow_heap))
		return HAP_ENOMEM;
	scheduler_init(&host->scheduler, host->L, &host->clock);
	return 0;
}

/* Boxes close what they hold; then the loop sees every handle closed. */
void host_stop(struct host *host)
{
	if (host->L && setjmp(finalized) == 0)
		lua_close(host->L);
	clock_close(&host->clock);
	scheduler_close(&host->scheduler);
	uv_close((uv_handle_t *)&host->before_sleep, NULL);
	uv_run(&host->loop, UV_RUN_DEFAULT);
	uv_loop_close(&host->loop);
}

/* libuv aborts where it cannot grow its table of descriptors. This says why. */
static void *reallocate(void *p, size_t size)
{
	void *moved = realloc(p, size);

	if (!moved && size > 0) {
		fprintf(stderr, "haplua: %s\n", err_text(HAP_ENOMEM));
		exit(EXIT_FAILURE);
	}
	return moved;
}

/* Many targets need more descriptors than a process is given to begin with. No more than
 * that is asked for: children inherit the limit. */
static void raise_limit(const struct options *o)
{
	rlim_t need = (rlim_t)o->n_sockets * TARGET_CONNECTIONS_MAX + SPARE_FILES;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need)
		return;
	limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* libuv aborts where it gets no descriptors for its first loop: it needs three. Only
 * under a low limit are so few left. */
static int check_descriptors(void)
{
	struct rlimit limit;
	int fds[3], n = 0, rc = 0;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= LOW_LIMIT)
		return 0;
	for (; rc == 0 && n < 3; n += rc == 0) {
		fds[n] = open("/", O_PATH | O_CLOEXEC);
		rc = fds[n] < 0 ? -errno : 0;
	}
	while (n > 0)
		close(fds[--n]);
	return rc;
}

/* A write to a closed pipe fails with EPIPE. Unlike SIG_IGN, a handler is not inherited
 * by the programs that os.execute() and io.popen() start. */
static void on_broken_pipe(int signo)
{
	(void)signo;
}

int host_start(struct host *host, const struct options *options)
{
	raise_limit(options);
	*host = (struct host){.options = options};
	uv_replace_allocator(malloc, reallocate, calloc, free);
	int rc = check_descriptors();

	if (rc == 0)
		rc = uv_loop_init(&host->loop);

	if (rc < 0)
		return rc;
	sigaction(
		SIGPIPE,
		&(struct sigaction){.sa_handler = on_broken_pipe, .sa_flags = SA_RESTART},
		NULL);
	rc = start(host);
	if (rc < 0)
		host_stop(host);
	return rc;
}
