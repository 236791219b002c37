/* SPDX-License-Identifier: MIT
 *
 * lookup.c - a queue of look-ups, and detached threads that work it off. */
#include "net/lookup.h"
#include "base/err.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/queue.h>

/* At most so many look-ups run at once; the others wait for one of them to end. */
#define THREADS_MAX 32

struct lookup {
	struct address address;
	uv_async_t *async; /* owned while open, then by its close callback */
	lookup_done *done;
	void *owner; /* borrowed */
	/* From here on under pool.lock. */
	enum {
		PENDING,
		FOUND,
		CANCELLED
	} state;                /* a thread frees one that is CANCELLED */
	int rc;                 /* FOUND: as for `done` */
	struct addrinfo *found; /* owned */
	STAILQ_ENTRY(lookup) in_queue;
};

static struct {
	pthread_mutex_t lock;
	STAILQ_HEAD(, lookup) queue; /* no thread has taken them yet */
	int threads;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER,
	  .queue = STAILQ_HEAD_INITIALIZER(pool.queue)};

/* libuv's code for one of getaddrinfo()'s. */
static int code_of(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case EAI_SYSTEM:
		return -errno;
	case EAI_AGAIN:
		return UV_EAI_AGAIN;
	case EAI_FAIL:
		return UV_EAI_FAIL;
	case EAI_MEMORY:
		return UV_EAI_MEMORY;
	default:
		return UV_EAI_NONAME;
	}
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

static void release(struct lookup *l)
{
	if (l->found)
		freeaddrinfo(l->found);
	free(l);
}

/* Look up one name. Under the lock, which is open meanwhile. */
static void run(struct lookup *l)
{
	if (l->state == PENDING) {
		pthread_mutex_unlock(&pool.lock);
		l->rc = find(&l->address, 0, &l->found);
		pthread_mutex_lock(&pool.lock);
	}
	if (l->state == CANCELLED) {
		release(l);
	} else {
		l->state = FOUND;
		uv_async_send(l->async);
	}
}

static void *work(void *unused)
{
	struct lookup *l;

	pthread_mutex_lock(&pool.lock);
	while ((l = STAILQ_FIRST(&pool.queue))) {
		STAILQ_REMOVE_HEAD(&pool.queue, in_queue);
		run(l);
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

/* Put it into the queue, for a new thread if there may be one more. 0 or -errno. */
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
		STAILQ_INSERT_TAIL(&pool.queue, l, in_queue);
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
	/* The thread that woke the loop holds the lock until it has done so. */
	pthread_mutex_lock(&pool.lock);
	struct lookup l = *(struct lookup *)async->data;

	pthread_mutex_unlock(&pool.lock);
	free(async->data);
	uv_close((uv_handle_t *)async, on_closed);
	l.done(l.owner, l.rc, l.found);
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
	*l = (struct lookup){.address = *a, .async = async, .done = done, .owner = owner};
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

void lookup_cancel(struct lookup *l)
{
	uv_async_t *async = l->async;

	pthread_mutex_lock(&pool.lock);
	bool ended = l->state == FOUND;

	l->state = CANCELLED;
	pthread_mutex_unlock(&pool.lock);
	uv_close((uv_handle_t *)async, on_closed);
	if (ended)
		release(l);
}
