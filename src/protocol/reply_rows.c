/* SPDX-License-Identifier: MIT
 *
 * reply_rows.c - reading rows and values out of checked answers.
 * HAProxy escapes nothing in most answers, so a stored pattern may look like a row or a
 * field. The readers tell them apart where that is possible. Every span that they return
 * lies inside the answer. */
#include "protocol/reply.h"
#include "base/err.h"

#define LIST_LOADED "pattern loaded from file '"

static struct span skip(struct span s, size_t n)
{
	return (struct span){s.p + n, s.n - n};
}

/* Cut the next line off the front; the last one may lack its LF. */
static bool take_line(struct span *rest, struct span *line)
{
	if (rest->n == 0)
		return false;
	if (!span_line(rest, line)) {
		*line = *rest;
		*rest = skip(*rest, rest->n);
	}
	return true;
}

/* Cut `literal` off the front of *s, if it is there. */
static bool eat(struct span *s, const char *literal)
{
	if (!span_begins(*s, literal))
		return false;
	*s = skip(*s, strlen(literal));
	return true;
}

/* Cut what stands before the first `literal`, and it, off the front of *s. */
static bool eat_until(struct span *s, const char *literal, struct span *out)
{
	size_t n = strlen(literal);
	const char *at = s->n ? memmem(s->p, s->n, literal, n) : NULL;

	if (!at)
		return false;
	*out = (struct span){s->p, (size_t)(at - s->p)};
	*s = skip(*s, out->n + n);
	return true;
}

/* Cut at the last `literal`: *s becomes what stands before it, *out what follows it. */
static bool part_last(struct span *s, const char *literal, struct span *out)
{
	size_t n = strlen(literal), end = s->n;

	while (end >= n) {
		const char *at = memrchr(s->p, *literal, end - n + 1);

		if (!at)
			return false;
		size_t before = (size_t)(at - s->p);

		if (memcmp(at, literal, n) == 0) {
			*out = skip(*s, before + n);
			s->n = before;
			return true;
		}
		end = before + n - 1;
	}
	return false;
}

/* How many bytes of "0x<hex>" s begins with; 0: none. */
static size_t pointer_length(struct span s)
{
	size_t i = 2;

	if (s.n < 3 || s.p[0] != '0' || s.p[1] != 'x')
		return 0;
	while (i < s.n && i < 18 &&
	       ((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
		i++;
	return i > 2 ? i : 0;
}

/* Read a number of 64 bits without sign: HAProxy 2.6 counts entries below zero after some
 * commits, and prints 18446744073709551615. */
static bool counter(struct span s, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)(s.p[i] - '0');

		if (digit > 9 || *out > (UINT64_MAX - digit) / 10)
			return false;
		*out = *out * 10 + digit;
	}
	return s.n > 0;
}

bool reply_integer(struct span s, int64_t *out)
{
	bool negative = s.n > 0 && *s.p == '-';
	uint64_t value;

	if (!counter(skip(s, negative), &value) || value > (uint64_t)INT64_MAX + negative)
		return false;
	*out = (int64_t)(negative ? 0 - value : value);
	return true;
}

/* Cut ". curr_ver=N next_ver=N entry_cnt=N" off the end of a list's description. */
static void read_versions(struct reply_list *out)
{
	struct span text = out->text, rest, curr, next;

	if (!part_last(&text, ". curr_ver=", &rest) ||
	    !eat_until(&rest, " next_ver=", &curr) ||
	    !eat_until(&rest, " entry_cnt=", &next) || !counter(curr, &out->curr_ver) ||
	    !counter(next, &out->next_ver) || !counter(rest, &out->entry_cnt))
		return;
	out->text = text;
	out->versioned = true;
}

/* Does the description name this file? */
static bool names_file(struct span text, struct span file)
{
	return eat(&text, LIST_LOADED) && text.n > file.n && text.p[file.n] == '\'' &&
	       memcmp(text.p, file.p, file.n) == 0;
}

/* Cut "FILE) TEXT" in two. Where FILE itself holds ") ", the text decides: it repeats the
 * name. */
static bool read_file(struct span line, struct reply_list *out)
{
	struct span rest = line, piece;
	bool any = false;

	while (eat_until(&rest, ") ", &piece)) {
		struct span file = {line.p, (size_t)(rest.p - line.p) - 2};
		bool sure = names_file(rest, file);

		if (!any || sure) {
			out->file = file;
			out->text = rest;
		}
		any = true;
		if (sure)
			break;
	}
	return any;
}

int reply_list_next(struct span *rest, struct reply_list *out)
{
	struct span line, id;

	do {
		if (!take_line(rest, &line))
			return 0;
	} while (span_begins(line, "#"));
	*out = (struct reply_list){0};
	if (!eat_until(&line, " (", &id) || !reply_integer(id, &out->id) ||
	    !read_file(line, out))
		return HAP_EPROTOCOL;
	read_versions(out);
	return 1;
}

/* How many bytes of "0x<hex> " s begins with; 0: no entry begins here. */
static size_t entry_head(struct span s)
{
	size_t n = pointer_length(s);

	return n > 0 && n < s.n && s.p[n] == ' ' ? n + 1 : 0;
}

int reply_entry_next(struct span *rest, struct reply_entry *out)
{
	if (rest->n == 0)
		return 0;
	size_t head = entry_head(*rest), end = rest->n;
	struct span look = *rest, line;

	if (head == 0)
		return HAP_EPROTOCOL;
	while (span_line(&look, &line))
		if (entry_head(look) > 0) {
			end = (size_t)(look.p - rest->p) - 1;
			break;
		}
	out->ref = (struct span){rest->p, head - 1};
	out->pattern = (struct span){rest->p + head, end - head};
	*rest = skip(*rest, end + (end < rest->n));
	return 1;
}

void reply_entry_pair(struct span pattern, struct span *key, struct span *value)
{
	*value = pattern;
	if (!eat_until(value, " ", key)) {
		*key = pattern;
		*value = skip(pattern, pattern.n);
	}
}

/* Read the head of a line of `get acl` or `get map`, up to "yes" or "no". */
static bool match_head(struct span *s, struct reply_match *out)
{
	struct span kind;

	if (!eat(s, "type=") || !eat_until(s, ", case=", &out->type) ||
	    !eat_until(s, ", ", &kind))
		return false;
	out->sensitive = span_equal(kind, SPAN_LIT("sensitive"));
	if (!out->sensitive && !span_equal(kind, SPAN_LIT("insensitive")))
		return false;
	if (span_begins(out->type, "unknown("))
		out->type = SPAN_LIT("method");
	out->map = span_begins(*s, "found=");
	return eat(s, out->map ? "found=" : "match=");
}

/* Read `"P"`, or `unknown`, which leaves the span empty. */
static bool match_quoted(struct span s, struct span *out)
{
	if (span_equal(s, SPAN_LIT("unknown")))
		return true;
	if (s.n < 2 || s.p[0] != '"' || s.p[s.n - 1] != '"')
		return false;
	*out = (struct span){s.p + 1, s.n - 2};
	return true;
}

/* Read `"K", value="V", type="T"`. Nothing is escaped, so the type is sought from the
 * right. */
static bool match_pair(struct span s, struct reply_match *out)
{
	struct span type;

	if (!eat(&s, "unknown, value=") &&
	    !(eat(&s, "\"") && eat_until(&s, "\", value=", &out->pattern)))
		return false;
	if (span_equal(s, SPAN_LIT("none")))
		return true;
	return part_last(&s, ", type=\"", &type) && match_quoted(s, &out->value);
}

static bool match_line(struct span s, struct reply_match *out)
{
	if (!match_head(&s, out))
		return false;
	if (span_equal(s, SPAN_LIT("no")))
		return true;
	out->found = true;
	return eat(&s, "yes, idx=") && eat_until(&s, ", ", &out->index) &&
	       eat(&s, out->map ? "key=" : "pattern=") &&
	       (out->map ? match_pair(s, out) : match_quoted(s, &out->pattern));
}

int reply_match_next(struct span *rest, struct reply_match *out)
{
	struct span look = *rest, line, record = *rest;
	struct reply_match head;

	if (rest->n == 0)
		return 0;
	/* A pattern may hold LF: the record ends before the next line with a head. */
	take_line(&look, &line);
	for (struct span next = look; take_line(&next, &line); look = next)
		if (match_head(&line, &head)) {
			record.n = (size_t)(look.p - rest->p) - 1;
			break;
		}
	*rest = look;
	*out = (struct reply_match){0};
	return match_line(record, out) ? 1 : HAP_EPROTOCOL;
}

/* The end of the quoted CSV field at p; NULL where its closing quote is missing. */
static const char *quoted_end(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		p = memchr(p, '"', (size_t)(end - p));
		if (!p)
			return NULL;
		if (++p == end || *p != '"')
			return p;
	}
	return NULL;
}

/* Cut the next CSV line into fields. HAProxy closes each line with a comma, behind which
 * no field begins. */
static int split_commas(struct span *rest, struct span *fields, size_t *n)
{
	const char *p = rest->p, *end = p + rest->n;

	for (*n = 0; p < end && *p != '\n'; p += p < end && *p == ',') {
		const char *begin = p;

		if (*n == REPLY_COLUMNS_MAX)
			return HAP_EPROTOCOL;
		if (*p == '"')
			p = quoted_end(p, end);
		else
			while (p < end && *p != ',' && *p != '\n')
				p++;
		if (!p || (p < end && *p != ',' && *p != '\n'))
			return HAP_EPROTOCOL;
		fields[(*n)++] = (struct span){begin, (size_t)(p - begin)};
	}
	*rest = (struct span){p + (p < end), (size_t)(end - p) - (p < end)};
	return 1;
}

static int split_spaces(struct span *rest, struct span *fields, size_t *n)
{
	struct span line = *rest, field;

	take_line(rest, &line);
	for (*n = 0; span_word(&line, ' ', &field); ++*n) {
		if (*n == REPLY_COLUMNS_MAX)
			return HAP_EPROTOCOL;
		fields[*n] = field;
	}
	return 1;
}

int reply_columns(struct span *rest, struct reply_columns *out)
{
	struct span look = *rest, line;
	int64_t format;

	out->n = 0;
	out->sep = ' ';
	if (!take_line(&look, &line))
		return 0;
	if (reply_integer(line, &format)) {
		*rest = look;
		if (!take_line(&look, &line))
			return HAP_EPROTOCOL;
	}
	if (!eat(rest, "# "))
		return HAP_EPROTOCOL;
	out->sep = memchr(line.p, ',', line.n) ? ',' : ' ';
	return out->sep == ',' ? split_commas(rest, out->name, &out->n)
			       : split_spaces(rest, out->name, &out->n);
}

int reply_row_next(struct span *rest, const struct reply_columns *c, struct span *fields,
		   size_t *n)
{
	if (rest->n == 0 || *rest->p == '\n')
		return 0;
	if (c->sep == ' ')
		return split_spaces(rest, fields, n);
	int rc = split_commas(rest, fields, n);

	return rc < 0 || *n == c->n ? rc : HAP_EPROTOCOL;
}

size_t reply_unquote(char *out, struct span field)
{
	bool quoted = field.n > 1 && field.p[0] == '"' && field.p[field.n - 1] == '"';
	size_t n = 0, end = field.n - quoted;

	for (size_t i = quoted; i < end; i++) {
		out[n++] = field.p[i];
		if (quoted && field.p[i] == '"' && field.p[i + 1] == '"' && i + 1 < end)
			i++;
	}
	return n;
}

int reply_pair_next(struct span *rest, struct span *name, struct span *value)
{
	struct span line;

	if (!take_line(rest, &line))
		return 0;
	*value = line;
	if (!eat_until(value, ":", name) || name->n == 0)
		return HAP_EPROTOCOL;
	eat(value, " ");
	return 1;
}

int reply_session_next(struct span *rest, struct span *ref, struct span *fields)
{
	struct span line;

	while (take_line(rest, &line)) {
		size_t n = pointer_length(line);

		*fields = skip(line, n);
		*ref = (struct span){line.p, n};
		if (n > 0 && eat(fields, ": "))
			return 1;
	}
	return 0;
}

int reply_field_next(struct span *fields, struct span *name, struct span *value)
{
	while (fields->n > 0) {
		struct span word = *fields;
		const char *space = memchr(word.p, ' ', word.n);
		size_t n = 0;

		if (space)
			word.n = (size_t)(space - word.p);
		*fields = skip(*fields, word.n + (space != NULL));
		while (n < word.n && word.p[n] != '=' && word.p[n] != '[')
			n++;
		if (n == 0 || n == word.n)
			continue;
		*name = (struct span){word.p, n};
		*value = skip(word, n + (word.p[n] == '='));
		return 1;
	}
	return 0;
}
