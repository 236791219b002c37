/* SPDX-License-Identifier: MIT
 *
 * reply_rows.c - reading rows and values out of checked answers.
 * HAProxy escapes nothing in most answers, so a stored pattern may look like a row or a
 * field. The readers tell them apart where that is possible. Every span that they return
 * lies inside the answer. */
#include "protocol/reply.h"
#include "base/err.h"

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

bool reply_integer(struct span s, int64_t *out)
{
	size_t sign = s.n > 0 && *s.p == '-';
	uint64_t value = 0, most = (uint64_t)INT64_MAX + sign;

	for (size_t i = sign; i < s.n; i++) {
		unsigned digit = (unsigned)(s.p[i] - '0');

		if (digit > 9 || value > (most - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = (int64_t)(sign ? 0 - value : value);
	return s.n > sign;
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

/* The lines of `show acl`. */

/* Cut what stands before the last `literal`, and it, off the front of *s. */
static bool eat_until_last(struct span *s, const char *literal, struct span *out)
{
	struct span before, last = *s;

	if (!eat_until(&last, literal, &before))
		return false;
	for (struct span next = last; eat_until(&next, literal, &before);)
		last = next;
	*out = (struct span){s->p, s->n - last.n - strlen(literal)};
	*s = last;
	return true;
}

/* Read a number without sign, up to `end`, off the front of *s; "" ends with it. */
static bool eat_counter(struct span *s, const char *end, int64_t *out)
{
	uint64_t value = 0;
	size_t i = 0;

	for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
		unsigned digit = (unsigned)(s->p[i] - '0');

		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = (int64_t)value;
	*s = skip(*s, i);
	return i > 0 && (*end ? eat(s, end) : s->n == 0);
}

/* Cut "FILE) " off the front of *s. */
static bool eat_file(struct span *s, struct span *file)
{
	struct span look = *s, text = *s, part;
	bool there = eat_until(&text, ") ", file);

	while (eat_until(&look, ") ", &part)) {
		struct span name = {s->p, (size_t)(look.p - s->p) - 2}, after = look;

		if (eat(&after, "pattern loaded from file '") && after.n > name.n &&
		    memcmp(after.p, name.p, name.n) == 0 && after.p[name.n] == '\'') {
			*file = name;
			text = look;
			break;
		}
	}
	*s = text;
	return there;
}

int reply_list_next(struct span *rest, struct reply_list *out)
{
	struct span look = *rest, line, id, tail;

	do {
		*rest = look;
		if (!take_line(&look, &line))
			return 0;
	} while (span_begins(line, "#"));
	if (!eat_until(&line, " (", &id) || !reply_integer(id, &out->id) ||
	    !eat_file(&line, &out->file))
		return HAP_EPROTOCOL;
	out->text = tail = line;
	out->versioned = eat_until_last(&tail, ". curr_ver=", &line) &&
			 eat_counter(&tail, " next_ver=", &out->current) &&
			 eat_counter(&tail, " entry_cnt=", &out->upcoming) &&
			 eat_counter(&tail, "", &out->entries);
	if (out->versioned)
		out->text = line;
	*rest = look;
	return 1;
}

/* The records of `get acl`. */

/* Cut the head of a record off the front of *s, up to "match=" or "found=". */
static bool eat_head(struct span *s, struct reply_match *out)
{
	struct span word = *s;

	if (!eat(&word, "type=") || !eat_until(&word, ", case=", &out->type) ||
	    memchr(out->type.p, ',', out->type.n))
		return false;
	*s = word;
	if (!eat(s, "sensitive") && !eat(s, "insensitive"))
		return false;
	out->sensitivity = (struct span){word.p, word.n - s->n};
	out->is_map = eat(s, ", found=");
	return out->is_map || eat(s, ", match=");
}

/* Cut the record off the front of *rest. */
static struct span take_record(struct span *rest)
{
	struct span record = *rest, look = *rest, line;
	struct reply_match next;

	while (span_line(&look, &line)) {
		struct span head = look;

		span_word(&head, '\n', &line);
		if (eat_head(&line, &next)) {
			record.n = (size_t)(look.p - rest->p) - 1;
			*rest = look;
			return record;
		}
	}
	*rest = skip(*rest, rest->n);
	return record;
}

/* Take the quotes off; `unknown` gives "". */
static bool unquote(struct span *s)
{
	if (span_equal(*s, SPAN_LIT("unknown"))) {
		s->n = 0;
		return true;
	}
	if (s->n < 2 || s->p[0] != '"' || s->p[s->n - 1] != '"')
		return false;
	*s = (struct span){s->p + 1, s->n - 2};
	return true;
}

/* Read `"K", value="V", type="T"`. A value may hold what follows one, so the type is
 * sought from the right. */
static bool read_pair(struct span s, struct span *key, struct span *value)
{
	*key = (struct span){s.p, 0};
	if (!eat(&s, "unknown, value=") &&
	    (!eat(&s, "\"") || !eat_until(&s, "\", value=", key)))
		return false;
	if (span_equal(s, SPAN_LIT("none"))) {
		*value = (struct span){s.p, 0};
		return true;
	}
	return eat_until_last(&s, ", type=\"", value) && unquote(value);
}

int reply_match_next(struct span *rest, struct reply_match *out)
{
	struct span look = *rest, s = take_record(&look);

	if (rest->n == 0)
		return 0;
	if (!eat_head(&s, out))
		return HAP_EPROTOCOL;
	if (span_begins(out->type, "unknown("))
		out->type = SPAN_LIT("method");
	out->found = !span_equal(s, SPAN_LIT("no"));
	if (out->found) {
		if (!eat(&s, "yes, idx=") || !eat_until(&s, ",", &out->index) ||
		    !eat(&s, out->is_map ? " key=" : " pattern="))
			return HAP_EPROTOCOL;
		out->pattern = s;
		if (out->is_map ? !read_pair(s, &out->pattern, &out->value)
				: !unquote(&out->pattern))
			return HAP_EPROTOCOL;
	}
	*rest = look;
	return 1;
}

/* Tables with a header. */

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

/* The end of the CSV field at p, which stands before a comma, an LF or the end; NULL: the
 * field has no such end. */
static const char *field_end(const char *p, const char *end)
{
	if (*p == '"')
		p = quoted_end(p, end);
	else
		while (p < end && *p != ',' && *p != '\n')
			p++;
	return p && (p == end || *p == ',' || *p == '\n') ? p : NULL;
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
		p = field_end(p, end);
		if (!p)
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

int reply_field_at(struct span row, char sep, size_t i, struct span *out)
{
	const char *p = row.p, *end = p + row.n;

	if (sep != ',') {
		struct span line;
		int there = take_line(&row, &line);

		for (i++; there && i > 0; i--)
			there = span_word(&line, sep, out);
		return there;
	}
	for (; p && p < end && *p != '\n'; i--, p += p < end && *p == ',') {
		const char *begin = p;

		p = field_end(p, end);
		if (!p)
			break;
		*out = (struct span){begin, (size_t)(p - begin)};
		if (i == 0)
			return 1;
	}
	return 0;
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
