# haplua - GNU make. `make help` lists the targets. tests/packages.sh looks for what a target needs; on Debian it
# installs what is missing, as root, and elsewhere it says what to install.

PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := $(shell sh packaging/version.sh)
SECONDS ?= 60

CC       ?= cc
LUA      := $(or $(shell LUA='$(LUA)' sh tests/lua.sh),lua5.4)
CFLAGS   ?= -O2 -g
CPPFLAGS ?=
WARN   := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes $(if $(CI),-Werror)
DEFS   := -DHAPLUA_VERSION='"$(VERSION)"'

# B is the folder for built files. Each kind of build has a folder of its own.
B   ?= build
BIN ?= haplua
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(CPPFLAGS) $(CFLAGS) $(WARN) $(DEFS) -Isrc -MMD -MP @$(B)/headers
# B/libraries has the arguments that link Lua, libuv and SQLite: packaging/libraries.sh finds them. All of Lua's interface
# is exported for C modules. SHARED=1 links the shared libraries. `now` binds all names at the start, which is safer, and
# faster than one by one. WITH is for this program alone, not for its module.
ALL_LIBS = -Wl,-z,relro,-z,now $(LDFLAGS) $(WITH) -Wl,--dynamic-list=src/curl/exports @$(B)/libraries

Q := $(if $(V),,@)

# What is in src/curl becomes a module that the program loads when it is first used (docs/architecture.md).
CURL    := $(BIN)-curl.so
CURL_OBJECTS := $(patsubst src/%.c,$(B)/%.o,$(wildcard src/curl/*.c))
# What is in src/etcd becomes another one, for which protobuf-c is needed.
FLEET   := $(BIN)-fleet.so
ETCD_OBJECTS := $(patsubst src/%.c,$(B)/%.o,$(wildcard src/etcd/*.c)) $(B)/etcd/messages.pb-c.o
FLEET_OBJECTS := $(ETCD_OBJECTS) $(B)/curl/multi.o $(B)/curl/failure.o
OBJECTS := $(filter-out $(CURL_OBJECTS) $(ETCD_OBJECTS),$(patsubst src/%.c,$(B)/%.o,$(shell find src -name '*.c'))) $(B)/modules.o
MODULES := $(shell find lua -name '*.lua')
module   = $(subst /,.,$(patsubst lua/%.lua,%,$(1)))
# The modules without sockets and without Lua, which fuzzers link.
PURE    := base/buf base/err base/typo os/clock etcd/grpc \
	$(patsubst src/%.c,%,$(wildcard src/protocol/*.c))
UNITS   := $(patsubst tests/unit/%.c,$(B)/%,$(wildcard tests/unit/test_*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_HEADERS := $(wildcard tests/*.h tests/fuzz/*.h src/base/*.h src/etcd/*.h src/os/*.h src/protocol/*.h)
HELPERS := $(B)/fake $(B)/typist $(B)/app $(B)/ask $(B)/killer $(B)/writes $(B)/proxy
PRELOADED := $(B)/disk.so $(B)/order.so $(B)/shift.so $(B)/stall.so $(B)/names.so
UNHURRIED := $(filter-out %/year_test.lua %/test_test.lua,$(wildcard tests/lua/*_test.lua))
SOURCES := $(shell find src tests -name '*.[ch]')

.PHONY: all
all: $(BIN) ## build ./haplua and its modules: ./haplua-curl.so, and where protobuf-c is there ./haplua-fleet.so

# The program finds its policies and its documents beside itself: another folder for built files gets links to them.
$(BIN): $(OBJECTS) src/curl/exports $(B)/libraries | $(CURL) $(if $(shell pkg-config --exists libprotobuf-c && command -v protoc-c),$(FLEET))
	@echo "LINK $@"
	$(Q)$(CC) $(CFLAGS) -o $@ $(OBJECTS) $(ALL_LIBS)
	$(Q)[ $(@D) = . ] || for part in scripts lua docs; do ln -sfn "$(CURDIR)/$$part" $(@D)/$$part; done

# The functions of haplua, Lua and libuv that it calls are the program's. nodelete: its callbacks are still called, and
# threads of libcurl may still run, when Lua lets go of its modules.
$(CURL): $(CURL_OBJECTS)
	@echo "LINK $@"
	$(Q)$(CC) $(CFLAGS) -shared -o $@ $^ -Wl,-z,relro,-z,now,-z,nodelete $(LDFLAGS) $$(pkg-config --libs libcurl)

.PHONY: fleet
fleet: $(FLEET) ## build ./haplua-fleet.so, the module that speaks with etcd
$(FLEET): $(FLEET_OBJECTS)
	@echo "LINK $@"
	$(Q)$(CC) $(CFLAGS) -shared -o $@ $^ -Wl,-z,relro,-z,now,-z,nodelete $(shell pkg-config --libs libcurl libprotobuf-c)

$(B)/etcd/messages.pb-c.c: src/etcd/messages.proto | $(B)/packages-fleet
	@echo "PROTO $<"
	$(Q)mkdir -p $(@D) && protoc-c --proto_path=$(<D) --c_out=$(@D) $(<F)
$(B)/etcd/messages.pb-c.o: $(B)/etcd/messages.pb-c.c
	@echo "CC   $<"
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<
$(ETCD_OBJECTS): ALL_CFLAGS += -I$(B)
$(filter-out %/grpc.o,$(ETCD_OBJECTS)): | $(B)/etcd/messages.pb-c.c

$(CURL_OBJECTS) $(ETCD_OBJECTS): ALL_CFLAGS += -fPIC -fvisibility=hidden
$(B)/curl/module.o $(B)/etcd/module.o: $(B)/version

# Where the programs or flags have changed, the libraries are looked for again.
$(B)/flags: always
	$(Q)mkdir -p $(B) && echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(SHARED)' | cmp -s - $@ \
		|| echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(SHARED)' >$@
$(B)/libraries: packaging/libraries.sh $(B)/flags $(B)/packages-build
	$(Q)CC='$(CC)' CPPFLAGS='$(CPPFLAGS)' CFLAGS='$(CFLAGS)' LDFLAGS='$(LDFLAGS)' SHARED='$(SHARED)' \
		sh packaging/libraries.sh $(B)
$(B)/headers: $(B)/libraries ;
$(OBJECTS) $(CURL_OBJECTS) $(FLEET_OBJECTS): | $(B)/headers
$(B)/fuzz_message: | $(B)/libraries

$(B)/%.o: src/%.c
	@echo "CC   $<"
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -c -o $@ $<

# main.c contains the version, so it is compiled again when the version changes.
$(B)/main.o: $(B)/version
$(B)/version: always
	$(Q)mkdir -p $(B) && echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@
.PHONY: always

$(B)/modules.c: src/run/modules.lua $(MODULES) | $(B)/packages-build
	@echo "LUA  $@"
	$(Q)$(LUA) src/run/modules.lua $(foreach m,$(MODULES),$(call module,$(m))=$(m)) \
		argparse > $@.tmp && mv $@.tmp $@

$(B)/modules.o: $(B)/modules.c
	@echo "CC   $<"
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

.PRECIOUS: $(B)/packages-%
$(B)/packages-%: tests/packages.sh
	$(Q)mkdir -p $(B) && sh tests/packages.sh $* && touch $@

# All but main(): a test program takes out of it what it calls.
$(B)/libhaplua.a: $(filter-out $(B)/main.o,$(OBJECTS))
	$(Q)rm -f $@ && ar rcs $@ $^

# A comment `link: --wrap=...` in a test program names the linker options that it needs.
$(B)/test_%: tests/unit/test_%.c $(B)/libhaplua.a $(B)/libraries | $(B)/packages-check
	@echo "CC   $<"
	$(Q)$(CC) $(ALL_CFLAGS) -Itests -Itests/unit -o $@ $< $(filter %.o,$^) $(B)/libhaplua.a \
		$$(sed -n "s:^/. link. \(.*\) ./$$:\1:p" $< | sed "s/--/-Wl,--/g") -lcmocka $(ALL_LIBS)

$(B)/test_grpc: $(B)/etcd/grpc.o

$(B)/fuzz_%: tests/fuzz/fuzz_%.c $(PURE:%=src/%.c) $(FUZZ_HEADERS) | $(B)/libraries $(B)/packages-fuzz
	@echo "CC   $<"
	$(Q)clang $(ALL_CFLAGS) -O1 -fsanitize=fuzzer,address,undefined -Itests -o $@ $< \
		$(PURE:%=src/%.c) $(ALL_LIBS)

$(B)/fake: tests/fake.c | $(B)/packages-check
$(B)/typist: tests/typist.c | $(B)/packages-check
$(B)/app: tests/real/app.c | $(B)/packages-build
$(B)/ask: tests/real/ask.c | $(B)/packages-build
$(B)/killer: tests/real/killer.c | $(B)/packages-build
$(B)/writes: tests/real/writes.c | $(B)/packages-build
$(B)/proxy: tests/fault/proxy.c | $(B)/packages-build
$(HELPERS):
	@echo "CC   $<"
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(CPPFLAGS) $(CFLAGS) $(WARN) -o $@ $<

$(B)/disk.so: tests/fault/disk.c | $(B)/packages-build
$(B)/order.so: tests/real/order.c | $(B)/packages-build
$(B)/shift.so: tests/fault/shift.c | $(B)/packages-build
$(B)/stall.so: tests/stall.c | $(B)/packages-build
$(B)/names.so: tests/names.c | $(B)/packages-build
$(PRELOADED):
	@echo "CC   $<"
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(CPPFLAGS) $(CFLAGS) $(WARN) -shared -fPIC -o $@ $<

.PHONY: check check-unit check-lua check-real check-documents check-bare check-kill check-versions check-stalls check-windows check-windows-briefly check-page check-metrics
check: built ## all tests except the slow ones, two files at a time; JOBS
	$(Q)MAKE='$(MAKE)' JOBS=$(or $(JOBS),2) sh tests/check.sh $(B) \
		lint check-unit check-lua check-windows-briefly check-real check-faults

# Each file of tests runs in a process of its own, JOBS at a time.
RUN_EACH  = sh tests/parallel.sh $(or $(JOBS),1)
RUN_TESTS = $(RUN_EACH) '$(RUNNER) ./$(BIN) tests/lua/run.lua'

# What the tests in a folder need.
NEEDS_unit    = $(T:tests/unit/%.c=$(B)/%)
NEEDS_lua     = $(BIN) $(B)/fake $(B)/typist $(B)/names.so
NEEDS_real    = $(BIN) $(B)/app $(B)/ask $(B)/killer $(B)/order.so $(B)/writes
NEEDS_browser = $(BIN) $(B)/app
.PHONY: test
test: $(sort $(foreach folder,unit lua real browser,$(if $(findstring tests/$(folder)/,$(T)),$(NEEDS_$(folder))))) ## run one file of tests: T=tests/lua/x_test.lua; one test: NAME='words of its name'
	$(if $(T),,$(error make test needs T=FILE, such as T=tests/lua/task_test.lua))
	$(Q)$(if $(filter tests/unit/%,$(T)),for test in $(NEEDS_unit); do ./$$test || exit 1; done, \
		BUILD=$(B) TEST_SECONDS=$(or $(TEST_SECONDS),300) TEST_NAME='$(if $(filter environment,$(origin NAME)),,$(subst ','\'',$(NAME)))' \
		$(RUNNER) ./$(BIN) tests/lua/run.lua --verbose $(T))

.PHONY: built
built: $(BIN) $(UNITS) $(HELPERS) $(PRELOADED) ## build what the tests run

check-unit: $(UNITS) ## unit tests in C: codecs, clock, tasks, requests over real sockets; JOBS
	$(Q)$(RUN_EACH) '$(RUNNER)' $(UNITS)

check-lua: $(BIN) $(B)/fake $(B)/typist $(B)/names.so ## test the host and the library against a scripted HAProxy; JOBS
	$(Q)BUILD=$(B) TEST_SECONDS=$(TEST_SECONDS) $(RUN_TESTS) $(or $(LUA_TESTS),tests/lua)

check-real: $(BIN) $(B)/app $(B)/ask $(B)/killer $(B)/order.so $(B)/writes $(B)/packages-real ## test against a real HAProxy ($$HAPROXY); JOBS
	$(Q)BUILD=$(B) TEST_SECONDS=$(or $(TEST_SECONDS),300) KILL_STEP=$(or $(KILL_STEP),7) $(RUN_TESTS) $(or $(TESTS),tests/real)

check-documents: $(BIN) $(B)/app $(B)/packages-real ## run the commands of README.md, the tutorial and other documents
	$(Q)BUILD=$(B) TEST_SECONDS=300 ./$(BIN) tests/lua/run.lua tests/real/documents_test.lua

.PHONY: check-book
check-book: $(BIN) $(FLEET) | $(B)/packages-real $(B)/packages-etcd ## set a fleet up as docs/fleet-setup.md says, on six machines ($$ETCD; as root): a minute
	$(Q)ETCD=$${ETCD:-$$(sh tests/fleet/versions.sh trixie)} sh tests/documents/part.sh ./$(BIN) tests/documents/run.lua \
		--place=machines docs/fleet-setup.md

check-bare: $(BIN) ## run them on a bare Debian 12 and 13, from the clone on; as root, with debootstrap: some 10 min
	$(Q)sh tests/documents/bare.sh ./$(BIN) $(B)/bare $(SUITES)

check-kill: $(BIN) $(B)/app $(B)/killer $(B)/packages-real ## kill haplua at every system call of a change
	$(Q)BUILD=$(B) TEST_SECONDS=1800 ./$(BIN) tests/lua/run.lua tests/real/kill_test.lua

check-versions: $(BIN) $(B)/app $(B)/ask $(B)/killer $(B)/order.so $(B)/writes $(B)/packages-real ## run check-real on HAProxy 2.2, 2.6, 3.0, 3.2
	$(Q)LUA=$(LUA) sh tests/versions_check.sh $(B) $(HAPROXIES)

# tests/stall.c describes the variables. Tests that read the clock a hundred thousand times are left out.
check-stalls: $(BIN) $(B)/stall.so ## run check-lua and check-real on a machine that stalls; STALL_EVERY, STALL_MOST, STALL_SEED
	$(Q)seed=$${STALL_SEED:-$$$$}; echo "STALL_SEED=$$seed"; \
		$(MAKE) RUNNER="env LD_PRELOAD=$(abspath $(B)/stall.so) STALL_SEED=$$seed STALL_FIRST=$$$$" \
		TEST_SECONDS=$(or $(TEST_SECONDS),1200) LUA_TESTS='$(or $(LUA_TESTS),$(UNHURRIED))' check-lua check-real

check-windows: $(BIN) $(B)/packages-window ## compare time windows with Python's zoneinfo and dateutil
	$(Q)/usr/bin/python3 -B tests/window/oracle.py ./$(BIN) $(QUESTIONS)

check-windows-briefly:
	$(Q)$(MAKE) -s check-windows QUESTIONS=$(or $(QUESTIONS),2000)

check-page: $(BIN) $(B)/app $(B)/packages-browser ## test the maintenance page in headless Chromium
	$(Q)BUILD=$(B) TEST_SECONDS=300 ./$(BIN) tests/lua/run.lua tests/browser

check-metrics: $(BIN) $(B)/app $(B)/packages-metrics ## test keep's metrics and the alerts with promtool; no daemon is started
	$(Q)BUILD=$(B) TEST_SECONDS=300 ./$(BIN) tests/lua/run.lua tests/real/metrics_test.lua

# etcd is Debian's, or the program that $$ETCD names.
.PHONY: check-fleet check-fleet-versions check-fleet-long
check-fleet-long: $(BIN) $(FLEET) $(B)/packages-etcd $(B)/packages-real ## try a fleet of HAProxys of four versions under faults: NODES=20 MINUTES=2 SEED
	$(Q)PROGRAMS=$$(sh tests/versions.sh | cut -d' ' -f2) NODES=$(NODES) MINUTES=$(MINUTES) SEED=$(SEED) BUILD=$(B) \
		unshare -rn sh tests/fleet/net.sh 3 ./$(BIN) tests/fleet/long.lua

check-fleet-versions: ## run check-fleet on the etcd of Debian 12 (3.4), 13 (3.5.16) and forky
	$(Q)$(MAKE) check-fleet
	$(Q)for release in trixie forky; do etcd=$$(sh tests/fleet/versions.sh $$release) || exit 1; \
		$$etcd --version | head -n 1; $(MAKE) check-fleet ETCD=$$etcd || exit 1; done

check-fleet: $(BIN) $(FLEET) $(B)/app | $(B)/packages-etcd $(B)/packages-real ## test what speaks with etcd against real members ($$ETCD); FLEET_TESTS
	$(Q)ETCD='$(or $(ETCD),etcd)' BUILD=$(B) TEST_SECONDS=$(or $(TEST_SECONDS),300) ./$(BIN) tests/lua/run.lua $(or $(FLEET_TESTS),tests/fleet)

.PHONY: check-faults faults
FAULTS = BUILD=$(B) ./$(BIN) tests/fault/run.lua
check-faults: $(BIN) $(B)/app $(B)/proxy $(B)/shift.so $(B)/packages-real ## inject a selection of the faults
	$(Q)$(FAULTS) --step=41 --slow=0 --kinds=cut,gone,close,reset,repeat,again,delay

faults: $(BIN) $(B)/app $(B)/proxy $(B)/disk.so $(B)/shift.so $(B)/packages-real ## inject faults at every byte of every conversation
	$(Q)$(FAULTS) --step=$(or $(STEP),1)

.PHONY: demo demo-fleet bench bench-growth bench-keep bench-fleet asan gc valgrind oom fuzz fuzz-corpus fuzz-fleet
demo: $(BIN) $(B)/app $(B)/packages-demo ## show maintenance on a private HAProxy: on, what a visitor sees, off
	$(Q)BUILD=$(B) sh tests/demo.sh

demo-fleet: $(BIN) $(FLEET) | $(B)/packages-demo $(B)/packages-fleet $(B)/packages-etcd ## show a fleet of three HAProxys, with etcd on this machine
	$(Q)sh tests/demo_fleet.sh

bench: $(BIN) $(B)/packages-bench ## measure, and write the tables of docs/performance.md
	$(Q)LUA=$(LUA) sh tests/bench/bench.sh $(B)

bench-growth: $(BIN) $(B)/packages-bench ## measure how time and memory grow with the length of lists
	$(Q)sh tests/bench/bench.sh $(B) growth

bench-keep: $(BIN) $(B)/app $(B)/packages-real $(B)/packages-bench ## measure the resident policy: reloads, idle cost
	$(Q)sh tests/bench/bench.sh $(B) keep

bench-fleet: $(BIN) $(FLEET) $(B)/packages-etcd $(B)/packages-real $(B)/packages-bench ## measure fleets on etcd: NODES=100 AGENTS=1000 CHANGES=40 ROUNDS=3
	$(Q)NODES=$(NODES) AGENTS=$(AGENTS) CHANGES=$(CHANGES) ROUNDS=$(ROUNDS) sh tests/bench/bench.sh $(B) fleet

SANITIZE := -O1 -g -DHAP_DEBUG -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
# With REAL=1 these targets run check-real, too; TESTS names a part of it. valgrind watches only the program that runs
# the tests, not the programs that it starts; the sanitizers are compiled into all of them.
SANITIZED = $(MAKE) B=$(B)/asan BIN=$(B)/asan/haplua CFLAGS='$(SANITIZE)' TEST_SECONDS=900
asan: ## run check-unit and check-lua under AddressSanitizer, UBSan and LeakSanitizer; REAL=1, JOBS
	$(Q)$(SANITIZED) -j$(or $(JOBS),1) built
	$(Q)$(SANITIZED) check-unit check-lua $(if $(REAL),check-real)

# Finds what is used after it was let go. gc-each collects everything at each allocation (src/run/policy.c), and takes
# the bindings alone; the generational half leaves out what computes for long.
LONG   := calendar cli dense_window hostile window
ALWAYS := error file process reply run screen sqlite store task types watch
.PHONY: gc-each
gc-each: ## the tests of the bindings with a collection at each allocation, under the sanitizers; JOBS
	$(Q)$(SANITIZED) RUNNER='env HAPLUA_GC=all' LUA_TESTS='$(ALWAYS:%=tests/lua/%_test.lua)' check-lua

gc: gc-each ## gc-each, then check-lua with the generational collector
	$(Q)$(SANITIZED) RUNNER='env HAPLUA_GC=generational' \
		LUA_TESTS='$(filter-out $(LONG:%=tests/lua/%_test.lua),$(UNHURRIED))' check-lua

# HAPLUA_FREE has haplua allocate each of Lua's objects apart, and free all at the end, as the builds with the
# sanitizers do.
valgrind: $(BIN) $(B)/packages-check ## run check-unit and check-lua under valgrind; REAL=1, JOBS
	$(Q)$(MAKE) RUNNER='env HAPLUA_FREE=1 valgrind -q --leak-check=full --child-silent-after-fork=yes --error-exitcode=9' \
		TEST_SECONDS=600 check-unit check-lua $(if $(REAL),check-real)

# Under valgrind: RUNNER='env HAPLUA_FREE=1 valgrind -q --leak-check=full --error-exitcode=99 --child-silent-after-fork=yes' N=1000.
# CHECKED=1 builds the distribution's Lua and libuv from source, with assertions and sanitizers, and links them.
HISTORIES := $(B)/asan/haplua$(if $(CHECKED),-checked)
.PHONY: histories mutate
histories: $(if $(RUNNER),$(BIN) $(B)/fake) ## play random programs under the sanitizers; N, SEED, JOBS, RUNNER, CHECKED=1
	$(Q)$(if $(CHECKED),sh tests/history/checked.sh $(B)/checked)
	$(Q)$(if $(RUNNER),,$(MAKE) B=$(B)/asan BIN=$(HISTORIES) CFLAGS='$(SANITIZE)' \
		$(if $(CHECKED),LDFLAGS=-L$(B)/checked) $(HISTORIES) $(B)/asan/fake)
	$(Q)$(LUA) tests/history/run.lua $(if $(RUNNER),./$(BIN) $(B)/fake,$(HISTORIES) $(B)/asan/fake)

.PHONY: laws
laws: $(BIN) ## play random histories of maintenances against a model of a page; N, SEED
	$(Q)N=$(or $(N),10000) SEED=$(or $(SEED),1) ./$(BIN) test tests/policies/laws_test.lua --seconds 600 > $(B)/laws.log; \
		status=$$?; grep -v '^  ok ' $(B)/laws.log; exit $$status

.PHONY: fleet-laws
fleet-laws: $(BIN) ## play random histories of a fleet, with faults of nodes and of etcd; N, SEED, NODES, STEPS, DAY=1 for a day, DIGEST=1
	$(Q)N=$(or $(N),1000) SEED=$(or $(SEED),1) NODES=$(NODES) STEPS=$(STEPS) DAY=$(DAY) ./$(BIN) test tests/policies/fleet_laws_test.lua \
		--seconds 3600 > $(B)/fleet-laws.log; status=$$?; grep -v '^  ok ' $(B)/fleet-laws.log; exit $$status

mutate: ## break the code in one place after the other, and see whether a test notices; MUTATE='words'
	$(Q)$(LUA) tests/mutate/mutate.lua $(MUTATE)

.PHONY: prove
prove: ## run every suite, for many hours, and write docs/proof.md; STEPS='names'
	$(Q)$(LUA) tests/prove.lua $(STEPS)

# These objects count the lines that run; B/coverage/*.gcov show the counts.
COVERAGE := -O0 -g --coverage -fprofile-update=atomic
COVERED  = $(MAKE) B=$(B)/coverage BIN=$(B)/coverage/haplua CC=gcc CFLAGS='$(COVERAGE)' \
	WITH='-Wl,--wrap=raise tests/coverage.c'
.PHONY: coverage
coverage: ## show the lines of src/ that tests run; for the codecs, unit tests alone; REAL=1
	$(Q)find $(B)/coverage -name "*.gcda" -delete 2>/dev/null || true
	$(Q)$(COVERED) check-unit
	$(Q)sh tests/coverage.sh $(B)/coverage 100 $(filter-out os/clock,$(PURE))
	$(Q)$(COVERED) $(B)/coverage/haplua && $(B)/coverage/haplua -V && find $(B)/coverage -name "*.gcda" -exec chmod a+rw {} +
	$(Q)GCOV_ERROR_FILE=/dev/null $(COVERED) check-lua $(if $(REAL),check-real)
	$(Q)sh tests/coverage.sh $(B)/coverage 90

oom: $(BIN) $(B)/fake ## let every allocation fail in turn; JOBS
	$(Q)BUILD=$(B) JOBS=$(JOBS) sh tests/oom.sh

# New inputs go to B/corpus-NAME. `make fuzz-corpus` selects the few that belong into tests/fuzz/corpus.
fuzz: $(FUZZERS) $(BIN) ## run every fuzzer: SECONDS=60 for each codec and for HAProxy, a fifth for each Lua function
	$(Q)printf '%s\n' $(FUZZERS) | xargs -P $(or $(JOBS),1) -I FUZZER sh -c 'f=FUZZER; mkdir -p $(B)/corpus-$${f##*_}; \
		./$$f -max_total_time=$(SECONDS) -print_final_stats=1 $(B)/corpus-$${f##*_} \
			tests/fuzz/corpus/$${f##*fuzz_} || exit 255'
	$(Q)./$(BIN) tests/fuzz/real_words.lua $(SECONDS)
	$(Q)ulimit -v 4000000; timeout -s KILL $$(($(SECONDS) * 10 + 300)) \
		./$(BIN) tests/fuzz/lua_fuzz.lua $$(($(SECONDS) / 5 + 1))

MESSAGE_SOURCES := src/etcd/message.c $(B)/etcd/messages.pb-c.c $(wildcard src/luakit/*.c) $(patsubst %,src/base/%.c,buf err typo)
$(B)/fuzz_message: tests/fleet/fuzz_message.c $(MESSAGE_SOURCES) | $(B)/packages-fuzz
	@echo "CC   $<"
	$(Q)clang $(ALL_CFLAGS) -I$(B) -O1 -fsanitize=fuzzer,address,undefined -Itests -o $@ $< \
		$(MESSAGE_SOURCES) $(B)/libhaplua.a $(ALL_LIBS) $(shell pkg-config --libs libprotobuf-c)

fuzz-fleet: $(B)/fuzz_message ## run the fuzzer of etcd's messages: SECONDS=60
	$(Q)mkdir -p $(B)/corpus-message; $< -max_total_time=$(SECONDS) -print_final_stats=1 $(B)/corpus-message

fuzz-corpus: $(FUZZERS) ## add inputs that reach more code to tests/fuzz/corpus, each at most 300 bytes
	$(Q)for f in $(FUZZERS); do mkdir -p $(B)/corpus-$${f##*_}; \
		./$$f -set_cover_merge=1 -max_len=300 tests/fuzz/corpus/$${f##*fuzz_} $(B)/corpus-$${f##*_} 2>/dev/null || exit 1; done

.PHONY: lint format format-check docs check-docs
lint: $(BIN) format-check ## check style, layers and docs
	$(Q)echo 'for i = 1, #arg do assert(loadfile(arg[i])) end' | $(LUA) - $(MODULES) scripts/*.lua
	$(Q)$(LUA) tests/layers.lua
	$(Q)$(LUA) tests/docs.lua ./$(BIN)
	$(Q)$(LUA) tests/manual.lua ./$(BIN)
	$(Q)$(LUA) tests/compatibility.lua check
	$(Q)$(LUA) tests/mutate/mutate.lua --check
	$(Q)./$(BIN) tests/kinds.lua check
	$(Q)./$(BIN) tests/types.lua check
	$(Q)./$(BIN) tests/api.lua check
	$(Q)! command -v luacheck >/dev/null || luacheck -q lua scripts tests

check-docs: $(BIN) ## check that docs/ is what the sources say, and that arguments of public functions are explained
	$(Q)$(LUA) tests/docs.lua ./$(BIN)
	$(Q)./$(BIN) tests/kinds.lua check
	$(Q)./$(BIN) tests/types.lua check
	$(Q)./$(BIN) tests/api.lua check

docs: $(BIN) ## write what docs/ holds of the sources: the kinds of errors, the functions, the picture
	$(Q)./$(BIN) tests/kinds.lua make
	$(Q)./$(BIN) tests/types.lua make
	$(Q)./$(BIN) tests/api.lua make
	$(Q)./$(BIN) tests/documents/picture.lua README.md >$(B)/picture && cp $(B)/picture docs/first-use.svg

format: ## format the C files with clang-format
	$(Q)clang-format -i $(SOURCES)

format-check:
	$(Q)! command -v clang-format >/dev/null || clang-format --dry-run -Werror $(SOURCES)

.PHONY: install uninstall clean help
install: all ## install into DESTDIR PREFIX
	$(Q)DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' sh packaging/install.sh install $(BIN)

uninstall: ## remove what install put there, unless somebody has changed it
	$(Q)DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' sh packaging/install.sh uninstall

.PHONY: deb check-deb check-systemd
deb: ## build Debian packages: B/deb
	$(Q)sh packaging/deb.sh $(B)/deb

check-deb: $(B)/packages-deb ## build, install, remove and purge the packages in bare Debians 12 and 13; needs root; RELEASES
	$(Q)sh tests/deb_check.sh $(B)/bare $(RELEASES)

check-systemd: deb $(B)/packages-systemd ## try the service under a real systemd, in a container; needs root
	$(Q)sh tests/systemd/check.sh $(B)/bare $(B)/deb

clean: ## remove what was built
	$(Q)rm -rf $(B) $(BIN) $(CURL) $(FLEET)

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | sed 's/\$$\$$/$$/' | expand -t 16

-include $(OBJECTS:.o=.d) $(CURL_OBJECTS:.o=.d) $(ETCD_OBJECTS:.o=.d) $(UNITS:=.d)
