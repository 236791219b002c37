/* SPDX-License-Identifier: MIT
 *
 * lookup.c - a queue of look-ups, and detached threads that work it off. */
#include "net/lookup.h"
#include "base/err.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

/* At most so many look-ups run at once; the others wait for one of them to end. */
#define THREADS_MAX 32

enum state { QUEUED, RUNNING, FOUND, CANCELLED };

/* Belongs to the loop's thread, except that a thread frees one that was CANCELLED while
 * it was RUNNING. */
struct lookup {
	struct address address;
	uv_async_t *async; /* owned while open, then by its close callback */
	lookup_done *done;
	void *owner; /* borrowed */
	/* From here on under pool.lock. */
	enum state state;
	int rc;                 /* FOUND: what getaddrinfo() returned */
	struct addrinfo *found; /* owned */
	struct lookup *next;    /* QUEUED */
};

static struct {
	pthread_mutex_t lock;
	struct lookup *first, **last; /* QUEUED */
	int threads;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .last = &pool.first};

/* libuv's code for one of getaddrinfo()'s. */
static int code_of(int rc)
{
	static const struct {
		int eai, code;
	} codes[] = {
		{0, 0},
		{EAI_AGAIN, UV_EAI_AGAIN},
		{EAI_FAIL, UV_EAI_FAIL},
		{EAI_MEMORY, UV_EAI_MEMORY},
		{EAI_NODATA, UV_EAI_NODATA},
		{EAI_ADDRFAMILY, UV_EAI_ADDRFAMILY},
		{EAI_FAMILY, UV_EAI_FAMILY},
		{EAI_SERVICE, UV_EAI_SERVICE},
	};

	if (rc == EAI_SYSTEM)
		return -errno;
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (codes[i].eai == rc)
			return codes[i].code;
	return UV_EAI_NONAME;
}

static int find(const struct address *a, int flags, struct addrinfo **found)
{
	static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
	struct addrinfo hints = {
		.ai_family = families[a->family],
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | flags,
	};

	*found = NULL;
	return code_of(getaddrinfo(a->host, a->port, &hints, found));
}

int lookup_number(const struct address *a, struct addrinfo **found)
{
	return find(a, AI_NUMERICHOST, found);
}

/* Take the oldest look-up off the queue. Under the lock. */
static struct lookup *next_queued(void)
{
	struct lookup *l = pool.first;

	if (l)
		pool.first = l->next;
	if (!pool.first)
		pool.last = &pool.first;
	return l;
}

static void release(struct lookup *l)
{
	if (l->found)
		freeaddrinfo(l->found);
	free(l);
}

static void *work(void *unused)
{
	struct lookup *l;

	pthread_mutex_lock(&pool.lock);
	while ((l = next_queued())) {
		struct addrinfo *found;

		l->state = RUNNING;
		pthread_mutex_unlock(&pool.lock);
		int rc = find(&l->address, 0, &found);

		pthread_mutex_lock(&pool.lock);
		l->rc = rc;
		l->found = found;
		if (l->state == CANCELLED) {
			release(l);
		} else {
			l->state = FOUND;
			uv_async_send(l->async);
		}
	}
	pool.threads--;
	pthread_mutex_unlock(&pool.lock);
	return unused;
}

/* Start a thread, to which no signal is delivered. 0 or -errno. */
static int start_thread(void)
{
	sigset_t all, before;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&thread, NULL, work, NULL);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		pthread_detach(thread);
	return -rc;
}

/* Queue it, and have a thread come to it. 0 or -errno. */
static int enqueue(struct lookup *l)
{
	int rc = 0;

	pthread_mutex_lock(&pool.lock);
	if (pool.threads < THREADS_MAX) {
		rc = start_thread();
		pool.threads += rc == 0;
	}
	/* Where the system gives no new thread, one that runs does it later. */
	if (rc == 0 || pool.threads > 0) {
		*pool.last = l;
		pool.last = &l->next;
		rc = 0;
	}
	pthread_mutex_unlock(&pool.lock);
	return rc;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

static void on_found(uv_async_t *async)
{
	struct lookup *l = async->data;
	lookup_done *done = l->done;
	void *owner = l->owner;

	pthread_mutex_lock(&pool.lock);
	struct addrinfo *found = l->found;
	int rc = l->rc;

	l->found = NULL;
	pthread_mutex_unlock(&pool.lock);
	uv_close((uv_handle_t *)async, on_closed);
	release(l);
	done(owner, rc, found);
}

int lookup_start(struct lookup **out, uv_loop_t *loop, const struct address *a,
		 lookup_done *done, void *owner)
{
	struct lookup *l = calloc(1, sizeof *l);
	uv_async_t *async = malloc(sizeof *async);
	int rc = l && async ? uv_async_init(loop, async, on_found) : HAP_ENOMEM;

	if (rc < 0) {
		free(l);
		free(async);
		return rc;
	}
	*l = (struct lookup){*a, async, done, owner, QUEUED, 0, NULL, NULL};
	async->data = l;
	rc = enqueue(l);
	if (rc < 0) {
		uv_close((uv_handle_t *)async, on_closed);
		free(l);
		return rc;
	}
	*out = l;
	return 0;
}

/* Under the lock. */
static void unqueue(struct lookup *l)
{
	struct lookup **link = &pool.first;

	while (*link != l)
		link = &(*link)->next;
	*link = l->next;
	if (pool.last == &l->next)
		pool.last = link;
}

void lookup_cancel(struct lookup *l)
{
	uv_async_t *async = l->async;

	pthread_mutex_lock(&pool.lock);
	bool runs = l->state == RUNNING;

	if (l->state == QUEUED)
		unqueue(l);
	l->state = CANCELLED;
	pthread_mutex_unlock(&pool.lock);
	uv_close((uv_handle_t *)async, on_closed);
	if (!runs)
		release(l);
}
