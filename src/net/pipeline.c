/* SPDX-License-Identifier: MIT
 *
 * pipeline.c - packing a series of commands into lines, and reading the replies back. */
#include "net/pipeline.h"
#include "base/err.h"

/* The most bytes of a broken answer that an error shows. */
#define ERROR_REPLY_MAX 16384

/* Begin the next line, empty but for the prelude. */
static int start_line(struct pipeline *p)
{
	struct target *t = p->target;

	return batch_start(&p->batch, span_of(t->route), t->line_max, p->timeout);
}

int pipeline_start(struct pipeline *p, struct target *target, double timeout)
{
	p->target = target_ref(target);
	p->timeout = timeout;
	return start_line(p);
}

int pipeline_add(struct pipeline *p, const struct command *c)
{
	struct pipeline_entry entry = {p->bytes.n + c->text.n, c->grammar};
	size_t bytes = p->bytes.n;
	int rc = batch_check(&p->batch, c);

	if (rc == 0)
		rc = permit_check(p->target->permit, c);
	if (rc == 0)
		rc = buf_add_span(&p->bytes, c->text);
	if (rc == 0)
		rc = buf_add_span(&p->payload, c->payload);
	if (rc == 0)
		rc = buf_add(&p->entries, &entry, sizeof entry);
	if (rc < 0) {
		p->bytes.n = bytes;
		return rc;
	}
	p->n++;
	p->changes = p->changes || (c->grammar->flags & GRAMMAR_CHANGES);
	return 0;
}

static const struct pipeline_entry *entry_of(const struct pipeline *p, size_t index)
{
	return (const struct pipeline_entry *)p->entries.p + index;
}

struct span pipeline_command(const struct pipeline *p, size_t index)
{
	size_t begin = index ? entry_of(p, index - 1)->end : 0;

	return (struct span){p->bytes.p + begin, entry_of(p, index)->end - begin};
}

/* Does a command with these flags end its line? A RAW one does, unless the series only
 * reads: then it can be asked for again. */
static bool closes_line(const struct pipeline *p, unsigned flags)
{
	return (flags & GRAMMAR_RAW) &&
	       (p->changes || p->raw_alone || (flags & GRAMMAR_SHORT));
}

/* Put as many commands as fit on a line. *raw_inside: a RAW reply is not the last. 0 or a
 * failure of batch_add(). */
static int pack(struct pipeline *p, bool *raw_inside)
{
	int rc = start_line(p);
	bool raw = false;

	*raw_inside = false;
	while (rc >= 0 && p->next < p->n) {
		rc = batch_add(&p->batch, pipeline_command(p, p->next),
			       buf_span(&p->payload));
		if (rc <= 0)
			break;
		unsigned flags = entry_of(p, p->next)->grammar->flags;

		p->batch.closed = p->batch.closed || closes_line(p, flags);
		*raw_inside = raw;
		raw = raw || (flags & GRAMMAR_RAW);
		p->next++;
	}
	return rc < 0 ? rc : 0;
}

static int send_line(struct pipeline *p)
{
	struct pipeline_line *line =
		&p->lines[(p->oldest + p->under_way) % PIPELINE_WINDOW];
	int rc = pack(p, &line->raw_inside);

	if (rc == 0)
		rc = batch_finish(&p->batch);
	if (rc == 0)
		rc = request_new(&line->request, p->target, &p->batch.bytes);
	if (rc < 0)
		return rc;
	line->request->repeatable = !p->changes;
	line->prelude_replies = p->batch.prelude_replies;
	frame_start(&line->frame, p->batch.prelude_replies + p->batch.count);
	p->under_way++;
	request_start(line->request, clock_after(p->target->clock, p->timeout), p->wake,
		      p->owner);
	return 0;
}

/* Begin requests until as many are under way as the series may have. */
static int send_lines(struct pipeline *p)
{
	size_t window = p->changes ? 1 : PIPELINE_WINDOW;
	int rc = 0;

	while (rc == 0 && p->next < p->n && p->under_way < window)
		rc = send_line(p);
	return rc;
}

static void drop_line(struct pipeline *p)
{
	request_drop(p->lines[p->oldest].request);
	p->oldest = (p->oldest + 1) % PIPELINE_WINDOW;
	p->under_way--;
}

/* Is the whole answer there, with an empty line in it that may belong to a RAW reply? */
static bool is_ambiguous(struct pipeline_line *line)
{
	struct request *r = line->request;

	if (!line->raw_inside || r->state != REQUEST_DONE || r->rc < 0)
		return false;
	line->raw_inside = !frame_is_plain(&line->frame, buf_span(&r->in));
	return line->raw_inside;
}

/* Send again what has no reply yet, with each RAW command the last of its line. */
static int ask_raw_alone(struct pipeline *p)
{
	while (p->under_way > 0)
		drop_line(p);
	p->raw_alone = true;
	p->next = p->answered;
	return send_lines(p);
}

/* Cut the next reply off what has come. 1: *reply; 0: more is needed; <0, and *reply is
 * what there is instead. */
static int cut(struct pipeline_line *line, struct span *reply, bool *whole)
{
	struct request *r = line->request;
	struct span answer = buf_span(&r->in);

	*whole = true;
	if (!line->raw_inside && frame_next(&line->frame, answer, reply))
		return 1;
	if (r->state != REQUEST_DONE)
		return 0;
	*reply = (struct span){answer.p + line->frame.at, answer.n - line->frame.at};
	if (r->rc < 0) {
		/* It is shown to people; nobody works with it. */
		if (reply->n > ERROR_REPLY_MAX)
			reply->n = ERROR_REPLY_MAX;
		return r->rc;
	}
	int rc = frame_last(&line->frame, answer, reply, whole);

	return rc < 0 ? rc : 1;
}

/* Cut the next reply to a command of the series. The replies to the prelude come before
 * it, and must be empty. Returns as cut(). */
static int cut_answer(struct pipeline_line *line, struct span *reply, bool *whole)
{
	for (;;) {
		int rc = cut(line, reply, whole);

		if (rc <= 0 || line->prelude_replies == 0)
			return rc;
		line->prelude_replies--;
		if (reply->n > 0)
			return HAP_EPROTOCOL;
	}
}

/* An answer that cannot be cut may be one text that refuses the whole line, as the
 * master's where it does not know the process. */
static int judge_uncut(const struct pipeline *p, struct span *text)
{
	int rc = reply_check(&grammar_unknown, *text, true, !p->target->route[0], text);

	return rc < 0 ? rc : HAP_EPROTOCOL;
}

static bool changes(const struct pipeline *p, size_t index)
{
	return entry_of(p, index)->grammar->flags & GRAMMAR_CHANGES;
}

size_t pipeline_in_doubt(const struct pipeline *p)
{
	size_t n = 0;

	if (p->under_way == 0 || p->lines[p->oldest].request->written == 0)
		return 0;
	for (size_t i = p->answered; i < p->next; i++)
		n += changes(p, i);
	return n;
}

/* May HAProxy have carried out what it was sent, after this failure? */
static bool leaves_doubt(int rc)
{
	return rc != HAP_EREFUSED && rc != HAP_EDENIED && rc != HAP_EWORKER;
}

/* The oldest line has failed, or its answer cannot be cut: say what is known of it.
 * Returns the code, which may be another than `rc`. */
static int give_up(const struct pipeline *p, int rc, struct pipeline_reply *out)
{
	out->phase = p->lines[p->oldest].request->phase;
	if (rc == HAP_EPROTOCOL)
		rc = judge_uncut(p, &out->text);
	if (rc == HAP_EPROTOCOL)
		out->phase = "read";
	out->in_doubt = leaves_doubt(rc) ? pipeline_in_doubt(p) : 0;
	return rc;
}

int pipeline_next(struct pipeline *p, struct pipeline_reply *out)
{
	struct span reply;
	bool whole;
	int rc;

	*out = (struct pipeline_reply){.index = p->answered};
	if (p->under_way > 0 && p->lines[p->oldest].frame.left == 0)
		drop_line(p);
	if (p->answered == p->n)
		return PIPELINE_END;
	rc = send_lines(p);
	if (rc == 0 && is_ambiguous(&p->lines[p->oldest]))
		rc = ask_raw_alone(p);
	if (rc < 0)
		return rc;
	rc = cut_answer(&p->lines[p->oldest], &reply, &whole);
	if (rc == 0)
		return PIPELINE_WAIT;
	out->text = reply;
	if (rc < 0)
		return give_up(p, rc, out);
	out->rc = reply_check(entry_of(p, p->answered)->grammar, reply, whole,
			      !p->target->route[0], &out->text);
	out->in_doubt = out->rc == HAP_EPROTOCOL && changes(p, p->answered);
	p->answered++;
	return PIPELINE_REPLY;
}

void pipeline_stop(struct pipeline *p)
{
	p->n = p->next;
}

void pipeline_free(struct pipeline *p)
{
	while (p->under_way > 0)
		drop_line(p);
	if (p->target)
		target_unref(p->target);
	batch_free(&p->batch);
	buf_free(&p->bytes);
	buf_free(&p->entries);
	buf_free(&p->payload);
	*p = (struct pipeline){0};
}
