# pagewalk: make demo, make check, make bench, make install. See README.md.
MODE   ?= release
BUILD  ?= build
PREFIX ?= /usr/local
CC     ?= gcc
O      := $(BUILD)/$(MODE)

VERSION  := 0.1.0
MODULES  := $(shell sed -n 's/^\([a-z][a-z]*\):.*/\1/p' layers.txt)
WARN     := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith -Wvla
CPPFLAGS += -Isrc -Iinclude -D_GNU_SOURCE -DPW_VERSION='"$(VERSION)"'
CFLAGS   += -std=c17 -g $(WARN) -fno-strict-aliasing -ffunction-sections -MMD -MP
LDLIBS   += -linih -lcapstone -ldw -lelf

MODE_release := -O2 -fno-plt
MODE_debug   := -O0 -DPW_CHECKS
MODE_asan    := -O1 -DPW_CHECKS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
MODE_tsan    := -O1 -DPW_CHECKS -fsanitize=thread -fno-omit-frame-pointer
MODE_hostile := -O1 -DPW_CHECKS -DPW_HOSTILE -fsanitize=address,undefined -fno-sanitize-recover=all
MODE_fuzz    := -O1 -DPW_CHECKS -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
ifeq ($(MODE),fuzz)
CC := clang
endif
ifeq ($(origin MODE_$(MODE)),undefined)
$(error MODE=$(MODE) is unknown; take release, debug, asan, tsan, hostile or fuzz)
endif
CFLAGS  += $(MODE_$(MODE))
LDFLAGS += $(filter -fsanitize%,$(MODE_$(MODE)))
ifdef COVERAGE # which lines run: for make check-kernel COVERAGE=1, in a build of its own
CFLAGS  += --coverage
endif

# One short line per file; V=1 shows the commands.
Q   := $(if $(V),,@)
say  = $(if $(V),,@echo '  $(1) $@')

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: $(O)/pagewalk $(O)/pagewalk-qemu.so

# -- modules: every src/M/*.c goes into lib/M.a ------------------------------------------------
define module
OBJ_$(1) := $$(patsubst src/%.c,$(O)/obj/%.o,$$(wildcard src/$(1)/*.c))
$(O)/lib/$(1).a: $$(OBJ_$(1))
	@mkdir -p $$(@D); rm -f $$@; ar rcs $$@ $$^
endef
$(foreach m,$(MODULES),$(eval $(call module,$(m))))

$(O)/obj/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

# -- the tool ----------------------------------------------------------------------------------
$(O)/pagewalk: $(foreach m,$(MODULES),$(O)/lib/$(m).a)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--start-group $^ -Wl,--end-group $(LDLIBS) -o $@

# -- the plugin: stands alone, never sanitized (it lives inside QEMU) --------------------------
$(O)/pagewalk-qemu.so: $(wildcard plugin/qemu/*.c plugin/qemu/*.h) src/event/binfmt.c src/event/binfmt.h src/event/qemu.c src/event/qemu.h src/event/event.h src/event/ring.h Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) -std=c17 -g -O2 $(WARN) -fPIC -shared -fvisibility=hidden -ftls-model=initial-exec \
	  $(filter %.c,$^) -o $@

# -- tests: test/unit/M/test_x.c links with module M and what stands below it -------------------
# First line of a test may say: /* links: M1 M2 … */ to name modules itself (test/ref, test/diff).
TEST_SRC := $(wildcard test/unit/*/test_*.c test/diff/test_*.c)
TEST_BIN := $(patsubst test/%.c,$(O)/test/%,$(TEST_SRC))
REF_OBJ  := $(patsubst test/ref/%.c,$(O)/test/ref/%.o,$(wildcard test/ref/*.c))
closure = $(shell tools/closure $(1))

$(O)/test/ref/%.o: test/ref/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) -Itest $(CFLAGS) -c $< -o $@
.SECONDEXPANSION:
$(TEST_BIN): $(O)/test/%: test/%.c $$(foreach m,$$(call closure,test/$$*.c),$(O)/lib/$$(m).a) $(REF_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CPPFLAGS) -Itest $(CFLAGS) test/$*.c $(LDFLAGS) $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
	  -Wl,--gc-sections -lcmocka -lm $(LDLIBS) -o $@
.PHONY: tests
tests: $(TEST_BIN)

# -- test/fuzz: one target per parser. test_fuzz holds all of them, each under its own name; with
# MODE=fuzz each is a program of libFuzzer.
FUZZ_ALL    := $(patsubst test/fuzz/fuzz_%.c,%,$(wildcard test/fuzz/fuzz_*.c))
FUZZ_SHARE  := $(O)/test/fuzz/share.o $(O)/test/fuzz/machine.o
$(O)/test/fuzz/%.o: test/fuzz/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) -Itest $(CFLAGS) -c $< -o $@ \
	  $(if $(filter fuzz,$(MODE)),,-DLLVMFuzzerTestOneInput=$* -Dfuzz_seed=$*_seed)
$(O)/fuzz_%: $(O)/test/fuzz/fuzz_%.o $(O)/test/fuzz/init.o $(FUZZ_SHARE) $(foreach m,$(MODULES),$(O)/lib/$(m).a)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) \
	  -Wl,--end-group $(LDLIBS) -o $@
$(O)/test/unit/cli/test_fuzz: $(patsubst %,$(O)/test/fuzz/fuzz_%.o,$(FUZZ_ALL)) $(FUZZ_SHARE)

# -- test/kernel: the model against the running kernel ------------------------------------------
# The subject is a program of its own, without C library: it is never sanitized.
KERNEL_MODS := proc kern mm policy pt phys conf stat base
KERNEL_SRC  := $(filter-out %/subject.c %/fuzz.c test/kernel/global_%,$(wildcard test/kernel/*.c))
KERNEL_OBJ  := $(patsubst test/%.c,$(O)/test/%.o,$(KERNEL_SRC))
$(O)/test/kernel/%.o: test/kernel/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) -Itest $(CFLAGS) -c $< -o $@
$(O)/test/kernel/subject: test/kernel/subject.c test/kernel/subject.h Makefile
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CPPFLAGS) -Itest -std=gnu17 -O2 $(WARN) -static -nostdlib -ffreestanding -fno-pie -no-pie \
	  -fno-stack-protector -fno-asynchronous-unwind-tables -Wl,-z,noexecstack,-z,norelro,--build-id=none $< -o $@
$(O)/test/kernel/check_kernel: $(KERNEL_OBJ) $(foreach m,$(filter $(KERNEL_MODS),$(MODULES)),$(O)/lib/$(m).a)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(KERNEL_OBJ) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS) -o $@
# fuzz_mm: its sequences on the model alone, with allocations that fail.
FUZZ_OBJ    := $(patsubst %,$(O)/test/kernel/%.o,fuzz gen calls $(notdir $(basename $(wildcard test/kernel/calls_*.c))) model shadow)
$(O)/test/kernel/fuzz_mm: $(FUZZ_OBJ) $(foreach m,$(filter $(KERNEL_MODS),$(MODULES)),$(O)/lib/$(m).a)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(FUZZ_OBJ) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS) -o $@
# global_*: each a program; they change knobs of the whole host, and put them back.
GLOBAL_BIN  := $(patsubst test/%.c,$(O)/test/%,$(wildcard test/kernel/global_*.c))
$(GLOBAL_BIN): $(O)/test/%: test/%.c $(foreach m,$(filter $(KERNEL_MODS),$(MODULES)),$(O)/lib/$(m).a)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CPPFLAGS) -Itest $(CFLAGS) $< $(LDFLAGS) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
	  -lcmocka $(LDLIBS) -o $@
.PHONY: kernel-tests fuzz-tests
fuzz-tests: $(O)/test/kernel/fuzz_mm
kernel-tests: $(O)/test/kernel/check_kernel $(O)/test/kernel/subject $(O)/test/kernel/fuzz_mm

-include tools/targets.mk
-include $(shell find $(O) -name '*.d' 2>/dev/null)
