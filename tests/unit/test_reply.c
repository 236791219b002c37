/* SPDX-License-Identifier: MIT
 *
 * test_reply.c - success or refusal. The answers are HAProxy's, byte for byte, from the
 * version named; rows are read in test_reply_rows.c. */
#include "unit.h"
#include "protocol/command.h"
#include "base/err.h"
#include "protocol/frame.h"
#include "protocol/reply.h"

struct reply_case {
	const char *command, *answer;
	int rc;
	const char *text;
};

static const struct grammar *grammar_of(const char *text)
{
	struct command c = {0};
	int rc = command_from_text(&c, span_of(text));
	const struct grammar *g = rc == 0 ? c.grammar : &grammar_unknown;

	command_free(&c);
	return g;
}

static void check(const struct reply_case *c, bool severity)
{
	struct span answer = span_of(c->answer), reply, text = {0};
	char *copy = exact_copy(answer);
	struct frame f;
	bool whole;

	answer.p = copy;
	frame_start(&f, 1);
	assert_int_equal(frame_last(&f, answer, &reply, &whole), 0);
	int rc = reply_check(grammar_of(c->command), reply, whole, severity, &text);

	if (rc != c->rc || !span_equal(text, span_of(c->text)))
		fail_msg("%s: got %d \"%.*s\", expected %d \"%s\"", c->command, rc,
			 (int)text.n, text.n ? text.p : "", c->rc, c->text);
	free(copy);
}

#define CHECK_ALL(cases, severity)                                                       \
	do {                                                                             \
		(void)state;                                                             \
		for (size_t i = 0; i < sizeof(cases) / sizeof *(cases); i++)             \
			check(&(cases)[i], severity);                                    \
	} while (0)

static void success_of_a_change_is_an_empty_body(void **state)
{
	static const struct reply_case cases[] = {
		{"add acl #9999 /q", "\n", 0, ""},
		{"add acl @1 #9999 /q", "\n", 0, ""},
		{"add map m k v", "\n", 0, ""},
		{"clear acl @3 #9999", "\n", 0, ""},
		{"commit map @1 m", "\n", 0, ""},
		{"del acl #9999 #0x55", "\n", 0, ""},
		{"set map m k v", "\n", 0, ""},
		{"set server b/s state drain", "\n", 0, ""},
		{"set server b/s weight 50%", "\n", 0, ""},
		{"set server b/s agent up", "\n", 0, ""},
		{"set server b/s check-addr 10.0.0.1", "\n", 0, ""},
		{"set weight b/s 3", "\n", 0, ""},
		{"enable server b/s", "\n", 0, ""},
		{"disable frontend fe", "\n", 0, ""},
		{"shutdown sessions server b/s", "\n", 0, ""},
		{"clear counters all", "\n", 0, ""},
		{"set maxconn global 100", "\n", 0, ""},
		{"set rate-limit connections global 10", "\n", 0, ""},
		{"set table t key k data.gpc0 1", "\n", 0, ""},
		{"clear table t key k", "\n", 0, ""},
		{"enable dynamic-cookie backend b", "\n", 0, ""},
		{"enable health b/s", "\n", 0, ""},
	};

	CHECK_ALL(cases, true);
	CHECK_ALL(cases, false);
}

static void some_changes_answer_a_text(void **state)
{
	static const struct reply_case cases[] = {
		{"prepare acl #9999", "[6]: New version created: 1\n\n", 0,
		 "New version created: 1"},
		{"add server b/n 127.0.0.1:1", "[6]: New server registered.\n\n", 0,
		 "New server registered."},
		/* 2.6: one LF. */
		{"del server b/n", "[6]: Server deleted.\n", 0, "Server deleted."},
		{"set server b/s addr 127.0.0.2",
		 "[4]: IP changed from '127.0.0.1' to '127.0.0.2' by 'stats socket "
		 "command'\n\n",
		 0,
		 "IP changed from '127.0.0.1' to '127.0.0.2' by 'stats socket command'"},
		{"set server b/s addr 127.0.0.2",
		 "[4]: no need to change the addr by 'stats socket command'\n\n", 0,
		 "no need to change the addr by 'stats socket command'"},
		/* 3.0 */
		{"set server b/s addr 127.0.0.2 port 80",
		 "[4]: port changed from '81' to '80' by 'stats socket command'\n\n", 0,
		 "port changed from '81' to '80' by 'stats socket command'"},
		{"set server b/s addr 127.0.0.2", "[4]: nothing changed\n\n", 0,
		 "nothing changed"},
		/* 2.2 */
		{"set server b/s check-port 81", "[5]: health check port updated.\n\n", 0,
		 "health check port updated."},
		{"set server b/s fqdn a.example",
		 "[4]: b/s changed its FQDN from x to a.example by 'stats socket "
		 "command'\n\n",
		 0, "b/s changed its FQDN from x to a.example by 'stats socket command'"},
		{"set server b/s ssl on", "[5]: server ssl setting updated.\n\n", 0,
		 "server ssl setting updated."},
		/* What is as it was asked to be is no failure. */
		{"disable frontend fe", "[5]: All sockets are already disabled.\n\n", 0,
		 "All sockets are already disabled."},
		{"enable frontend fe", "[5]: Frontend is already enabled.\n\n", 0,
		 "Frontend is already enabled."},
		{"wait 100", "[6]: Done.\n\n", 0, "Done."},
		{"new ssl cert x.pem", "[5]: New empty certificate store 'x.pem'!\n\n", 0,
		 "New empty certificate store 'x.pem'!"},
		{"del ssl crl-file f", "[5]: CRL file 'f' deleted!\n\n", 0,
		 "CRL file 'f' deleted!"},
		{"set ssl cert x.pem",
		 "[5]: Transaction created for certificate x.pem!\n\n", 0,
		 "Transaction created for certificate x.pem!"},
		{"commit ssl cert x.pem", "Committing x.pem..\nSuccess!\n\n", 0,
		 "Committing x.pem..\nSuccess!"},
		{"trace h1 sink buf0", "\n", 0, ""},
		{"trace 0", "[5]: All traces now stopped\n", 0, "All traces now stopped"},
	};

	CHECK_ALL(cases, true);
}

static void refusals_by_severity(void **state)
{
	static const struct reply_case cases[] = {
		{"add acl #4 x",
		 "[3]: Unknown ACL identifier. Please use #<id> or <file>.\n\n",
		 HAP_EREFUSED, "Unknown ACL identifier. Please use #<id> or <file>."},
		{"add acl #9999 (",
		 "[3]: regex '(' is invalid (error=missing closing parenthesis, "
		 "erroffset=1).\n\n",
		 HAP_EREFUSED,
		 "regex '(' is invalid (error=missing closing parenthesis, "
		 "erroffset=1)."},
		{"del acl #9999 x", "[3]: Key not found.\n\n", HAP_EREFUSED,
		 "Key not found."},
		{"show acl #4",
		 "[3]: Unknown ACL identifier. Please use #<id> or <file>.\n\n",
		 HAP_EREFUSED, "Unknown ACL identifier. Please use #<id> or <file>."},
		{"get acl #9999", "[3]: Missing ACL identifier and/or key.\n\n",
		 HAP_EREFUSED, "Missing ACL identifier and/or key."},
		{"commit acl @9 #9999", "[3]: Version number out of range.\n\n",
		 HAP_EREFUSED, "Version number out of range."},
		{"show servers state x", "[3]: Can't find backend.\n\n", HAP_EREFUSED,
		 "Can't find backend."},
		{"show env X", "[3]: Variable not found\n\n", HAP_EREFUSED,
		 "Variable not found"},
		{"get weight b/zz", "[3]: No such server.\n\n", HAP_EREFUSED,
		 "No such server."},
		/* One LF only: 2.6. */
		{"set server b/s weight x",
		 "[3]: Empty weight string empty or preceded by garbage\n", HAP_EREFUSED,
		 "Empty weight string empty or preceded by garbage"},
		{"add server zz/n 127.0.0.1:1", "[3]: No such backend.\n", HAP_EREFUSED,
		 "No such backend."},
		{"get var proc.x", "[3]: Variable not found.\n", HAP_EREFUSED,
		 "Variable not found."},
		{"show info", "[3]: whatever\n", HAP_EREFUSED, "whatever"},
		/* And two closing lines: 2.6. */
		{"del ssl cert x",
		 "[3]: Can't remove the certificate: certificate 'x' doesn't "
		 "exist!\n\n\n",
		 HAP_EREFUSED,
		 "Can't remove the certificate: certificate 'x' doesn't exist!"},
		{"enable frontend fe",
		 "[3]: Frontend was previously shut down, cannot enable.\n\n",
		 HAP_EREFUSED, "Frontend was previously shut down, cannot enable."},
		{"wait 5s srv-removable b/s", "[3]: Failed.\n\n", HAP_EREFUSED,
		 "Failed."},
		{"wait 5s", "[3]: Interrupted.\n\n", HAP_EREFUSED, "Interrupted."},
		{"foo", "[0]: x\n\n", HAP_EREFUSED, "x"},
	};

	CHECK_ALL(cases, true);
}

/* Severity does not tell that these are refusals. */
static void refusals_that_look_like_successes(void **state)
{
	static const struct reply_case cases[] = {
		{"frobnicate", "[6]: Unknown command: 'frobnicate', but maybe ...\n\n",
		 HAP_EREFUSED, "Unknown command: 'frobnicate', but maybe ..."},
		{"prepare acl #1",
		 "[6]: Unknown command. Please enter one of the ...\n\n", HAP_EREFUSED,
		 "Unknown command. Please enter one of the ..."},
		{"show version", "[6]: Unknown command. Please enter one of ...\n\n",
		 HAP_EREFUSED, "Unknown command. Please enter one of ..."},
		{"wait 100", "[6]: Unknown command, but maybe one of ...\n\n",
		 HAP_EREFUSED, "Unknown command, but maybe one of ..."},
		{"show proc", "[6]: Unknown command, but maybe one of ...\n\n",
		 HAP_EREFUSED, "Unknown command, but maybe one of ..."},
		{"set server b/s addr x",
		 "[4]: Invalid addr 'x' by 'stats socket command'\n\n", HAP_EREFUSED,
		 "Invalid addr 'x' by 'stats socket command'"},
		/* The address is changed, the port is not. */
		{"set server b/s addr 127.0.0.1 port xx",
		 "[4]: IP changed from '127.0.0.2' to '127.0.0.1', problem converting "
		 "port "
		 "'xx' to an int by 'stats socket command'\n\n",
		 HAP_EREFUSED,
		 "IP changed from '127.0.0.2' to '127.0.0.1', problem converting port "
		 "'xx' "
		 "to an int by 'stats socket command'"},
		{"set server b/s check-port 80",
		 "[4]: health checks are not enabled on this server\n", HAP_EREFUSED,
		 "health checks are not enabled on this server"},
		{"set server b/s agent-addr 127.0.0.1",
		 "[4]: agent checks are not enabled on this server\n", HAP_EREFUSED,
		 "agent checks are not enabled on this server"},
		{"set server b/s fqdn x",
		 "[4]: could not update b/s FQDN by 'stats socket command'\n\n",
		 HAP_EREFUSED, "could not update b/s FQDN by 'stats socket command'"},
		{"set server b/s ssl on", "[5]: server ssl setting not supported.\n\n",
		 HAP_EREFUSED, "server ssl setting not supported."},
		{"disable frontend fe",
		 "[5]: Frontend was previously shut down, cannot disable.\n\n",
		 HAP_EREFUSED, "Frontend was previously shut down, cannot disable."},
		{"show sess 0x123", "Session not found.\n\n", HAP_EREFUSED,
		 "Session not found."},
		{"wait 5s srv-removable b/s", "[6]: Wait delay expired.\n\n",
		 HAP_EREFUSED, "Wait delay expired."},
		{"commit ssl cert x.pem", "Committing x.pem.\nbad key\nFailed!\n\n",
		 HAP_EREFUSED, "Committing x.pem.\nbad key\nFailed!"},
		{"commit ssl cert Success!", "Committing Success!.\nbad key\nFailed!\n\n",
		 HAP_EREFUSED, "Committing Success!.\nbad key\nFailed!"},
		/* Anything but silence is no success of these. */
		{"add acl #9999 x", "[6]: some news of a later version\n\n", HAP_EREFUSED,
		 "some news of a later version"},
		{"add acl #9999 x", "some news of a later version\n\n", HAP_EREFUSED,
		 "some news of a later version"},
		{"show info", "The command line is too big for the buffer size.\n",
		 HAP_EREFUSED, "The command line is too big for the buffer size."},
		{"add map m k v", "[3]: The command is too big for the buffer size.\n",
		 HAP_EREFUSED, "The command is too big for the buffer size."},
	};

	CHECK_ALL(cases, true);
}

static void levels_and_modes_are_denials(void **state)
{
	static const struct reply_case cases[] = {
		{"show env", "[3]: Permission denied\n\n", HAP_EDENIED,
		 "Permission denied"},
		{"set server b/s state ready", "[3]: Permission denied\n\n", HAP_EDENIED,
		 "Permission denied"},
		{"set var proc.x int(3)",
		 "[3]: This command is restricted to experimental mode only.\n\n",
		 HAP_EDENIED, "This command is restricted to experimental mode only."},
		{"httpclient GET http://x/",
		 "[3]: This command is restricted to expert mode only.\n\n", HAP_EDENIED,
		 "This command is restricted to expert mode only."},
		/* It would look like an empty table. */
		{"show table t",
		 "# table: t, type: string, size:10240, used:1\n"
		 "# contents not dumped due to insufficient privileges\n\n",
		 HAP_EDENIED,
		 "# table: t, type: string, size:10240, used:1\n"
		 "# contents not dumped due to insufficient privileges"},
	};

	CHECK_ALL(cases, true);
}

static void dumps(void **state)
{
	static const struct reply_case cases[] = {
		{"show cli level", "[6]: admin\n\n", 0, "admin"},
		{"show version", "[6]: 2.6.12-1+deb12u4\n\n", 0, "2.6.12-1+deb12u4"},
		{"show acl", "# id (file) description\n\n", 0, "# id (file) description"},
		{"show acl #9999", "\n", 0, ""},
		{"show acl #9999", "0x55 a\n0x56 b\n\n", 0, "0x55 a\n0x56 b"},
		{"show acl #9999", "0x55 a\n\n> x\n\n", 0, "0x55 a\n\n> x"},
		{"show map m", "0x55 k \n\n", 0, "0x55 k "},
		{"get acl #9999 /x", "type=reg, case=sensitive, match=no\n\n", 0,
		 "type=reg, case=sensitive, match=no"},
		{"get weight b/s", "1 (initial 1)\n\n", 0, "1 (initial 1)"},
		{"show info", "Name: HAProxy\nVersion: 2.6.12\n\n", 0,
		 "Name: HAProxy\nVersion: 2.6.12"},
		{"show info typed", "0.Name.1:POS:str:HAProxy\n\n", 0,
		 "0.Name.1:POS:str:HAProxy"},
		{"show info json", "[{\"a\":1}]\n\n", 0, "[{\"a\":1}]"},
		/* 2.2 */
		{"show info json", "[{\"a\":1}]\n", 0, "[{\"a\":1}]"},
		{"show stat up json", "[[]]\n", 0, "[[]]"},
		{"show stat 1 2 3 json", "[]\n\n", 0, "[]"},
		{"show schema json", "{}\n", 0, "{}"},
		{"show servers state", "1\n# be_id be_name\n\n", 0, "1\n# be_id be_name"},
		{"show table t", "# table: t, type: ip\n\n", 0, "# table: t, type: ip"},
		{"show table t key zz", "\n", 0, ""},
		{"show startup-logs", "[6]: \n\n", 0, ""},
		{"show startup-logs", "\n", 0, ""},
		{"show threads", "* Thread 1\n\n\n", 0, "* Thread 1\n"},
		{"show env A", "A=[3]: x\n\n", 0, "A=[3]: x"},
		{"get var proc.x", "[6]: proc.x: type=sint value=<3>\n", 0,
		 "proc.x: type=sint value=<3>"},
		{"echo a b", "[6]: a b\n\n", 0, "a b"},
		{"help", "[6]: The following commands are valid at this level:\n\n", 0,
		 "The following commands are valid at this level:"},
		/* 2.2 has the same text for `help` and for what it does not know. */
		{"help", "[6]: Unknown command. Please enter one of the following\n\n", 0,
		 "Unknown command. Please enter one of the following"},
		{"help", "[6]: Unknown command: 'help', but maybe\n\n", HAP_EREFUSED,
		 "Unknown command: 'help', but maybe"},
	};

	CHECK_ALL(cases, true);
}

/* Cut by a slow reader's timeout, or by a crash. */
static void a_cut_or_strange_answer_is_never_a_success(void **state)
{
	static const struct reply_case cases[] = {
		{"show acl #9999", "0x55 a\n", HAP_EPROTOCOL, "0x55 a"},
		{"show info", "Name: HAProxy\n", HAP_EPROTOCOL, "Name: HAProxy"},
		{"show stat", "# pxname,svname,\n", HAP_EPROTOCOL, "# pxname,svname,"},
		{"show sess", "0x55: proto=x\n", HAP_EPROTOCOL, "0x55: proto=x"},
		{"wait 1", "[6]: Done.\n", HAP_EPROTOCOL, "Done."},
		{"show info", "Uptime: 3\n\n", HAP_EPROTOCOL, "Uptime: 3"},
		{"show info", "[6]: Name: HAProxy\n\n", HAP_EPROTOCOL, "Name: HAProxy"},
		{"show acl #9999", "a pattern\n\n", HAP_EPROTOCOL, "a pattern"},
		{"show info", "\n", HAP_EPROTOCOL, ""},
		{"prepare acl #9999", "\n", HAP_EPROTOCOL, ""},
		{"add server b/n 127.0.0.1:1", "\n", HAP_EPROTOCOL, ""},
		{"wait 1", "\n", HAP_EPROTOCOL, ""},
		/* The extra empty line of 3.2 after a CR is not a success, either. */
		{"add acl #9999 x", "\n\n", HAP_EPROTOCOL, ""},
		{"add acl #9999 x", "[3]: \n\n", HAP_EPROTOCOL, ""},
	};

	CHECK_ALL(cases, true);
}

static void behind_a_route_texts_alone_must_do(void **state)
{
	static const struct reply_case cases[] = {
		{"show info", "Name: HAProxy\n\n", 0, "Name: HAProxy"},
		{"show version", "2.6.12-1+deb12u4\n\n", 0, "2.6.12-1+deb12u4"},
		{"prepare acl #9999", "New version created: 1\n\n", 0,
		 "New version created: 1"},
		{"del server b/n", "Server deleted.\n", 0, "Server deleted."},
		{"disable frontend fe", "All sockets are already disabled.\n\n", 0,
		 "All sockets are already disabled."},
		{"show info", "Can't find the target PID matching the prefix '@2'\n",
		 HAP_EREFUSED, "Can't find the target PID matching the prefix '@2'"},
		{"add acl #9999 x", "Can't connect to the target CLI!\n", HAP_EWORKER,
		 "Can't connect to the target CLI!"},
		{"add acl",
		 "'add acl' expects two parameters: ACL identifier and "
		 "pattern.\n\n",
		 HAP_EREFUSED,
		 "'add acl' expects two parameters: ACL identifier and pattern."},
		{"show acl #4", "Unknown ACL identifier. Please use #<id> or <file>.\n\n",
		 HAP_EREFUSED, "Unknown ACL identifier. Please use #<id> or <file>."},
		{"show stat", "Permission denied\n\n", HAP_EDENIED, "Permission denied"},
		{"show env", "Permission denied!\n", HAP_EDENIED, "Permission denied!"},
		{"frobnicate", "Unknown command, but maybe\n\n", HAP_EREFUSED,
		 "Unknown command, but maybe"},
		{"show table zz", "No such table\n\n", HAP_EREFUSED, "No such table"},
		{"show peers zz", "No such peers\n\n", HAP_EREFUSED, "No such peers"},
		{"set server b/s addr x",
		 "Invalid addr 'x' by 'stats socket command'\n\n", HAP_EREFUSED,
		 "Invalid addr 'x' by 'stats socket command'"},
		{"set weight b/s x", "Empty weight string empty or preceded by garbage\n",
		 HAP_EREFUSED, "Empty weight string empty or preceded by garbage"},
		/* "[3]: " is a part of the text here, and the text is no success. */
		{"add acl #9999 x", "[3]: x\n\n", HAP_EREFUSED, "[3]: x"},
	};

	CHECK_ALL(cases, false);
}

static void the_master_itself(void **state)
{
	static const struct reply_case cases[] = {
		{"show proc", "#<PID>          <type>\n# workers\n\n", 0,
		 "#<PID>          <type>\n# workers"},
		{"reload", "Success=1\n--\n[NOTICE] x\n", 0, "Success=1\n--\n[NOTICE] x"},
		{"reload", "Success=0\n--\n[ALERT] x\n", HAP_EREFUSED,
		 "Success=0\n--\n[ALERT] x"},
		{"hard-reload", "Success=1\n--\n\n", 0, "Success=1\n--"},
	};

	CHECK_ALL(cases, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(success_of_a_change_is_an_empty_body),
		cmocka_unit_test(some_changes_answer_a_text),
		cmocka_unit_test(refusals_by_severity),
		cmocka_unit_test(refusals_that_look_like_successes),
		cmocka_unit_test(levels_and_modes_are_denials),
		cmocka_unit_test(dumps),
		cmocka_unit_test(a_cut_or_strange_answer_is_never_a_success),
		cmocka_unit_test(behind_a_route_texts_alone_must_do),
		cmocka_unit_test(the_master_itself),
	};

	return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
