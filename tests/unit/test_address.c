/* SPDX-License-Identifier: MIT
 *
 * test_address.c - HAProxy's address syntax. */
#include "unit.h"
#include "protocol/address.h"
#include "base/err.h"

static int parse(struct address *out, struct span text)
{
	char *p = exact_copy(text);
	int rc = address_parse(out, (struct span){p, text.n});

	free(p);
	return rc;
}

static void paths_in_every_form(void **state)
{
	static const struct {
		const char *text, *path;
		bool abstract;
	} cases[] = {
		{"/run/haproxy/admin.sock", "/run/haproxy/admin.sock", false},
		{"./admin.sock", "./admin.sock", false},
		{"run/admin.sock", "run/admin.sock", false},
		{"unix@/run/a.sock", "/run/a.sock", false},
		{"unix@a.sock", "a.sock", false},
		{"abns@haproxy", "haproxy", true},
		/* Only a known prefix is one; a port is no matter of paths. */
		{"/run/ipv4@x:1", "/run/ipv4@x:1", false},
		{"fd@3/x", "fd@3/x", false},
		{"unix@unix@x", "unix@x", false},
		{"/a b", "/a b", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address a;

		assert_int_equal(parse(&a, span_of(cases[i].text)), 0);
		assert_int_equal(a.kind, ADDRESS_UNIX);
		assert_string_equal(a.path, cases[i].path);
		assert_int_equal(a.abstract, cases[i].abstract);
	}
}

static void hosts_in_every_form(void **state)
{
	static const struct {
		const char *text, *host, *port;
		enum address_family family;
	} cases[] = {
		{"127.0.0.1:9999", "127.0.0.1", "9999", ADDRESS_ANY},
		{"lb.example.org:1", "lb.example.org", "1", ADDRESS_ANY},
		{"lb_1-a:65535", "lb_1-a", "65535", ADDRESS_ANY},
		{"tcp@lb:9999", "lb", "9999", ADDRESS_ANY},
		{"ipv4@lb:9999", "lb", "9999", ADDRESS_IPV4},
		{"ipv6@lb:9999", "lb", "9999", ADDRESS_IPV6},
		{"ipv6@[::1]:9999", "::1", "9999", ADDRESS_IPV6},
		{"ipv6@::1:9999", "::1", "9999", ADDRESS_IPV6},
		{"ipv6@2001:db8::7:80", "2001:db8::7", "80", ADDRESS_IPV6},
		{"[2001:db8::7]:80", "2001:db8::7", "80", ADDRESS_IPV6},
		{"tcp@[::1]:80", "::1", "80", ADDRESS_IPV6},
		{"[fe80::1%eth0]:80", "fe80::1%eth0", "80", ADDRESS_IPV6},
		{"[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1", "80", ADDRESS_IPV6},
		{"lb:00080", "lb", "80", ADDRESS_ANY},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address a;

		assert_int_equal(parse(&a, span_of(cases[i].text)), 0);
		assert_int_equal(a.kind, ADDRESS_TCP);
		assert_string_equal(a.host, cases[i].host);
		assert_string_equal(a.port, cases[i].port);
		assert_int_equal(a.family, cases[i].family);
	}
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"unix@",
		"abns@",
		"ipv4@",
		"tcp@",
		":",
		":80",
		"lb",
		"lb:",
		"9999",
		/* ports */
		"lb:0",
		"lb:65536",
		"lb:99999",
		"lb:100000",
		"lb:-1",
		"lb:+1",
		"lb: 1",
		"lb:1 ",
		"lb:0x50",
		"lb:http",
		"lb:18446744073709551617",
		/* Without brackets the port might be a part of the number, or missing. */
		"::1:80",
		"fe80::1",
		"2001:db8::7:80",
		"tcp@::1:80",
		"a:b:80",
		/* brackets */
		"[::1]",
		"[::1]80",
		"[]:80",
		"[:80",
		"]:80",
		"[lb]:80",
		"[127.0.0.1]:80",
		"ipv4@[::1]:80",
		"ipv6@[::1:80",
		"ipv6@::1]:80",
		"[::1%]:80",
		/* hosts */
		"l b:80",
		"lb;:80",
		"lb\n:80",
		"$HOST:80",
		"*:80",
		"fd@3:80",
		"user@lb:80",
		"ipv6@:80",
		"ipv6@::g:80",
		"lb%1:80",
		"lb\\:80",
		"ipv4@1::2:80",
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address a;
		int rc = parse(&a, span_of(cases[i]));

		if (rc != HAP_EADDRESS)
			fail_msg("\"%s\" gave %d", cases[i], rc);
	}
}

static void a_path_must_fit_the_system(void **state)
{
	char text[120];
	struct address a;

	(void)state;
	memset(text, 'x', sizeof text);
	text[0] = '/';
	assert_int_equal(parse(&a, (struct span){text, 107}), 0);
	assert_int_equal(strlen(a.path), 107);
	assert_int_equal(parse(&a, (struct span){text, 108}), HAP_EPATH);
	memcpy(text, "abns@", 5);
	assert_int_equal(parse(&a, (struct span){text, 112}), 0);
	assert_int_equal(strlen(a.path), 107);
	assert_int_equal(parse(&a, (struct span){text, 113}), HAP_EPATH);
}

static void a_host_must_fit(void **state)
{
	char text[300];
	struct address a;

	(void)state;
	memset(text, 'x', sizeof text);
	memcpy(text + 255, ":80", 3);
	assert_int_equal(parse(&a, (struct span){text, 258}), 0);
	assert_int_equal(strlen(a.host), 255);
	memcpy(text + 255, "x:80", 4);
	assert_int_equal(parse(&a, (struct span){text, 259}), HAP_EADDRESS);
}

static void nul_would_cut_the_address(void **state)
{
	struct address a;

	(void)state;
	assert_int_equal(parse(&a, SPAN_LIT("/run/a\0b")), HAP_ENUL);
	assert_int_equal(parse(&a, SPAN_LIT("lb\0.evil:80")), HAP_ENUL);
	assert_int_equal(parse(&a, SPAN_LIT("\0")), HAP_ENUL);
}

static void a_route_is_one_word_that_names_a_process(void **state)
{
	static const char *const good[] = {"@", "@1", "@!4711", "@master", "@@1"};
	static const char *const bad[] = {"",      "1",    "@1;x", "@1 x",  "@1\n",
					  "@1\tx", "@1\\", "@1<<", "@\x80", "@1\r"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(address_route(span_of(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(address_route(span_of(bad[i])));
	assert_false(address_route(SPAN_LIT("@1\0x")));
}

static void numbers_are_read_and_printed(void **state)
{
	static const struct {
		const char *text, *shown;
		size_t n;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1", 4},
		{"2001:DB8::00:1", "2001:db8::1", 16},
		{"1:0:0:2:0:0:0:3", "1:0:0:2::3", 16},
		{"::ffff:102:304", "::ffff:1.2.3.4", 16},
		{"0000:0000:0000:0000:0000:ffff:192.168.100.200",
		 "::ffff:192.168.100.200", 16},
		{"", NULL, 0},
		{"01.2.3.4", NULL, 0},
		{"1.2.3.4.5", NULL, 0},
		{"::1/8", NULL, 0},
		{"fe80::1%eth0", NULL, 0},
		{"0000:0000:0000:0000:0000:ffff:192.168.100.2000", NULL, 0},
	};
	unsigned char bytes[ADDRESS_NUMBER_MAX];
	char shown[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct span text = span_of(cases[i].text);
		char *copy = exact_copy(text);
		size_t n = address_number((struct span){copy, text.n}, bytes);

		free(copy);
		assert_int_equal(n, cases[i].n);
		if (n == 0)
			continue;
		address_text(shown, bytes, n);
		assert_string_equal(shown, cases[i].shown);
	}
	assert_int_equal(address_number(SPAN_LIT("1.2.3.4\0"), bytes), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_read_and_printed),
		cmocka_unit_test(paths_in_every_form),
		cmocka_unit_test(hosts_in_every_form),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(a_path_must_fit_the_system),
		cmocka_unit_test(a_host_must_fit),
		cmocka_unit_test(nul_would_cut_the_address),
		cmocka_unit_test(a_route_is_one_word_that_names_a_process),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
