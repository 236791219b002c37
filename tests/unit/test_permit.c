/* SPDX-License-Identifier: MIT
 *
 * test_permit.c - what --read-only and --only let through. */
#include "unit.h"
#include "base/err.h"
#include "protocol/permit.h"

static const struct permit_ref references[] = {
	{"#9999", PERMIT_LIST},
	{"/etc/haproxy/blocked.lst", PERMIT_LIST},
	{"app/s1", PERMIT_LIST | PERMIT_SERVER},
	{"static", PERMIT_LIST | PERMIT_BACKEND},
	{"#7/o1", PERMIT_SERVER},
	{"two words", PERMIT_LIST},
};

static const struct permit open_to_all, read_only = {.read_only = true};
static const struct permit only = {
	.only = references,
	.n_only = sizeof references / sizeof *references,
};

static int check(const struct permit *p, const char *text, const char *payload)
{
	struct command c = {0};

	assert_int_equal(command_from_text(&c, span_of(text)), 0);
	if (payload)
		c.payload = span_of(payload);
	int rc = permit_check(p, &c);

	command_free(&c);
	return rc;
}

static void check_all(const struct permit *p, const char *const *commands, size_t n,
		      int want)
{
	for (size_t i = 0; i < n; i++) {
		int rc = check(p, commands[i], NULL);

		if (rc != want)
			fail_msg("'%s': %d, expected %d", commands[i], rc, want);
	}
}

#define CHECK(p, commands, want)                                                         \
	check_all(p, commands, sizeof(commands) / sizeof *(commands), want)

static const char *const reading[] = {
	"show info",
	"  show\tstat  ",
	"show acl #1",
	"show acl @7 #1",
	"get acl #1 add",
	"get map /x /a",
	"get weight app/s2",
	"get var proc.x",
	"help",
	"wait 5s srv-removable app/s2",
	"dump stats-file",
	"echo add acl #1 x",
	"s\\how in\\fo",
};

/* One of each sort, and commands that haplua does not know. */
static const char *const changing[] = {
	"add acl #1 x",
	"\\a\\d\\d acl #1 x",
	" \tadd  acl #1 x",
	"add map @1 #1 k v",
	"clear acl #1",
	"clear counters all",
	"clear table app",
	"commit acl @1 #1",
	"prepare map #1",
	"set map #1 k v",
	"del acl #1 #0x55aa",
	"set server app/s2 state maint",
	"set weight app/s2 10",
	"disable server app/s2",
	"disable frontend web",
	"enable health app/s2",
	"set maxconn server app/s2 1",
	"set maxconn frontend web 1",
	"set maxconn global 1",
	"set var proc.x int(1)",
	"shutdown frontend web",
	"shutdown session 0x1",
	"shutdown sessions server app/s2",
	"add server app/s3 127.0.0.1:1",
	"del server app/s2",
	"set ssl cert x",
	"update ssl ocsp-response x",
	"trace h1 start now",
	"reload",
	"hard-reload",
	"expert",
	"debug dev exit",
	"httpclient GET http://x/",
	"sho info",
	"SHOW info",
	"Get acl #1 x",
	"show",
	"show frobnicate",
	"acme renew x",
	"add",
};

/* They name a reference, and may change something else. */
static const char *const outside[] = {
	"add acl #09999 x",
	"add acl #+9999 x",
	"add acl # x",
	"add acl #0x270f x",
	"add acl",
	"add acl @1",
	"add acl @1 #1 #9999",
	"add acl @x #9999 x",
	"add acl @ #9999 x",
	"add acl @1 @2 #9999 x",
	"add acl #1 #9999",
	"del acl @1 #9999 x",
	"prepare acl @1 #9999",
	"set map @1 #9999 k v",
	"prepare acl blocked.lst",
	"clear acl file@/etc/haproxy/blocked.lst",
	"clear acl /etc/haproxy/blocked.lst/",
	"clear acl /etc/haproxy/./blocked.lst",
	"clear acl two",
	"clear acl two words",
	"clear acl app",
	"clear table static",
	"clear counters #9999",
	"set server app/s1",
	"set server app/s1 name s2",
	"set server app/s1 stat maint",
	"set server app/s10 state maint",
	"set server app state maint",
	"set server app/ state maint",
	"set server static state maint",
	"set server static/ state maint",
	"set server /static state maint",
	"set server app/static state maint",
	"set server static2/a state maint",
	"set server #2/#1 state maint",
	/* A number of a list is not one of a backend, and the other way round. */
	"set server #9999/o1 state maint",
	"disable server #9999/a",
	"set weight #9999/#1 0",
	"disable server #7/o2",
	"enable server #7",
	"add acl #7 x",
	"add acl #7/o1 x",
	"set server two words/a state maint",
	"disable server two\\ words/a",
	"disable server /etc/haproxy/blocked.lst/a",
	"set server app/s1/s2 state maint",
	"set server @1 app/s1 state maint",
	"set maxconn server app/s1 1",
	"shutdown sessions server app/s1",
	"add server static/new 127.0.0.1:1",
	"del server static/a",
	"disable frontend static",
	"disable dynamic-cookie backend static",
	"shutdown frontend static",
	"set table static key 1",
	"new #9999",
	"set #9999",
};

static const char *const inside[] = {
	"add acl #9999 ^/x",
	"add acl @12 #9999 ^/x",
	"add acl #\\9999 x",
	"add map #9999 k v",
	"clear acl #9999",
	"clear acl @3 #9999",
	"commit acl @3 #9999",
	"prepare acl #9999",
	"del acl #9999 #0x55aa",
	"del map /etc/haproxy/blocked.lst k",
	"set map /etc/haproxy/blocked.lst k v",
	"clear acl two\\ words",
	"set server app/s1 state maint",
	"set server app/s1 weight 50%",
	"set server app/s1 addr 192.0.2.1 port 80",
	"set weight app/s1 0",
	"disable server app/s1",
	"enable health app/s1",
	"set server static/a state drain",
	"set server static/#1 state drain",
	"enable agent static/b",
	"disable server #7/o1",
	"set server app/s1 agent-addr 192.0.2.1",
	"set server app/s1 agent-port 1",
	"set server app/s1 agent-send x",
	"set server app/s1 agent down",
	"set server app/s1 check-addr 192.0.2.1",
	"set server app/s1 check-port 1",
	"set server app/s1 fqdn x.test",
	"set server app/s1 health up",
	"set server app/s1 ssl on",
	/* files whose names could be those of a backend or a server */
	"add acl static x",
	"add acl app/s1 x",
};

static void without_options_nothing_is_held_back(void **state)
{
	(void)state;
	CHECK(&open_to_all, reading, 0);
	CHECK(&open_to_all, changing, 0);
	assert_int_equal(check(&open_to_all, "set ssl cert x", "a"), 0);
}

static void read_only_lets_known_readers_through_alone(void **state)
{
	(void)state;
	CHECK(&read_only, reading, 0);
	CHECK(&read_only, changing, HAP_EREADONLY);
	CHECK(&read_only, inside, HAP_EREADONLY);
	CHECK(&read_only, outside, HAP_EREADONLY);
}

static void only_lets_changes_of_its_references_through_alone(void **state)
{
	(void)state;
	CHECK(&only, reading, 0);
	CHECK(&only, inside, 0);
	CHECK(&only, changing, HAP_EONLY);
	CHECK(&only, outside, HAP_EONLY);
}

static void read_only_wins(void **state)
{
	struct permit both = only;

	(void)state;
	both.read_only = true;
	CHECK(&both, inside, HAP_EREADONLY);
	CHECK(&both, reading, 0);
}

/* No command that only reads takes one. */
static void a_payload_is_for_add_map(void **state)
{
	(void)state;
	assert_int_equal(check(&only, "add map #9999", "k v"), 0);
	assert_int_equal(check(&only, "add map @1 #9999", "k v"), 0);
	assert_int_equal(check(&only, "add map #1", "k v"), HAP_EONLY);
	assert_int_equal(check(&only, "add acl #9999", "k v"), HAP_EONLY);
	assert_int_equal(check(&only, "show acl #9999", "k v"), HAP_EONLY);
	assert_int_equal(check(&read_only, "show acl #9999", "k v"), HAP_EREADONLY);
	assert_int_equal(check(&read_only, "add map #9999", "k v"), HAP_EREADONLY);
}

static void a_reference_has_its_kinds(void **state)
{
	static const struct permit_ref cases[] = {
		{"#0", PERMIT_LIST},
		{"#9999", PERMIT_LIST},
		{"/a b", PERMIT_LIST},
		{"/app", PERMIT_LIST},
		{"a/", PERMIT_LIST},
		{"./app", PERMIT_LIST | PERMIT_SERVER},
		{"virt@x", PERMIT_LIST},
		{"virt@x/y", PERMIT_LIST},
		{"app/s1/s2", PERMIT_LIST},
		{"app", PERMIT_LIST | PERMIT_BACKEND},
		{"A-z_0.9:", PERMIT_LIST | PERMIT_BACKEND},
		{"app/s1", PERMIT_LIST | PERMIT_SERVER},
		{"app/#1", PERMIT_LIST | PERMIT_SERVER},
		{"#4/o1", PERMIT_SERVER},
		{"#4/#1", PERMIT_SERVER},
		{"", 0},
		{"#", 0},
		{"#x", 0},
		{"#0x1", 0},
		{"# 1", 0},
		{"#4/", 0},
		{"#4/a b", 0},
		{"#x/o1", 0},
		{"@1", 0},
		{"@", 0},
	};
	struct permit_ref ref;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bool is = permit_ref(&ref, cases[i].text);

		if (is != (cases[i].kinds != 0) || ref.kinds != cases[i].kinds)
			fail_msg("'%s': %u, expected %u", cases[i].text, ref.kinds,
				 cases[i].kinds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_options_nothing_is_held_back),
		cmocka_unit_test(read_only_lets_known_readers_through_alone),
		cmocka_unit_test(only_lets_changes_of_its_references_through_alone),
		cmocka_unit_test(read_only_wins),
		cmocka_unit_test(a_payload_is_for_add_map),
		cmocka_unit_test(a_reference_has_its_kinds),
	};

	return cmocka_run_group_tests_name("permit", tests, NULL, NULL);
}
