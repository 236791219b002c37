/* SPDX-License-Identifier: MIT
 *
 * main.c - the command line: options, help, version. */
#include "run/policy.h"
#include "base/typo.h"
#include "protocol/address.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef HAPLUA_VERSION
#define HAPLUA_VERSION "unknown"
#endif

/* A module compares it with the version that it was built with (src/curl/module.c). */
extern const char haplua_version[];
const char haplua_version[] = HAPLUA_VERSION;

#define DEFAULT_SOCKET "/run/haproxy/admin.sock"
#define SOCKETS_MAX    1024
#define ONLY_MAX       256

static const char help[] =
	"Usage: haplua [options] SCRIPT.lua [argument...]\n"
	"       haplua [options] NAME [argument...]\n"
	"       haplua [options] -e CODE [argument...]\n"
	"       haplua [options]\n"
	"       haplua list | help NAME | new NAME | test [FILE|FOLDER]...\n"
	"\n"
	"Run a maintenance policy for HAProxy: a Lua 5.4 script that talks to the admin\n"
	"socket. NAME is NAME.lua in ./policies, ~/.config/haplua/policies,\n"
	"/etc/haplua/policies or haplua's own policies; '-' as SCRIPT is standard "
	"input;\n"
	"without a script there is a prompt.\n"
	"\n"
	"  -s, --socket ADDRESS   HAProxy's admin socket: /path, unix@/path,\n"
	"                         ipv4@host:port, ipv6@[host]:port or host:port; repeat\n"
	"                         it to run the script for several at once. Default:\n"
	"                         $HAPLUA_SOCKET, else " DEFAULT_SOCKET "\n"
	"      --via ROUTE        through a master CLI, to this process: @1, say\n"
	"  -t, --timeout SECONDS  deadline of one command (default 5)\n"
	"  -n, --dry-run          send nothing that changes HAProxy; print what would "
	"be\n"
	"                         sent\n"
	"      --read-only        refuse everything that changes HAProxy\n"
	"      --only REF         refuse every change but those of this ACL or map\n"
	"                         ('#9999', a file), server (BACKEND/SERVER) or\n"
	"                         backend's servers; repeat it for several\n"
	"      --max-reply SIZE   refuse an answer over this size: bytes, or 64K, 64M,\n"
	"                         1G (default 256M)\n"
	"  -e, --execute CODE     run this instead of a script\n"
	"  -v, --trace            show the wire traffic on standard error\n"
	"  -V, --version          show the version\n"
	"  -h, --help             show this help\n"
	"\n"
	"Exit status: 0 done; 1 the policy failed or HAProxy refused; 2 usage; 3 "
	"HAProxy\n"
	"could not be reached or did not answer in time; 4 dry run: something would\n"
	"change; 5 a fleet has the change, and some node has not carried it out; 128+n\n"
	"ended by signal n.\n"
	"\n"
	"  haplua maint on        send the whole site to its maintenance page\n"
	"  haplua maint --help    what a policy can do\n"
	"\n"
	"  haplua list            the policies that there are\n"
	"  haplua help drain      what a policy does, and its options\n"
	"  haplua new NAME        write a policy of your own to start from\n"
	"\n"
	"haplua(1) says more.\n";

static int usage(const char *problem, const char *what)
{
	fprintf(stderr, "haplua: %s%s\nTry 'haplua --help'.\n", problem,
		what ? what : "");
	return EXIT_USAGE;
}

/* The seconds in `text`, over 0; -1: it is no such number. */
static double seconds(const char *text)
{
	char *end;
	double n = strtod(text, &end);

	return *text && !*end && isfinite(n) && n > 0 ? n : -1;
}

/* The bytes in `text`, a number that may have K, M or G behind it; 0: it is no size. */
static size_t size(const char *text)
{
	static const char units[] = "KMG";
	char *end;
	unsigned long long n;
	size_t shift = 0;

	if (*text < '0' || *text > '9')
		return 0;
	errno = 0;
	n = strtoull(text, &end, 10);
	const char *unit = *end ? strchr(units, *end) : NULL;

	if (unit) {
		shift = 10 * (size_t)(unit - units + 1);
		end++;
	}
	if (*end || errno || n > (SIZE_MAX / 4) >> shift)
		return 0;
	return (size_t)n << shift;
}

static struct permit_ref only[ONLY_MAX];

/* Returns as take() does. */
static int add_only(struct permit *p, const char *ref)
{
	if (p->n_only == ONLY_MAX)
		return usage("too many references for --only", NULL);
	if (!permit_ref(&only[p->n_only], ref))
		return usage(
			"--only takes '#ID', a file name, BACKEND/SERVER or BACKEND, "
			"not ",
			ref);
	p->only = only;
	p->n_only++;
	return -1;
}

/* '+': the first word that is no option ends them; ':': refuse() says what is wrong. */
#define SHORTS "+:s:t:ne:vVh"

enum { OPT_VIA = 256, OPT_READ_ONLY, OPT_ONLY, OPT_MAX_REPLY };

static const struct option longs[] = {
	{"socket", required_argument, NULL, 's'},
	{"via", required_argument, NULL, OPT_VIA},
	{"timeout", required_argument, NULL, 't'},
	{"dry-run", no_argument, NULL, 'n'},
	{"read-only", no_argument, NULL, OPT_READ_ONLY},
	{"only", required_argument, NULL, OPT_ONLY},
	{"max-reply", required_argument, NULL, OPT_MAX_REPLY},
	{"execute", required_argument, NULL, 'e'},
	{"trace", no_argument, NULL, 'v'},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* Take one option. -1: go on; else the exit status of the program. */
static int take(struct options *o, int option)
{
	switch (option) {
	case 's':
		if (o->n_sockets == SOCKETS_MAX)
			return usage("too many targets", NULL);
		o->sockets[o->n_sockets++] = optarg;
		break;
	case OPT_VIA:
		if (!address_route(span_of(optarg)))
			return usage("--via takes a process of the master CLI, such as "
				     "@1 or @!PID, not ",
				     optarg);
		o->route = optarg;
		break;
	case 't':
		o->timeout = seconds(optarg);
		if (o->timeout < 0)
			return usage("--timeout takes seconds over 0, not ", optarg);
		break;
	case 'n':
		o->dry_run = true;
		break;
	case OPT_READ_ONLY:
		o->permit.read_only = true;
		break;
	case OPT_ONLY:
		return add_only(&o->permit, optarg);
	case OPT_MAX_REPLY:
		o->max_reply = size(optarg);
		if (o->max_reply == 0)
			return usage("--max-reply takes bytes, 64K, 64M or 1G, not ",
				     optarg);
		break;
	case 'e':
		o->chunk = optarg;
		break;
	case 'v':
		o->trace = true;
		break;
	case 'V':
		puts("haplua " HAPLUA_VERSION);
		return EXIT_DONE;
	case 'h':
		fputs(help, stdout);
		return EXIT_DONE;
	}
	return -1;
}

/* Say what is wrong with an option that getopt_long() refuses, or that has no value
 * (':'). `word` is the last one that it has read. */
static int refuse(int option, const char *word)
{
	char letter[2] = {(char)optopt, '\0'};

	if (option == ':')
		return usage("a value is missing behind ", word);
	if (strncmp(word, "--", 2) != 0 || (optopt && !strchr(word, '=')))
		return usage("no such option: -", letter);
	if (optopt)
		return usage("this option takes no value: ", word);
	const char *near = typo_nearest(word + 2, longs, sizeof *longs);

	if (near)
		fprintf(stderr, "haplua: did you mean --%s?\n", near);
	return usage("no such option: ", word);
}

/* The built-in command that runs in the place of a script, the prompt where there is
 * none, or NULL. */
static const char *builtin(const struct options *o)
{
	static const struct {
		const char *name, *module;
	} builtins[] = {
		{"complete", "haplua.cmd.complete"}, /* for the shells */
		{"help", "haplua.host.help"},
		{"list", "haplua.host.list"},
		{"new", "haplua.host.new"},
		{"test", "haplua.test.main"},
		{NULL, NULL},
	};

	if (o->chunk)
		return NULL;
	if (!o->script)
		return "haplua.host.prompt";
	for (size_t i = 0; builtins[i].name; i++)
		if (strcmp(o->script, builtins[i].name) == 0)
			return builtins[i].module;
	return NULL;
}

/* Where a standard stream is closed, the next socket would get its descriptor. Open a
 * file in its place that fails every use, as the closed stream does. */
static void hold_standard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
	static const char *sockets[SOCKETS_MAX];
	struct options o = {.sockets = sockets, .route = "", .version = haplua_version};
	int option, status;

	hold_standard_streams();
	opterr = 0;
	while ((option = getopt_long(argc, argv, SHORTS, longs, NULL)) != -1) {
		status = option == '?' || option == ':' ? refuse(option, argv[optind - 1])
							: take(&o, option);
		if (status >= 0)
			return status;
	}
	if (!o.chunk && optind < argc)
		o.script = argv[optind++];
	if (o.script && optind == argc && strcmp(o.script, "help") == 0)
		return take(&o, 'h');
	o.builtin = builtin(&o);
	o.test = o.builtin && strcmp(o.builtin, "haplua.test.main") == 0;
	if (o.builtin && o.script && (o.n_sockets > 0 || *o.route || o.dry_run))
		return usage("-s, --via and -n are of no use to haplua ", o.script);
	if (o.n_sockets == 0) {
		const char *preset = getenv("HAPLUA_SOCKET");

		sockets[o.n_sockets++] =
			!o.test && preset && *preset ? preset : DEFAULT_SOCKET;
	}
	if (!o.chunk && !o.script && !isatty(STDIN_FILENO))
		return usage("no script given ('-' reads it from standard input)", NULL);
	o.args = argv + optind;
	o.n_args = argc - optind;
	if (o.builtin && !o.script) { /* one prompt for all targets */
		o.args = (char **)sockets;
		o.n_args = o.n_sockets;
		o.n_sockets = 1;
	}
	return policy_run(&o);
}
