/* SPDX-License-Identifier: MIT
 *
 * grammar.c - the table of commands, and how a command's row is found in it.
 * Texts are HAProxy's, 2.2 to 3.2; where versions differ both are listed. */
#include "protocol/grammar.h"

enum {
	C = GRAMMAR_CHANGES,
	R = GRAMMAR_RAW,
	B = GRAMMAR_BARE,
	/* A reply without its closing line spoils the framing of what follows it. */
	S = GRAMMAR_SHORT | GRAMMAR_RAW,
	Q = GRAMMAR_CLOSES,
	N = GRAMMAR_NUMBER,
	P = GRAMMAR_PAIRS,
	X = GRAMMAR_NO_LINES,
};

#define NONE   NAMES_NONE
#define LIST   NAMES_LIST
#define AT     NAMES_LIST_AT
#define SERVER NAMES_SERVER

/* Grammars of several words win over shorter ones, whatever their order. */
static const struct grammar grammars[] = {
	/* The session. What only alters it is useless where each request has its own. */
	{"@*", NONE, REPLY_ANY, Q, NULL, NULL},
	{"_getsocks", NONE, REPLY_ANY, Q, NULL, NULL},
	{"echo", NONE, REPLY_TEXT, R | B, NULL, NULL},
	{"experimental-mode", NONE, REPLY_TEXT, Q | B, "experimental-mode is ", NULL},
	{"expert-mode", NONE, REPLY_TEXT, Q | B, "expert-mode is ", NULL},
	{"help", NONE, REPLY_TEXT, 0,
	 "The following commands are valid|Unknown command. Please enter one of", NULL},
	{"mcli-debug-mode", NONE, REPLY_ANY, Q, NULL, NULL},
	{"operator", NONE, REPLY_EMPTY, Q, NULL, NULL},
	{"prompt", NONE, REPLY_ANY, Q, NULL, NULL},
	{"quit", NONE, REPLY_ANY, Q, NULL, NULL},
	{"set anon on", NONE, REPLY_EMPTY, Q, NULL, NULL},
	{"set anon off", NONE, REPLY_EMPTY, Q, NULL, NULL},
	{"set severity-output", NONE, REPLY_EMPTY, Q, NULL, NULL},
	{"set timeout", NONE, REPLY_EMPTY, Q, NULL, NULL},
	{"user", NONE, REPLY_EMPTY, Q, NULL, NULL},
	{"wait", NONE, REPLY_TEXT, 0, "Done.", NULL},

	/* ACLs and maps. */
	{"add acl", AT, REPLY_EMPTY, C | X, NULL, NULL},
	{"add map", AT, REPLY_EMPTY, C | P, NULL, NULL},
	{"clear acl", AT, REPLY_EMPTY, C, NULL, NULL},
	{"clear map", AT, REPLY_EMPTY, C, NULL, NULL},
	{"commit acl", AT, REPLY_EMPTY, C, NULL, NULL},
	{"commit map", AT, REPLY_EMPTY, C, NULL, NULL},
	{"del acl", LIST, REPLY_EMPTY, C, NULL, NULL},
	{"del map", LIST, REPLY_EMPTY, C, NULL, NULL},
	{"get acl", LIST, REPLY_DUMP, R | B, "type=", NULL},
	{"get map", LIST, REPLY_DUMP, R | B, "type=", NULL},
	{"prepare acl", LIST, REPLY_TEXT, C, "New version created: ", NULL},
	{"prepare map", LIST, REPLY_TEXT, C, "New version created: ", NULL},
	{"set map", LIST, REPLY_EMPTY, C, NULL, NULL},
	{"show acl", NONE, REPLY_DUMP, 0, "# id (file) ", NULL},
	{"show acl *", AT, REPLY_DUMP, R | B, "0x", NULL},
	{"show map", NONE, REPLY_DUMP, 0, "# id (file) ", NULL},
	{"show map *", AT, REPLY_DUMP, R | B, "0x", NULL},

	/* Servers. */
	{"add server", NONE, REPLY_TEXT, C | S, "*New server registered.", NULL},
	{"del server", NONE, REPLY_TEXT, C | S, "Server deleted.", NULL},
	{"disable agent", SERVER, REPLY_EMPTY, C, NULL, NULL},
	{"disable health", SERVER, REPLY_EMPTY, C, NULL, NULL},
	{"disable server", SERVER, REPLY_EMPTY, C, NULL, NULL},
	{"enable agent", SERVER, REPLY_EMPTY, C, NULL, NULL},
	{"enable health", SERVER, REPLY_EMPTY, C, NULL, NULL},
	{"enable server", SERVER, REPLY_EMPTY, C, NULL, NULL},
	{"get weight", SERVER, REPLY_DUMP, 0, "* (initial ", NULL},
	{"set maxconn server", NONE, REPLY_EMPTY, C | S, NULL, NULL},
	{"set server", NONE, REPLY_EMPTY, C | S, NULL, NULL},
	{"set server * addr", SERVER, REPLY_TEXT, C | S,
	 "IP changed from '|no need to change |nothing changed|port changed from '",
	 "*problem converting port|*can't change <port>"},
	{"set server * agent", SERVER, REPLY_EMPTY, C | S, NULL, NULL},
	{"set server * agent-addr", SERVER, REPLY_EMPTY, C | S, NULL, NULL},
	{"set server * agent-port", SERVER, REPLY_EMPTY, C | S, NULL, NULL},
	{"set server * agent-send", SERVER, REPLY_EMPTY, C | S, NULL, NULL},
	{"set server * check-addr", SERVER, REPLY_EMPTY, C | S, NULL, NULL},
	{"set server * check-port", SERVER, REPLY_TEXT, C | B | S,
	 "health check port updated.", NULL},
	{"set server * fqdn", SERVER, REPLY_TEXT, C,
	 "* changed its FQDN from |no need to change the F", NULL},
	{"set server * health", SERVER, REPLY_EMPTY, C, NULL, NULL},
	{"set server * name", NONE, REPLY_TEXT, C | S, "Server name updated.", NULL},
	{"set server * ssl", SERVER, REPLY_TEXT, C, "server ssl setting updated.", NULL},
	{"set server * state", SERVER, REPLY_EMPTY, C, NULL, NULL},
	{"set server * weight", SERVER, REPLY_EMPTY, C | S, NULL, NULL},
	{"set weight", SERVER, REPLY_EMPTY, C | S, NULL, NULL},
	{"show servers conn", NONE, REPLY_DUMP, 0, "# bkname/svname ", NULL},
	{"show servers state", NONE, REPLY_DUMP, 0, "1\n# be_id ", NULL},

	/* Frontends, backends, the process. */
	{"clear counters", NONE, REPLY_TEXT, C | B, "Server counters cleared.", NULL},
	{"disable dynamic-cookie backend", NONE, REPLY_EMPTY, C, NULL, NULL},
	{"disable frontend", NONE, REPLY_TEXT, C | B,
	 "Frontend is already disabled.|All sockets are already disabled.", NULL},
	{"enable dynamic-cookie backend", NONE, REPLY_EMPTY, C, NULL, NULL},
	{"enable frontend", NONE, REPLY_TEXT, C | B,
	 "Frontend is already enabled.|All sockets are already enabled.", NULL},
	{"get var", NONE, REPLY_TEXT, S, "*: type=", NULL},
	{"set anon global-key", NONE, REPLY_EMPTY, C, NULL, NULL},
	{"set dynamic-cookie-key backend", NONE, REPLY_EMPTY, C, NULL, NULL},
	{"set maxconn frontend", NONE, REPLY_EMPTY, C | N, NULL, NULL},
	{"set maxconn global", NONE, REPLY_EMPTY, C | N, NULL, NULL},
	{"set profiling", NONE, REPLY_EMPTY, C, NULL, NULL},
	{"set rate-limit", NONE, REPLY_EMPTY, C | N, NULL, NULL},
	{"set var", NONE, REPLY_EMPTY, C | S, NULL, NULL},
	{"shutdown frontend", NONE, REPLY_TEXT, C | B, "Frontend was already shut down.",
	 NULL},
	{"shutdown session", NONE, REPLY_EMPTY, C, NULL, NULL},
	{"shutdown sessions server", NONE, REPLY_EMPTY, C, NULL, NULL},
	{"trace", NONE, REPLY_ANY, C | S, NULL, NULL},

	/* Reading the process. 2.2 leaves out the last LF of JSON. */
	{"acme status", NONE, REPLY_ANY, R, NULL, NULL},
	{"dump stats-file", NONE, REPLY_DUMP, R | B, "#", NULL},
	{"show", NONE, REPLY_ANY, S, NULL, NULL},
	{"show activity", NONE, REPLY_DUMP, 0, NULL, NULL},
	{"show anon", NONE, REPLY_TEXT, 0, NULL, NULL},
	{"show backend", NONE, REPLY_DUMP, 0, "# name", NULL},
	{"show cache", NONE, REPLY_DUMP, B, NULL, NULL},
	{"show cli level", NONE, REPLY_TEXT, 0, "admin|operator|user|unknown", NULL},
	{"show cli sockets", NONE, REPLY_DUMP, B, "# socket lvl", NULL},
	{"show dev", NONE, REPLY_TEXT, R, NULL, NULL},
	{"show env", NONE, REPLY_DUMP, R | B, NULL, NULL},
	{"show errors", NONE, REPLY_DUMP, 0, "Total events captured on ", NULL},
	{"show events", NONE, REPLY_ANY, S, NULL, NULL},
	{"show fd", NONE, REPLY_DUMP, B, NULL, NULL},
	{"show info", NONE, REPLY_DUMP, 0, "Name: |0.Name.", NULL},
	{"show info json", NONE, REPLY_DUMP, S, "[", NULL},
	{"show info * json", NONE, REPLY_DUMP, S, "[", NULL},
	{"show libs", NONE, REPLY_TEXT, R | B, NULL, NULL},
	{"show peers", NONE, REPLY_DUMP, B, NULL, NULL},
	{"show pools", NONE, REPLY_DUMP, 0, NULL, NULL},
	{"show profiling", NONE, REPLY_DUMP, 0, NULL, NULL},
	{"show quic", NONE, REPLY_DUMP, R | B, NULL, NULL},
	{"show resolvers", NONE, REPLY_DUMP, R | B, NULL, NULL},
	{"show schema json", NONE, REPLY_DUMP, S, "{", NULL},
	{"show sess", NONE, REPLY_DUMP, B, NULL, NULL},
	{"show startup-logs", NONE, REPLY_ANY, R, NULL, NULL},
	{"show stat", NONE, REPLY_DUMP, B, NULL, NULL},
	{"show stat json", NONE, REPLY_DUMP, S, "[", NULL},
	{"show stat * json", NONE, REPLY_DUMP, S, "[", NULL},
	{"show stat * * json", NONE, REPLY_DUMP, S, "[", NULL},
	{"show stat * * * json", NONE, REPLY_DUMP, S, "[", NULL},
	{"show tasks", NONE, REPLY_DUMP, 0, "Running tasks: ", NULL},
	{"show threads", NONE, REPLY_DUMP, R, NULL, NULL},
	{"show trace", NONE, REPLY_TEXT, S, NULL, NULL},
	{"show version", NONE, REPLY_TEXT, 0, NULL, NULL},

	/* Stick tables. To a user a table looks empty. */
	{"clear table", NONE, REPLY_EMPTY, C, NULL, NULL},
	{"set table", NONE, REPLY_EMPTY, C, NULL, NULL},
	{"show table", NONE, REPLY_DUMP, B, "# table: |0x",
	 "*\n# contents not dumped due to insufficient privileges"},

	/* TLS. Some of the errors end with two empty lines. */
	{"abort ssl", NONE, REPLY_TEXT, C | R, "Transaction aborted for ", NULL},
	{"add ssl ca-file", NONE, REPLY_TEXT, C | R,
	 "transaction created for |transaction updated for ", NULL},
	{"add ssl crt-list", NONE, REPLY_TEXT, C | R, "Inserting certificate *\nSuccess!",
	 NULL},
	{"commit ssl", NONE, REPLY_TEXT, C | R, "Committing *\nSuccess!", NULL},
	{"del ssl", NONE, REPLY_TEXT, C | R,
	 "Certificate '*' deleted!|CA file '*' deleted!|CRL file '*' deleted!"
	 "|Entry '*' deleted in crtlist ",
	 NULL},
	{"dump ssl cert", NONE, REPLY_DUMP, B, "-----BEGIN ", NULL},
	{"new ssl", NONE, REPLY_TEXT, C | R,
	 "New empty certificate store |New CA file created |New CRL file created ", NULL},
	{"set ssl", NONE, REPLY_TEXT, C | R,
	 "Transaction created for |Transaction updated for |transaction created for "
	 "|transaction updated for |OCSP Response updated!|TLS ticket key updated!",
	 NULL},
	{"show ssl", NONE, REPLY_ANY, R, NULL, NULL},
	{"show tls-keys", NONE, REPLY_DUMP, R | B, NULL, NULL},
	{"update ssl ocsp-response", NONE, REPLY_ANY, C | R, NULL, NULL},

	/* The master process. */
	{"hard-reload", NONE, REPLY_TEXT, C | S, "Success=1\n", NULL},
	{"reload", NONE, REPLY_TEXT, C | S, "Success=1\n", NULL},
	{"show proc", NONE, REPLY_DUMP, 0, "#<PID>", NULL},
};

const struct grammar grammar_unknown = {"", NONE, REPLY_ANY, C | S, NULL, NULL};

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

/* How many words of a command this row matches; 0: not this row. Sets *more where the row
 * has words behind the command's last. */
static size_t match_words(const struct grammar *g, const struct span *words, size_t n,
			  bool *more)
{
	const char *p = g->command;

	for (size_t i = 0;;) {
		p = match_word(p, words[i++]);
		if (!p || !*p)
			return p ? i : 0;
		if (i == n) {
			*more = true;
			return 0;
		}
	}
}

const struct grammar *grammar_find(const struct span *words, size_t n, bool *more)
{
	const struct grammar *best = &grammar_unknown;
	char first = n > 0 && words->n > 0 ? *words->p : '\0';
	size_t most = 0;

	*more = false;
	for (size_t i = 0; first && i < sizeof grammars / sizeof *grammars; i++) {
		/* Most are dismissed by a look: no row's first word begins with '*'. */
		if (*grammars[i].command != first)
			continue;
		size_t matched = match_words(&grammars[i], words, n, more);

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
