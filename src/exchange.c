/* SPDX-License-Identifier: MIT
 *
 * exchange.c - packing a series of commands into lines, and reading the replies back. */
#include "exchange.h"
#include "err.h"

/* A longer deadline than this needs a longer one of HAProxy's, too: `stats timeout` is 10
 * s by default, and some sites set it lower. */
#define PATIENCE_SECONDS 5.0

/* Begin the next line, empty but for the host's own commands. */
static int start_line(struct exchange *x)
{
	struct target *t = x->target;
	int rc = batch_start(&x->line, span_of(t->route), t->line_max);

	if (rc == 0 && x->timeout > PATIENCE_SECONDS)
		rc = batch_timeout(&x->line, x->timeout);
	return rc;
}

int exchange_start(struct exchange *x, struct target *target, double timeout)
{
	x->target = target_ref(target);
	x->timeout = timeout;
	return start_line(x);
}

int exchange_add(struct exchange *x, struct span command,
		 const struct reply_grammar *grammar)
{
	struct exchange_mark mark = {x->bytes.n + command.n, grammar};
	int rc = batch_check(&x->line, command);

	if (rc == 0)
		rc = buf_add(&x->marks, &mark, sizeof mark);
	if (rc < 0)
		return rc;
	rc = buf_add_span(&x->bytes, command);
	if (rc < 0) {
		x->marks.n -= sizeof mark;
		return rc;
	}
	x->n++;
	return 0;
}

int exchange_payload(struct exchange *x, struct span payload)
{
	return buf_add_span(&x->payload, payload);
}

static const struct exchange_mark *mark_of(const struct exchange *x, size_t index)
{
	return (const struct exchange_mark *)x->marks.p + index;
}

bool exchange_changes(const struct exchange *x)
{
	for (size_t i = 0; i < x->n; i++)
		if (mark_of(x, i)->grammar->flags & REPLY_CHANGES)
			return true;
	return false;
}

struct span exchange_command(const struct exchange *x, size_t index)
{
	size_t begin = index ? mark_of(x, index - 1)->end : 0;

	return (struct span){x->bytes.p + begin, mark_of(x, index)->end - begin};
}

static bool severity_asked(const struct exchange *x)
{
	return !x->target->route[0];
}

/* Put as many commands as fit on a line. 0 or a failure of batch_add(). */
static int pack(struct exchange *x)
{
	int rc = start_line(x);

	if (rc < 0)
		return rc;
	if (x->payload.n > 0) {
		rc = batch_add_payload(&x->line, exchange_command(x, x->next),
				       buf_span(&x->payload));
		x->next += rc > 0;
		return rc < 0 ? rc : 0;
	}
	while (x->next < x->n) {
		rc = batch_add(&x->line, exchange_command(x, x->next));
		if (rc <= 0)
			break;
		if (mark_of(x, x->next)->grammar->flags & REPLY_RAW)
			x->line.closed = true;
		x->next++;
	}
	return rc < 0 ? rc : 0;
}

static int send_line(struct exchange *x)
{
	struct clock *clock = x->target->clock;
	int rc = pack(x);

	if (rc == 0)
		rc = batch_finish(&x->line);
	if (rc == 0)
		rc = request_new(&x->request, x->target, &x->line.bytes);
	if (rc < 0)
		return rc;
	frame_start(&x->frame, x->line.lead + x->line.count);
	request_start(x->request, clock_after(clock, x->timeout), x->wake, x->owner);
	return 0;
}

/* Cut the next reply off what has come. 1: *reply; 0: more is needed; <0. */
static int cut(struct exchange *x, struct span *reply, bool *whole)
{
	struct request *r = x->request;
	struct span answer = buf_span(&r->in);

	*whole = true;
	if (frame_next(&x->frame, answer, reply))
		return 1;
	if (r->state != REQUEST_DONE)
		return 0;
	if (r->rc < 0) {
		*reply = frame_tail(&x->frame, answer);
		return r->rc;
	}
	int rc = frame_last(&x->frame, answer, reply, whole);

	return rc < 0 ? rc : 1;
}

int exchange_next(struct exchange *x, struct exchange_reply *out)
{
	struct span reply;
	bool whole;
	int rc;

	*out = (struct exchange_reply){.index = x->answered};
	for (;;) {
		if (x->answered == x->n)
			return EXCHANGE_END;
		if (x->request && x->frame.left == 0) {
			request_drop(x->request);
			x->request = NULL;
			batch_free(&x->line);
		}
		if (!x->request) {
			rc = send_line(x);
			if (rc < 0)
				return rc;
		}
		rc = cut(x, &reply, &whole);
		if (rc == 0)
			return EXCHANGE_WAIT;
		if (rc < 0)
			out->text = reply;
		if (rc > 0 && x->line.lead > 0) { /* to the host's own commands */
			x->line.lead--;
			if (reply.n > 0)
				rc = HAP_EPROTOCOL;
			out->text = reply;
		} else {
			break;
		}
		if (rc < 0)
			break;
	}
	out->command = exchange_command(x, x->answered);
	if (rc < 0)
		return rc;
	out->rc = reply_check(mark_of(x, x->answered)->grammar, reply, whole,
			      severity_asked(x), &out->text);
	x->answered++;
	return EXCHANGE_REPLY;
}

void exchange_stop(struct exchange *x)
{
	x->n = x->next;
}

struct span exchange_tail(const struct exchange *x)
{
	if (!x->request || x->line.lead > 0)
		return (struct span){NULL, 0};
	return frame_tail(&x->frame, buf_span(&x->request->in));
}

void exchange_free(struct exchange *x)
{
	if (x->request)
		request_drop(x->request);
	if (x->target)
		target_unref(x->target);
	batch_free(&x->line);
	buf_free(&x->bytes);
	buf_free(&x->marks);
	buf_free(&x->payload);
	*x = (struct exchange){0};
}
