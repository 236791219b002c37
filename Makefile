# haplua - GNU make. `make help` lists the targets.

PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1)

CC     ?= cc
LUA    ?= lua5.4
CFLAGS ?= -O2 -g
WARN   := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes $(if $(CI),-Werror)
PKGS   := lua5.4 libuv
DEFS   := -DHAPLUA_VERSION='"$(VERSION)"' -DHAPLUA_SCRIPTS='"$(PREFIX)/share/haplua/scripts"'

# B holds what is built; another folder for each kind of build (make asan sets it).
B      ?= build
BIN    ?= haplua
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(CFLAGS) $(WARN) $(DEFS) -Isrc -MMD -MP \
	$(shell pkg-config --cflags $(PKGS))
# Names bound at the start: safer, and faster than one by one.
ALL_LIBS   = -Wl,-z,relro,-z,now $(LDFLAGS) $(shell pkg-config --libs $(PKGS)) -lm

Q := $(if $(V),,@)

PURE    := buf err address command frame reply reply_rows
OBJECTS := $(patsubst src/%.c,$(B)/%.o,$(wildcard src/*.c)) $(B)/modules.o
MODULES := $(shell find lua -name '*.lua')
# lua/haplua/window.lua is the module haplua.window; lua/haproxy.lua is haproxy.
module   = $(subst /,.,$(patsubst lua/%.lua,%,$(1)))

.PHONY: all
all: $(BIN)

$(BIN): $(OBJECTS)
	@echo "LINK $@"
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(ALL_LIBS)

$(B)/%.o: src/%.c | $(B)/.deps
	@echo "CC   $<"
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(B)/modules.c: src/modules.lua $(MODULES) | $(B)/.deps
	@echo "LUA  $@"
	$(Q)$(LUA) src/modules.lua $(foreach m,$(MODULES),$(call module,$(m))=$(m)) \
		argparse > $@.tmp && mv $@.tmp $@

$(B)/modules.o: $(B)/modules.c
	@echo "CC   $<"
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

-include $(OBJECTS:.o=.d)

# What is missing is installed through apt-get; packages.sh says what and why.
$(B)/.deps: tests/packages.sh
	$(Q)mkdir -p $(B) && sh tests/packages.sh build && touch $@
