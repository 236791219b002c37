/* SPDX-License-Identifier: MIT
 *
 * grammar.c - the table of commands, and how a command's row is found in it.
 * Texts are HAProxy's, 2.2 to 3.2; where versions differ both are listed. */
#include "protocol/grammar.h"

enum {
	C = GRAMMAR_CHANGES,
	R = GRAMMAR_RAW,
	B = GRAMMAR_BARE,
	/* What leaves out its closing line spoils the framing of what follows, so it has
	 * to be last on a line, too. */
	S = GRAMMAR_SHORT | GRAMMAR_RAW,
	Q = GRAMMAR_CLOSES,
	N = GRAMMAR_NUMBER,
};

/* Grammars of several words win over shorter ones, whatever their order. */
static const struct grammar grammars[] = {
	/* The session. What only alters it is useless where each request has its own. */
	{"@*", REPLY_ANY, Q, NULL, NULL},
	{"_getsocks", REPLY_ANY, Q, NULL, NULL},
	{"echo", REPLY_TEXT, R | B, NULL, NULL},
	{"experimental-mode", REPLY_TEXT, Q | B, "experimental-mode is ", NULL},
	{"expert-mode", REPLY_TEXT, Q | B, "expert-mode is ", NULL},
	{"help", REPLY_TEXT, 0,
	 "The following commands are valid|Unknown command. Please enter one of", NULL},
	{"mcli-debug-mode", REPLY_ANY, Q, NULL, NULL},
	{"operator", REPLY_EMPTY, Q, NULL, NULL},
	{"prompt", REPLY_ANY, Q, NULL, NULL},
	{"quit", REPLY_ANY, Q, NULL, NULL},
	{"set anon on", REPLY_EMPTY, Q, NULL, NULL},
	{"set anon off", REPLY_EMPTY, Q, NULL, NULL},
	{"set severity-output", REPLY_EMPTY, Q, NULL, NULL},
	{"set timeout", REPLY_EMPTY, Q, NULL, NULL},
	{"user", REPLY_EMPTY, Q, NULL, NULL},
	{"wait", REPLY_TEXT, 0, "Done.", NULL},

	/* ACLs and maps. */
	{"add acl", REPLY_EMPTY, C, NULL, NULL},
	{"add map", REPLY_EMPTY, C, NULL, NULL},
	{"clear acl", REPLY_EMPTY, C, NULL, NULL},
	{"clear map", REPLY_EMPTY, C, NULL, NULL},
	{"commit acl", REPLY_EMPTY, C, NULL, NULL},
	{"commit map", REPLY_EMPTY, C, NULL, NULL},
	{"del acl", REPLY_EMPTY, C, NULL, NULL},
	{"del map", REPLY_EMPTY, C, NULL, NULL},
	{"get acl", REPLY_DUMP, R | B, "type=", NULL},
	{"get map", REPLY_DUMP, R | B, "type=", NULL},
	{"prepare acl", REPLY_TEXT, C, "New version created: ", NULL},
	{"prepare map", REPLY_TEXT, C, "New version created: ", NULL},
	{"set map", REPLY_EMPTY, C, NULL, NULL},
	{"show acl", REPLY_DUMP, 0, "# id (file) ", NULL},
	{"show acl *", REPLY_DUMP, R | B, "0x", NULL},
	{"show map", REPLY_DUMP, 0, "# id (file) ", NULL},
	{"show map *", REPLY_DUMP, R | B, "0x", NULL},

	/* Servers. */
	{"add server", REPLY_TEXT, C | S, "*New server registered.", NULL},
	{"del server", REPLY_TEXT, C | S, "Server deleted.", NULL},
	{"disable agent", REPLY_EMPTY, C, NULL, NULL},
	{"disable health", REPLY_EMPTY, C, NULL, NULL},
	{"disable server", REPLY_EMPTY, C, NULL, NULL},
	{"enable agent", REPLY_EMPTY, C, NULL, NULL},
	{"enable health", REPLY_EMPTY, C, NULL, NULL},
	{"enable server", REPLY_EMPTY, C, NULL, NULL},
	{"get weight", REPLY_DUMP, 0, "* (initial ", NULL},
	{"set maxconn server", REPLY_EMPTY, C | S, NULL, NULL},
	{"set server", REPLY_EMPTY, C | S, NULL, NULL},
	{"set server * addr", REPLY_TEXT, C | S,
	 "IP changed from '|no need to change |nothing changed|port changed from '",
	 "problem converting port|can't change <port>"},
	{"set server * check-port", REPLY_TEXT, C | B | S, "health check port updated.",
	 NULL},
	{"set server * fqdn", REPLY_TEXT, C,
	 "* changed its FQDN from |no need to change the F", NULL},
	{"set server * health", REPLY_EMPTY, C, NULL, NULL},
	{"set server * name", REPLY_TEXT, C | S, "Server name updated.", NULL},
	{"set server * ssl", REPLY_TEXT, C, "server ssl setting updated.", NULL},
	{"set server * state", REPLY_EMPTY, C, NULL, NULL},
	{"set weight", REPLY_EMPTY, C | S, NULL, NULL},
	{"show servers conn", REPLY_DUMP, 0, "# bkname/svname ", NULL},
	{"show servers state", REPLY_DUMP, 0, "1\n# be_id ", NULL},

	/* Frontends, backends, the process. */
	{"clear counters", REPLY_TEXT, C | B, "Server counters cleared.", NULL},
	{"disable dynamic-cookie backend", REPLY_EMPTY, C, NULL, NULL},
	{"disable frontend", REPLY_TEXT, C | B,
	 "Frontend is already disabled.|All sockets are already disabled.", NULL},
	{"enable dynamic-cookie backend", REPLY_EMPTY, C, NULL, NULL},
	{"enable frontend", REPLY_TEXT, C | B,
	 "Frontend is already enabled.|All sockets are already enabled.", NULL},
	{"get var", REPLY_TEXT, S, "*: type=", NULL},
	{"set anon global-key", REPLY_EMPTY, C, NULL, NULL},
	{"set dynamic-cookie-key backend", REPLY_EMPTY, C, NULL, NULL},
	{"set maxconn frontend", REPLY_EMPTY, C | N, NULL, NULL},
	{"set maxconn global", REPLY_EMPTY, C | N, NULL, NULL},
	{"set profiling", REPLY_EMPTY, C, NULL, NULL},
	{"set rate-limit", REPLY_EMPTY, C | N, NULL, NULL},
	{"set var", REPLY_EMPTY, C | S, NULL, NULL},
	{"shutdown frontend", REPLY_TEXT, C | B, "Frontend was already shut down.", NULL},
	{"shutdown session", REPLY_EMPTY, C, NULL, NULL},
	{"shutdown sessions server", REPLY_EMPTY, C, NULL, NULL},
	{"trace", REPLY_ANY, C | S, NULL, NULL},

	/* Reading the process. JSON stands apart for 2.2, which leaves out its last LF.
	 */
	{"acme status", REPLY_ANY, R, NULL, NULL},
	{"dump stats-file", REPLY_DUMP, R | B, "#", NULL},
	{"show", REPLY_ANY, S, NULL, NULL},
	{"show activity", REPLY_DUMP, 0, NULL, NULL},
	{"show anon", REPLY_TEXT, 0, NULL, NULL},
	{"show backend", REPLY_DUMP, 0, "# name", NULL},
	{"show cache", REPLY_DUMP, B, NULL, NULL},
	{"show cli level", REPLY_TEXT, 0, "admin|operator|user|unknown", NULL},
	{"show cli sockets", REPLY_DUMP, B, "# socket lvl", NULL},
	{"show dev", REPLY_TEXT, R, NULL, NULL},
	{"show env", REPLY_DUMP, R | B, NULL, NULL},
	{"show errors", REPLY_DUMP, 0, "Total events captured on ", NULL},
	{"show events", REPLY_ANY, S, NULL, NULL},
	{"show fd", REPLY_DUMP, B, NULL, NULL},
	{"show info", REPLY_DUMP, 0, "Name: |0.Name.", NULL},
	{"show info json", REPLY_DUMP, S, "[", NULL},
	{"show info * json", REPLY_DUMP, S, "[", NULL},
	{"show libs", REPLY_TEXT, R | B, NULL, NULL},
	{"show peers", REPLY_DUMP, B, NULL, NULL},
	{"show pools", REPLY_DUMP, 0, NULL, NULL},
	{"show profiling", REPLY_DUMP, 0, NULL, NULL},
	{"show quic", REPLY_DUMP, R | B, NULL, NULL},
	{"show resolvers", REPLY_DUMP, R | B, NULL, NULL},
	{"show schema json", REPLY_DUMP, S, "{", NULL},
	{"show sess", REPLY_DUMP, B, NULL, NULL},
	{"show startup-logs", REPLY_ANY, R, NULL, NULL},
	{"show stat", REPLY_DUMP, B, NULL, NULL},
	{"show stat json", REPLY_DUMP, S, "[", NULL},
	{"show stat * json", REPLY_DUMP, S, "[", NULL},
	{"show stat * * json", REPLY_DUMP, S, "[", NULL},
	{"show stat * * * json", REPLY_DUMP, S, "[", NULL},
	{"show tasks", REPLY_DUMP, 0, "Running tasks: ", NULL},
	{"show threads", REPLY_DUMP, R, NULL, NULL},
	{"show trace", REPLY_TEXT, S, NULL, NULL},
	{"show version", REPLY_TEXT, 0, NULL, NULL},

	/* Stick tables. To a user a table looks empty. */
	{"clear table", REPLY_EMPTY, C, NULL, NULL},
	{"set table", REPLY_EMPTY, C, NULL, NULL},
	{"show table", REPLY_DUMP, B, "# table: |0x",
	 "\n# contents not dumped due to insufficient privileges"},

	/* TLS. Some of the errors end with two empty lines. */
	{"abort ssl", REPLY_TEXT, C | R, "Transaction aborted for ", NULL},
	{"add ssl ca-file", REPLY_TEXT, C | R,
	 "transaction created for |transaction updated for ", NULL},
	{"add ssl crt-list", REPLY_TEXT, C | R, "Inserting certificate *\nSuccess!",
	 NULL},
	{"commit ssl", REPLY_TEXT, C | R, "Committing *\nSuccess!", NULL},
	{"del ssl", REPLY_TEXT, C | R,
	 "Certificate '*' deleted!|CA file '*' deleted!|CRL file '*' deleted!"
	 "|Entry '*' deleted in crtlist ",
	 NULL},
	{"dump ssl cert", REPLY_DUMP, B, "-----BEGIN ", NULL},
	{"new ssl", REPLY_TEXT, C | R,
	 "New empty certificate store |New CA file created |New CRL file created ", NULL},
	{"set ssl", REPLY_TEXT, C | R,
	 "Transaction created for |Transaction updated for |transaction created for "
	 "|transaction updated for |OCSP Response updated!|TLS ticket key updated!",
	 NULL},
	{"show ssl", REPLY_ANY, R, NULL, NULL},
	{"show tls-keys", REPLY_DUMP, R | B, NULL, NULL},
	{"update ssl ocsp-response", REPLY_ANY, C | R, NULL, NULL},

	/* The master process. */
	{"hard-reload", REPLY_TEXT, C | S, "Success=1\n", NULL},
	{"reload", REPLY_TEXT, C | S, "Success=1\n", NULL},
	{"show proc", REPLY_DUMP, 0, "#<PID>", NULL},
};

static const struct grammar unknown = {"", REPLY_ANY, C | S, NULL, NULL};

/* Does `word` match the grammar's word at p, which may end in '*' for any bytes? Returns
 * where the grammar's next word begins, or its end; NULL: no. */
static const char *match_word(const char *p, struct span word)
{
	for (size_t i = 0; i < word.n && *p != '*'; i++, p++)
		if (*p != word.p[i] || *p == ' ' || *p == '\0')
			return NULL;
	p += *p == '*';
	return *p == ' ' ? p + 1 : *p ? NULL : p;
}

/* How many words of a command this grammar's words match; 0: not this grammar. */
static size_t match_words(const struct grammar *g, const struct span *words, size_t n)
{
	const char *p = g->command;
	size_t i = 0;

	/* Most are dismissed by a look: no grammar's first word begins with '*'. */
	if (n == 0 || words->n == 0 || *words->p != *p)
		return 0;
	do
		p = i < n ? match_word(p, words[i++]) : NULL;
	while (p && *p);
	return p ? i : 0;
}

const struct grammar *grammar_find(const struct span *words, size_t n)
{
	const struct grammar *best = &unknown;
	size_t most = 0;

	for (size_t i = 0; i < sizeof grammars / sizeof *grammars; i++) {
		size_t matched = match_words(&grammars[i], words, n);

		if (matched > most) {
			most = matched;
			best = &grammars[i];
		}
	}
	return best;
}

const struct grammar *grammar_at(size_t i)
{
	return i < sizeof grammars / sizeof *grammars ? &grammars[i] : NULL;
}
