/* SPDX-License-Identifier: MIT
 *
 * pipeline.c - packing a series of commands into lines, and reading the replies back. */
#include "net/pipeline.h"
#include "base/err.h"

/* A longer deadline than this needs a longer one of HAProxy's, too: `stats timeout` is 10
 * s by default, and some sites set it lower. */
#define PATIENCE_SECONDS 5.0
/* How much an error tells of an answer that broke off. */
#define GLIMPSE_MAX 16384

/* Begin the next line, empty but for the host's own commands. */
static int start_batch(struct pipeline *x)
{
	struct target *t = x->target;
	int rc = batch_start(&x->batch, span_of(t->route), t->line_max);

	if (rc == 0 && x->timeout > PATIENCE_SECONDS)
		rc = batch_timeout(&x->batch, x->timeout);
	return rc;
}

int pipeline_start(struct pipeline *x, struct target *target, double timeout)
{
	x->target = target_ref(target);
	x->timeout = timeout;
	return start_batch(x);
}

int pipeline_add(struct pipeline *x, struct span command,
		 const struct reply_grammar *grammar)
{
	struct pipeline_mark mark = {x->bytes.n + command.n, grammar};
	int rc = batch_check(&x->batch, command);

	if (rc == 0)
		rc = permit_check(x->target->permit, command, false);
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
	x->changes = x->changes || (grammar->flags & REPLY_CHANGES);
	return 0;
}

int pipeline_payload(struct pipeline *x, struct span payload)
{
	int rc = permit_check(x->target->permit, pipeline_command(x, 0), true);

	return rc < 0 ? rc : buf_add_span(&x->payload, payload);
}

static const struct pipeline_mark *mark_of(const struct pipeline *x, size_t index)
{
	return (const struct pipeline_mark *)x->marks.p + index;
}

struct span pipeline_command(const struct pipeline *x, size_t index)
{
	size_t begin = index ? mark_of(x, index - 1)->end : 0;

	return (struct span){x->bytes.p + begin, mark_of(x, index)->end - begin};
}

/* Does the next command's reply end its line? One that is RAW need not be the last where
 * it could be asked for again. */
static bool closes_line(const struct pipeline *x, unsigned flags)
{
	return (flags & REPLY_RAW) && (x->changes || x->apart || (flags & REPLY_SHORT));
}

/* Put as many commands as fit on a line. *joined: a RAW reply is not the last. 0 or a
 * failure of batch_add(). */
static int pack(struct pipeline *x, bool *joined)
{
	int rc = start_batch(x);
	bool raw = false;

	*joined = false;
	if (rc < 0)
		return rc;
	if (x->payload.n > 0) {
		rc = batch_add_payload(&x->batch, pipeline_command(x, x->next),
				       buf_span(&x->payload));
		x->next += rc > 0;
		return rc < 0 ? rc : 0;
	}
	while (x->next < x->n) {
		rc = batch_add(&x->batch, pipeline_command(x, x->next));
		if (rc <= 0)
			break;
		unsigned flags = mark_of(x, x->next)->grammar->flags;

		x->batch.closed = closes_line(x, flags);
		*joined = raw;
		raw = raw || (flags & REPLY_RAW);
		x->next++;
	}
	return rc < 0 ? rc : 0;
}

static int send_line(struct pipeline *x)
{
	struct pipeline_line *line =
		&x->lines[(x->oldest + x->under_way) % PIPELINE_WINDOW];
	int rc = pack(x, &line->joined);

	if (rc == 0)
		rc = batch_finish(&x->batch);
	if (rc == 0)
		rc = request_new(&line->request, x->target, &x->batch.bytes);
	if (rc < 0)
		return rc;
	line->request->repeatable = !x->changes;
	line->lead = x->batch.lead;
	frame_start(&line->frame, x->batch.lead + x->batch.count);
	x->under_way++;
	request_start(line->request, clock_after(x->target->clock, x->timeout), x->wake,
		      x->owner);
	return 0;
}

/* Have as many requests under way as may be. */
static int send_lines(struct pipeline *x)
{
	size_t window = x->changes ? 1 : PIPELINE_WINDOW;
	int rc = 0;

	while (rc == 0 && x->next < x->n && x->under_way < window)
		rc = send_line(x);
	return rc;
}

static void drop_line(struct pipeline *x)
{
	request_drop(x->lines[x->oldest].request);
	x->oldest = (x->oldest + 1) % PIPELINE_WINDOW;
	x->under_way--;
}

/* Has an answer come in which the ends of the replies cannot be told for sure? */
static bool is_ambiguous(struct pipeline_line *line)
{
	struct request *r = line->request;

	if (!line->joined || r->state != REQUEST_DONE || r->rc < 0)
		return false;
	line->joined = !frame_is_plain(&line->frame, buf_span(&r->in));
	return line->joined;
}

/* Ask anew for what has no reply yet, with each RAW one the last of its line. */
static int ask_apart(struct pipeline *x)
{
	while (x->under_way > 0)
		drop_line(x);
	x->apart = true;
	x->next = x->answered;
	return send_lines(x);
}

/* Cut the next reply off what has come. 1: *reply; 0: more is needed; <0, and *reply is
 * what there is instead. */
static int cut(struct pipeline_line *line, struct span *reply, bool *whole)
{
	struct request *r = line->request;
	struct span answer = buf_span(&r->in);

	*whole = true;
	if (!line->joined && frame_next(&line->frame, answer, reply))
		return 1;
	if (r->state != REQUEST_DONE)
		return 0;
	*reply = (struct span){answer.p + line->frame.at, answer.n - line->frame.at};
	if (r->rc < 0) {
		/* What came instead is there to be looked at, not to be worked with. */
		if (reply->n > GLIMPSE_MAX)
			reply->n = GLIMPSE_MAX;
		return r->rc;
	}
	int rc = frame_last(&line->frame, answer, reply, whole);

	return rc < 0 ? rc : 1;
}

/* The same, with the replies to the host's own commands taken off: they are empty. */
static int cut_answer(struct pipeline_line *line, struct span *reply, bool *whole)
{
	for (;;) {
		int rc = cut(line, reply, whole);

		if (rc <= 0 || line->lead == 0)
			return rc;
		line->lead--;
		if (reply->n > 0)
			return HAP_EPROTOCOL;
	}
}

/* An answer that cannot be cut may be one text that refuses the whole line: a process
 * that the master does not know, say. */
static int judge_uncut(const struct pipeline *x, struct span *text)
{
	int rc = reply_check(reply_grammar(NULL, 0), *text, true, !x->target->route[0],
			     text);

	return rc < 0 ? rc : HAP_EPROTOCOL;
}

static bool changes(const struct pipeline *x, size_t index)
{
	return mark_of(x, index)->grammar->flags & REPLY_CHANGES;
}

size_t pipeline_in_doubt(const struct pipeline *x)
{
	size_t n = 0;

	if (x->under_way == 0 || x->lines[x->oldest].request->written == 0)
		return 0;
	for (size_t i = x->answered; i < x->next; i++)
		n += changes(x, i);
	return n;
}

/* Does this failure leave open whether HAProxy has done what it was sent? */
static bool leaves_doubt(int rc)
{
	return rc != HAP_EREFUSED && rc != HAP_EDENIED && rc != HAP_EWORKER;
}

int pipeline_next(struct pipeline *x, struct pipeline_reply *out)
{
	struct span reply;
	bool whole;
	int rc;

	*out = (struct pipeline_reply){.index = x->answered};
	if (x->under_way > 0 && x->lines[x->oldest].frame.left == 0)
		drop_line(x);
	if (x->answered == x->n)
		return PIPELINE_END;
	rc = send_lines(x);
	if (rc == 0 && is_ambiguous(&x->lines[x->oldest]))
		rc = ask_apart(x);
	if (rc < 0)
		return rc;
	rc = cut_answer(&x->lines[x->oldest], &reply, &whole);
	if (rc == 0)
		return PIPELINE_WAIT;
	out->command = pipeline_command(x, x->answered);
	out->text = reply;
	if (rc == HAP_EPROTOCOL)
		rc = judge_uncut(x, &out->text);
	if (rc < 0) {
		out->in_doubt = leaves_doubt(rc) ? pipeline_in_doubt(x) : 0;
		return rc;
	}
	out->rc = reply_check(mark_of(x, x->answered)->grammar, reply, whole,
			      !x->target->route[0], &out->text);
	out->in_doubt = out->rc == HAP_EPROTOCOL && changes(x, x->answered);
	x->answered++;
	return PIPELINE_REPLY;
}

void pipeline_stop(struct pipeline *x)
{
	x->n = x->next;
}

void pipeline_free(struct pipeline *x)
{
	while (x->under_way > 0)
		drop_line(x);
	if (x->target)
		target_unref(x->target);
	batch_free(&x->batch);
	buf_free(&x->bytes);
	buf_free(&x->marks);
	buf_free(&x->payload);
	*x = (struct pipeline){0};
}
