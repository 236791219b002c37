/* SPDX-License-Identifier: MIT
 *
 * multi.c - curl_multi_socket_action() behind handles of libuv.
 * libcurl says which sockets it waits for (on_socket) and when it wants to be called
 * (on_timeout). Both callbacks only note things: no function of libcurl is called within
 * one. */
#include "curl/multi.h"
#include "base/err.h"

#include <signal.h>
#include <stdlib.h>

struct multi {
	int refs;
	CURLM *curl;     /* owned */
	uv_timer_t wake; /* real time, also where the host's clock is a test's */
	uv_loop_t *loop; /* borrowed */
};

/* One socket of libcurl's. Owned by its uv handle. */
struct link {
	uv_poll_t poll;
	struct multi *of; /* borrowed: it outlives the sockets of its multi handle */
	curl_socket_t fd;
};

/* Note the transfers that have ended. */
static void collect(struct multi *m)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(m->curl, &left))) {
		struct multi_user *user = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&user);
		user->done(user, message->data.result);
	}
}

/* Have libcurl do what is due. Its threads, which look up names, inherit the mask: no
 * signal is for them. */
static void act(struct multi *m, curl_socket_t fd, int events)
{
	sigset_t all, before;
	int running;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	curl_multi_socket_action(m->curl, fd, events, &running);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	collect(m);
}

static void on_wake(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timeout(CURLM *multi, long ms, void *data)
{
	struct multi *m = data;

	(void)multi;
	if (ms < 0)
		uv_timer_stop(&m->wake);
	else
		uv_timer_start(&m->wake, on_wake, (uint64_t)ms, 0);
	return 0;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct link *link = poll->data;
	int mask = (status < 0 ? CURL_CSELECT_ERR : 0) |
		   (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
		   (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);

	act(link->of, link->fd, mask);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* A link for a socket, or NULL. */
static struct link *link_new(struct multi *m, curl_socket_t fd)
{
	struct link *link = calloc(1, sizeof *link);

	if (!link || uv_poll_init_socket(m->loop, &link->poll, fd) < 0) {
		free(link);
		return NULL;
	}
	link->of = m;
	link->fd = fd;
	link->poll.data = link;
	return link;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *known)
{
	struct multi *m = data;
	struct link *link = known;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (link)
			uv_close((uv_handle_t *)&link->poll, on_closed);
		return 0;
	}
	if (!link) {
		link = link_new(m, fd);
		if (!link)
			return -1; /* libcurl ends the transfer */
		curl_multi_assign(m->curl, fd, link);
	}
	int events = (what & CURL_POLL_IN ? UV_READABLE : 0) |
		     (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

	return uv_poll_start(&link->poll, events, on_ready) < 0 ? -1 : 0;
}

int multi_new(struct multi **out, uv_loop_t *loop)
{
	struct multi *m = calloc(1, sizeof *m);
	CURLM *curl = m ? curl_multi_init() : NULL;

	if (!curl) {
		free(m);
		return HAP_ENOMEM;
	}
	*m = (struct multi){.refs = 1, .curl = curl, .loop = loop};
	uv_timer_init(loop, &m->wake);
	m->wake.data = m;
	curl_multi_setopt(curl, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(curl, CURLMOPT_SOCKETDATA, m);
	curl_multi_setopt(curl, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(curl, CURLMOPT_TIMERDATA, m);
	curl_multi_setopt(curl, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	curl_multi_setopt(curl, CURLMOPT_MAXCONNECTS, MULTI_CONNECTIONS);
	*out = m;
	return 0;
}

struct multi *multi_ref(struct multi *m)
{
	m->refs++;
	return m;
}

void multi_unref(struct multi *m)
{
	if (--m->refs > 0)
		return;
	curl_multi_cleanup(m->curl);
	uv_close((uv_handle_t *)&m->wake, on_closed);
}

CURLcode multi_add(struct multi *m, CURL *easy, struct multi_user *user)
{
	CURLcode rc = curl_easy_setopt(easy, CURLOPT_PRIVATE, user);

	if (rc == CURLE_OK && curl_multi_add_handle(m->curl, easy) != CURLM_OK)
		rc = CURLE_OUT_OF_MEMORY;
	return rc;
}

void multi_remove(struct multi *m, CURL *easy)
{
	curl_multi_remove_handle(m->curl, easy);
}

void multi_set_common(CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "haplua");
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	/* An end does not wait for the thread that looks up a name. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}
