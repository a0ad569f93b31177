#!/bin/bash
# tools/layers finds each kind of violation: in a copy of the tree one is planted, and it must fail
# and name the planted file. BUILD is the build directory (build).
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}/release
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
status=0

# A fresh copy of what tools/layers looks at.
copy() {
    rm -rf "$work/t"
    mkdir -p "$work/t/build" "$work/t/test" "$work/t/include/pagewalk"
    cp -r src plugin layers.txt "$work/t/"
    cp -r test/ref "$work/t/test/"
    cp -r "$build/lib" "$build/pagewalk-qemu.so" "$work/t/build/"
}
layers() { tools/layers --root "$work/t" --build "$work/t/build" "$@"; }
# in_lib MODULE CODE: one more object planted.c in the module's library, and its source.
in_lib() {
    echo "$2" > "$work/t/src/$1/planted.c"
    ${CC:-cc} -w -O1 -c "$work/t/src/$1/planted.c" -o "$work/planted.o" &&
        ar r "$work/t/build/lib/$1.a" "$work/planted.o" 2>/dev/null
}
# expect CHECK WORD NAME: the check fails and its message holds the word.
expect() {
    if out=$(layers "$1" 2>&1); then
        echo "not ok - $3: it passed"; status=1
    elif ! grep -qF -- "$2" <<< "$out"; then
        echo "not ok - $3: it failed without naming $2"; sed 's/^/# /' <<< "$out"; status=1
    else
        echo "ok - $3"
    fi
}

copy
if out=$(layers 2>&1); then echo "ok - the tree itself passes"
else echo "not ok - the tree itself passes"; sed 's/^/# /' <<< "$out"; status=1; fi

copy; echo '#include "mm/mm.h"' > "$work/t/src/mmu/planted.c"
expect includes src/mmu/planted.c:1 "a module includes one that its row does not name"
copy; echo '#include "planted.h"' > "$work/t/src/base/planted.c"; : > "$work/t/src/base/planted.h"
expect includes src/base/planted.c:1 "an include without its module"
copy; echo '#include "conf/conf_int.h"' > "$work/t/src/phys/planted.c"
expect includes conf/conf_int.h "a private header of another module"
copy; echo '#include "mm/mm.h"' >> "$work/t/plugin/qemu/writer.c"
expect includes plugin/qemu/writer.c "the plugin includes the model"
copy; mkdir "$work/t/src/planted"
expect includes src/planted "a module without a row"
copy; echo 'planted: later' >> "$work/t/layers.txt"; echo 'later: base' >> "$work/t/layers.txt"
expect includes 'planted names later' "a row that names one below it"

copy; in_lib base 'extern void conf_init(void *); void base_planted(void *p) { conf_init(p); }'
expect links "src/base/planted.c: needs conf_init of conf" "a hand-written prototype of a higher module"
copy; in_lib stat 'void conf_init(void *p) { (void)p; }'
expect links "conf_init" "one name defined in two modules"

copy; in_lib base 'int printf(const char *, ...); int base_planted(int i) { return printf("%d", i); }'
expect libc "src/base/planted.c: uses printf" "a model file that prints"
copy; in_lib phys 'long time(long *); long phys_planted(void) { return time(0); }'
expect libc "src/phys/planted.c: uses time" "a model file that reads the clock"
copy; in_lib mm 'char *getenv(const char *); char *mm_planted(void) { return getenv("X"); }'
expect libc "src/mm/planted.c: uses getenv" "a model file that reads the environment"

copy; echo 'size_t base_planted(void);' > "$work/t/src/base/planted.h"
expect headers src/base/planted.h "a header that does not compile alone"
copy; echo 'struct planted { int x; };' > "$work/t/src/base/planted.h"
expect headers src/base/planted.h "a header without a guard"

copy; echo 'int planted(void) { return 0; }' > "$work/p.c"
${CC:-cc} -shared -fPIC "$work/p.c" -o "$work/t/build/pagewalk-qemu.so"
expect names "exports planted" "a plugin that exports a name of its own"
copy; echo 'int planted(void);' > "$work/t/include/pagewalk/planted.h"
expect names "declares planted" "a public name without pw_"

copy; echo 'STAT_ROW(HW, planted, "planted", COUNT, "No full stop")' >> "$work/t/src/stat/stat.def"
expect words src/stat/stat.def "a counter without a sentence"
copy; echo 'CONF_BOOL(planted, "planted", 0, "")' >> "$work/t/src/conf/conf.def"
expect words src/conf/conf.def "an option without a sentence"
copy; echo 'void f(char *a, char *b) { strcpy(a, b); }' > "$work/t/src/base/planted.c"
expect words src/base/planted.c:1 "strcpy"
copy; echo '/* strcpy(a, b) */ const char *s = "sprintf(";' > "$work/t/src/base/planted.c"
if layers words > /dev/null; then echo "ok - a banned name in a comment or string is none"
else echo "not ok - a banned name in a comment or string is none"; status=1; fi
exit $status
