/* SPDX-License-Identifier: MIT
 *
 * transfer.c - curl_multi_socket_action() behind handles of libuv.
 * libcurl says which sockets it waits for (on_socket) and when it wants to be called
 * (on_timeout). Both callbacks, and those for bytes, only note things: no function of
 * libcurl is called within one. */
#include "curl/transfer.h"
#include "base/err.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

struct transfers {
	int refs;
	CURLM *multi;    /* owned */
	uv_timer_t wake; /* real time, also where the host's clock is a test's */
	uv_loop_t *loop; /* borrowed */
};

/* One socket of libcurl's. Owned by its uv handle. */
struct link {
	uv_poll_t poll;
	struct transfers *of; /* borrowed: it outlives the sockets of its multi handle */
	curl_socket_t fd;
};

/* Note the transfers that have ended. */
static void collect(struct transfers *ts)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(ts->multi, &left))) {
		struct transfer *t = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		t->done = true;
		t->rc = message->data.result;
		/* The end that on_body() asked for. */
		if (t->rc == CURLE_WRITE_ERROR && t->body > TRANSFER_BODY_MAX)
			t->rc = CURLE_OK;
		if (t->wake)
			t->wake(t->owner);
	}
}

/* Have libcurl do what is due. Its threads, which look up names, inherit the mask: no
 * signal is for them. */
static void act(struct transfers *ts, curl_socket_t fd, int events)
{
	sigset_t all, before;
	int running;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	curl_multi_socket_action(ts->multi, fd, events, &running);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	collect(ts);
}

static void on_wake(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timeout(CURLM *multi, long ms, void *data)
{
	struct transfers *ts = data;

	(void)multi;
	if (ms < 0)
		uv_timer_stop(&ts->wake);
	else
		uv_timer_start(&ts->wake, on_wake, (uint64_t)ms, 0);
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
static struct link *link_new(struct transfers *ts, curl_socket_t fd)
{
	struct link *link = calloc(1, sizeof *link);

	if (!link || uv_poll_init_socket(ts->loop, &link->poll, fd) < 0) {
		free(link);
		return NULL;
	}
	link->of = ts;
	link->fd = fd;
	link->poll.data = link;
	return link;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *known)
{
	struct transfers *ts = data;
	struct link *link = known;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (link)
			uv_close((uv_handle_t *)&link->poll, on_closed);
		return 0;
	}
	if (!link) {
		link = link_new(ts, fd);
		if (!link)
			return -1; /* libcurl ends the transfer */
		curl_multi_assign(ts->multi, fd, link);
	}
	int events = (what & CURL_POLL_IN ? UV_READABLE : 0) |
		     (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

	return uv_poll_start(&link->poll, events, on_ready) < 0 ? -1 : 0;
}

int transfers_new(struct transfers **out, uv_loop_t *loop)
{
	struct transfers *ts = calloc(1, sizeof *ts);
	CURLM *multi = ts ? curl_multi_init() : NULL;

	if (!multi) {
		free(ts);
		return HAP_ENOMEM;
	}
	*ts = (struct transfers){.refs = 1, .multi = multi, .loop = loop};
	uv_timer_init(loop, &ts->wake);
	ts->wake.data = ts;
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, ts);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, ts);
	curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	*out = ts;
	return 0;
}

void transfers_unref(struct transfers *ts)
{
	if (--ts->refs > 0)
		return;
	curl_multi_cleanup(ts->multi);
	uv_close((uv_handle_t *)&ts->wake, on_closed);
}

/* The callbacks of a transfer. */

/* Programs that haplua starts must not get the socket. */
static curl_socket_t on_open(void *data, curlsocktype purpose, struct curl_sockaddr *a)
{
	(void)data, (void)purpose;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* A line of a head. A status line begins another head: an interim response (1xx) or a
 * redirect came before. Lines behind a body are no part of it. */
static size_t on_header(char *line, size_t size, size_t n, void *data)
{
	struct transfer *t = data;

	n *= size;
	if (n > 5 && strncasecmp(line, "HTTP/", 5) == 0)
		t->head.n = t->body = 0;
	if (t->body > 0)
		return n;
	return t->head.n + n > TRANSFER_HEAD_MAX || buf_add(&t->head, line, n) < 0 ? 0
										   : n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
	struct transfer *t = data;

	(void)bytes;
	t->body += size * n;
	return t->body > TRANSFER_BODY_MAX ? 0 : size * n;
}

/* What holds for every transfer. */
static void set_options(struct transfer *t)
{
	CURL *easy = t->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->text);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 10L);
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

int transfer_new(struct transfer **out, struct transfers *ts)
{
	struct transfer *t = calloc(1, sizeof *t);

	if (t)
		t->easy = curl_easy_init();
	if (!t || !t->easy) {
		free(t);
		return HAP_ENOMEM;
	}
	t->of = ts;
	ts->refs++;
	set_options(t);
	*out = t;
	return 0;
}

int transfer_add(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (!longer)
		return HAP_ENOMEM;
	*list = longer;
	return 0;
}

CURLcode transfer_start(struct transfer *t)
{
	CURLcode rc = curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);

	if (rc == CURLE_OK)
		rc = curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect);
	if (rc == CURLE_OK && curl_multi_add_handle(t->of->multi, t->easy) != CURLM_OK)
		rc = CURLE_OUT_OF_MEMORY;
	t->started = rc == CURLE_OK;
	return rc;
}

const char *transfer_phase(const struct transfer *t)
{
	static const struct {
		CURLINFO until;
		const char *name;
	} phases[] = {
		{CURLINFO_NAMELOOKUP_TIME_T, "resolve"},
		{CURLINFO_CONNECT_TIME_T, "connect"},
		{CURLINFO_PRETRANSFER_TIME_T, "connect"},
	};

	for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
		curl_off_t when = 0;

		curl_easy_getinfo(t->easy, phases[i].until, &when);
		if (when == 0)
			return phases[i].name;
	}
	return t->rc == CURLE_SEND_ERROR ? "write" : "read";
}

void transfer_close(struct transfer *t)
{
	t->wake = NULL;
	if (t->started)
		curl_multi_remove_handle(t->of->multi, t->easy);
	curl_easy_cleanup(t->easy);
	transfers_unref(t->of);
	curl_slist_free_all(t->headers);
	curl_slist_free_all(t->connect);
	buf_free(&t->head);
	free(t);
}
