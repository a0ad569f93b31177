# targets.mk: everything that is not the build itself. `make help` lists it.
# deps → build → tools/runtests is the way of demo and check on a fresh Debian machine.

RUN_DEPS   := qemu-user libc6-dev libinih-dev libcapstone-dev libdw-dev libelf-dev python3
CHECK_DEPS := gcc git libcmocka-dev clang-format sqlite3 perl gzip util-linux binutils redis-server redis-tools postgresql-15 make spin
TIDY_DEPS  := clang-tidy cppcheck
VIEWER_DEPS := nodejs golang-1.19-src
BENCH_DEPS := valgrind hyperfine
JOBS       ?= 2
SUB        := $(MAKE) --no-print-directory BUILD=$(BUILD)
DESTROOT    = $(DESTDIR)$(PREFIX)

.PHONY: help deps demo check check-ring check-timeline check-faults check-kernel check-kernel-global fuzz-mm fuzz tidy bench install uninstall clean format docs tsan-tests gendocs
help:
	@echo 'make              build $(BUILD)/release/pagewalk (MODE=release|debug|asan|tsan|hostile)'
	@echo 'make demo         install what is missing, build, run it on a real program'
	@echo 'make check        install what is missing, build, all tests'
	@echo 'make check-faults minor faults and resident memory of 25 programs against the real kernel (6 in check)'
	@echo 'make check-ring   the protocol of plugin and simulator under the model checker spin, the whole of it'
	@echo 'make check-timeline  what run --timeline writes, read by the viewer of chrome://tracing'
	@echo 'make check-kernel memory calls on the model and the running kernel (SEED=s SEQUENCES=n)'
	@echo 'make fuzz-mm      memory calls on the model while allocations fail (SEED=s CALLS=n)'
	@echo 'make check-kernel-global  what needs swapon and the like on this host'
	@echo 'make fuzz TARGET=conf SECONDS=60  libFuzzer on one parser (test/fuzz/fuzz_*.c); needs clang'
	@echo 'make bench        time the memory manager alone, and the tool against cachegrind'
	@echo 'make tidy         the longest files and functions; clang-tidy and cppcheck'
	@echo 'make format       clang-format in place'
	@echo 'make docs         docs/OPTIONS.md and docs/COUNTERS.md from their tables'
	@echo 'make install      into PREFIX=$(PREFIX), staged under DESTDIR; make uninstall'
	@echo 'make deps clean    install what a run needs; remove $(BUILD)'

deps:
	@tools/deps $(RUN_DEPS)

# -- the two commands of the README ------------------------------------------------------------
demo: deps
	@$(SUB) -j$(JOBS) MODE=release all
	@tools/demo $(BUILD)/release/pagewalk

check:
	@tools/deps $(RUN_DEPS) $(CHECK_DEPS)
	-@tools/deps $(VIEWER_DEPS) # another Debian has another Go: timeline_viewer.sh is skipped there
	@tools/runtests --build $(BUILD) --jobs $(JOBS)

# test/spin/ring.pml; all but the longest search is in check, too.
check-ring:
	@tools/deps gcc spin
	@test/spin/check --all

# The viewer (Catapult, of Chromium's chrome://tracing) comes with Debian 12's sources of Go.
check-timeline:
	@tools/deps $(RUN_DEPS) $(VIEWER_DEPS)
	@$(SUB) -j$(JOBS) MODE=release all
	@PAGEWALK=$(BUILD)/release/pagewalk test/e2e/timeline_viewer.sh

# Counts of page faults want a machine that does nothing else, so not all are in check.
check-faults:
	@tools/deps $(RUN_DEPS) $(CHECK_DEPS)
	@$(SUB) -j$(JOBS) MODE=release all
	@export PAGEWALK=$(BUILD)/release/pagewalk; status=0; \
	  test/e2e/real_faults.sh || status=1; test/e2e/real_faults_more.sh || status=1; exit $$status

# Random sequences of memory calls, on the running kernel and on the model. Needs root.
SEED      ?= 1
SEQUENCES ?= 1000
# With COVERAGE=1 the other comparisons with the running kernel run, too, and one table adds them up.
COVER_DIFF := $(patsubst %,$(O)/test/diff/test_%,thp_kernel numa_kernel memcall_kernel exec_kernel copy_kernel proc_pages)
COVER_ALSO := $(if $(COVERAGE),$(COVER_DIFF) $(GLOBAL_BIN))
check-kernel:
ifdef COVERAGE
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/coverage MODE=debug COVERAGE=1 -j$(JOBS) check-kernel-coverage
else
	@$(SUB) -j$(JOBS) MODE=$(MODE) kernel-tests
	@$(O)/test/kernel/check_kernel $(O)/test/kernel/subject --seed $(SEED) --sequences $(SEQUENCES)
endif

.PHONY: check-kernel-coverage
check-kernel-coverage: kernel-tests $(COVER_ALSO)
	@find $(O)/obj -name '*.gcda' -delete
	@status=0; $(O)/test/kernel/check_kernel $(O)/test/kernel/subject --seed $(SEED) \
	  --sequences $(SEQUENCES) || status=1; \
	  tools/coverage --run $(O) $(COVER_ALSO) || status=1; exit $$status

# The same sequences on the model alone, while allocations of frames fail.
CALLS ?= 10000000
fuzz-mm:
	@$(SUB) -j$(JOBS) MODE=asan $(BUILD)/asan/test/kernel/fuzz_mm
	@$(BUILD)/asan/test/kernel/fuzz_mm --seed $(SEED) --calls $(CALLS)

# What changes the whole host while it runs (swapon …). Each program locks and puts things back. Root.
check-kernel-global:
	@$(SUB) -j$(JOBS) MODE=$(MODE) all $(GLOBAL_BIN) $(O)/test/diff/test_thp_kernel
	@export PAGEWALK=$(O)/pagewalk; status=0; \
	  for t in $(GLOBAL_BIN) test/e2e/workset_native.sh; do $$t || status=1; done; exit $$status

# One parser under libFuzzer. What it finds interesting stays in $(BUILD)/corpus/TARGET.
FUZZ_DEPS := clang libclang-rt-14-dev
TARGET    ?= conf
SECONDS   := 60
fuzz:
	@tools/deps $(RUN_DEPS) $(FUZZ_DEPS)
	@$(SUB) -j$(JOBS) MODE=fuzz $(BUILD)/fuzz/fuzz_$(TARGET)
	@mkdir -p $(BUILD)/corpus/$(TARGET)
	@$(BUILD)/fuzz/fuzz_$(TARGET) -max_total_time=$(SECONDS) -max_len=4096 -seed=$(SEED) -timeout=20 \
	  -print_final_stats=1 -artifact_prefix=$(BUILD)/corpus/$(TARGET)- $(BUILD)/corpus/$(TARGET)

# Threads meet in the rings only: those tests run under the thread sanitizer.
TSAN_BIN := $(foreach t,$(TEST_BIN),$(if $(findstring ring,$(notdir $t))$(findstring thread,$(notdir $t)),$t))
tsan-tests: $(TSAN_BIN)

# -- generated reference -----------------------------------------------------------------------
GENDOCS := $(O)/gendocs
gendocs: $(GENDOCS)
$(GENDOCS): tools/gendocs.c $(O)/lib/stat.a $(O)/lib/conf.a $(O)/lib/base.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $< $(LDFLAGS) $(O)/lib/conf.a $(O)/lib/stat.a $(O)/lib/base.a -linih -o $@
docs: $(GENDOCS)
	$(GENDOCS) options > docs/OPTIONS.md
	$(GENDOCS) counters > docs/COUNTERS.md

# -- looking at the code -----------------------------------------------------------------------
format:
	@tools/format --fix
tidy:
	@tools/tidy
	@tools/deps $(TIDY_DEPS) && tools/tidy --analyse

bench:
	@tools/deps $(RUN_DEPS) $(CHECK_DEPS) $(BENCH_DEPS)
	@$(SUB) -j$(JOBS) MODE=release all $(BUILD)/release/mm_bench $(BUILD)/release/phys_bench
	@$(BUILD)/release/phys_bench
	@$(BUILD)/release/mm_bench
	@PAGEWALK=$(BUILD)/release/pagewalk bench/run
	@PAGEWALK=$(BUILD)/release/pagewalk bench/trees

# The memory manager alone: linked like a unit test of mm.
$(O)/mm_bench: bench/mm_bench.c $(foreach m,$(call closure,test/unit/mm/test_fault.c),$(O)/lib/$(m).a)
	$(call say,LD)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $< $(LDFLAGS) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -o $@ \
	  $(LDLIBS)
$(O)/phys_bench: bench/phys_bench.c $(foreach m,$(call closure,test/unit/phys/test_phys.c),$(O)/lib/$(m).a)
	$(call say,LD)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $< $(LDFLAGS) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -o $@

# -- installing --------------------------------------------------------------------------------
install: all
	install -d $(DESTROOT)/bin $(DESTROOT)/lib/pagewalk $(DESTROOT)/share/pagewalk/machines \
	  $(DESTROOT)/share/man/man1
	install -m 755 $(O)/pagewalk $(DESTROOT)/bin/pagewalk
	install -m 644 $(O)/pagewalk-qemu.so $(DESTROOT)/lib/pagewalk/pagewalk-qemu.so
	install -m 644 machines/*.ini $(DESTROOT)/share/pagewalk/machines/
	$(O)/pagewalk man > $(O)/pagewalk.1
	install -m 644 $(O)/pagewalk.1 $(DESTROOT)/share/man/man1/pagewalk.1
uninstall:
	rm -f $(DESTROOT)/bin/pagewalk $(DESTROOT)/lib/pagewalk/pagewalk-qemu.so \
	  $(DESTROOT)/share/man/man1/pagewalk.1 \
	  $(patsubst %,$(DESTROOT)/share/pagewalk/%,$(wildcard machines/*.ini))
	-rmdir $(DESTROOT)/lib/pagewalk $(DESTROOT)/share/pagewalk/machines $(DESTROOT)/share/pagewalk
clean:
	rm -rf $(BUILD)
