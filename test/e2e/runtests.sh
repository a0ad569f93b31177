#!/bin/bash
# tools/runtests counts right and never passes over a failure: in a tree of its own with a make and
# tests that do what is wanted of them.
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
status=0

script() { printf '#!/bin/sh\n%s\n' "$2" > "$work/t/$1"; chmod +x "$work/t/$1"; }
# tree: all builds are quiet, all checks pass, no unit test, no script.
tree() {
    rm -rf "$work/t"
    mkdir -p "$work/t/tools" "$work/t/test/e2e" "$work/t/test/unit/m" "$work/t/docs" \
        "$work/t/build/release" "$work/t/build/asan/test/unit/m"
    cp tools/runtests "$work/t/tools/"
    printf 'all tests gendocs tsan-tests kernel-tests fuzz-tests: ; @:\n' > "$work/t/Makefile"
    script tools/layers 'echo "ok - layers"'
    script tools/format 'echo "ok - format"'
    script build/release/gendocs 'echo text'
    echo text | tee "$work/t/docs/OPTIONS.md" > "$work/t/docs/COUNTERS.md"
}
# expect STATUS "LAST LINE" NAME: what runtests must return and print last. A bare tree counts 8.
expect() {
    out=$("$work/t/tools/runtests" 2>&1); code=$?
    if [ "$code" = "$1" ] && [ "$(tail -1 <<< "$out")" = "$2" ]; then echo "ok - $3"
    else echo "not ok - $3"; sed 's/^/# /' <<< "exit $code: $out"; status=1; fi
}

tree; expect 0 "8 passed, 0 failed" "four builds and four checks pass"
tree; script test/e2e/a.sh 'echo "ok - one"; echo "not ok - two"; echo "ok - three # SKIP why"; exit 1'
expect 1 "9 passed, 1 failed" "TAP lines are counted one by one, a skipped one not as passed"
tree; script test/e2e/a.sh 'echo "not ok - but exits 0"'
expect 1 "8 passed, 1 failed" "not ok fails whatever the exit status"
tree; script test/e2e/a.sh 'echo "ok - one"; exit 3'
expect 1 "9 passed, 1 failed" "a script that says ok and exits 3 fails"
tree; script test/e2e/a.sh 'true'
expect 1 "8 passed, 1 failed" "a script without any test fails"
tree; script test/e2e/a.sh 'echo "ok - one"; kill -SEGV $$'
expect 1 "9 passed, 1 failed" "a script killed by a signal fails"
tree; printf 'all tests gendocs tsan-tests kernel-tests fuzz-tests: ; @echo "x.c:1: warning: odd"\n' > "$work/t/Makefile"
expect 1 "4 passed, 4 failed" "a warning fails the build"
tree; printf 'all gendocs tsan-tests kernel-tests fuzz-tests: ; @:\ntests: ; @false\n' > "$work/t/Makefile"
expect 1 "5 passed, 3 failed" "a build that fails is counted, and the rest still runs"
tree; echo other > "$work/t/docs/OPTIONS.md"
expect 1 "7 passed, 1 failed" "a generated page that differs fails"
tree; : > "$work/t/test/unit/m/test_x.c"
expect 1 "8 passed, 3 failed" "a test that was not built fails in each mode"
tree; : > "$work/t/test/unit/m/test_x.c"; mkdir -p "$work/t/build/hostile/test/unit/m" "$work/t/build/release/test/unit/m"
for mode in asan hostile release; do
    script "build/$mode/test/unit/m/test_x" 'echo "[  PASSED  ] 5 test(s)."; echo "[  SKIPPED ] 1 test(s)"'
done
expect 0 "23 passed, 0 failed" "cmocka tests are counted in three modes"
script build/asan/test/unit/m/test_x 'echo "[  PASSED  ] 4 test(s)."; echo "[  FAILED  ] 1 test(s), listed below:"; exit 1'
expect 1 "22 passed, 1 failed" "one failed cmocka test is one failure"
script build/asan/test/unit/m/test_x 'echo "[ RUN      ] x"; kill -ABRT $$'
expect 1 "18 passed, 1 failed" "a test that aborts is one failure"
mv "$work/t/test/unit/m/test_x.c" "$work/t/test/unit/m/test_ring.c"
for mode in asan hostile release tsan; do
    mkdir -p "$work/t/build/$mode/test/unit/m"
    script "build/$mode/test/unit/m/test_ring" 'echo "[  PASSED  ] 5 test(s)."'
done
expect 0 "28 passed, 0 failed" "a ring test runs under the thread sanitizer, too"
tree; script test/e2e/a.sh '# seconds: 3
echo "ok - one"; sleep 60; echo "ok - two"'
expect 1 "9 passed, 1 failed" "a script that does not end in its time fails"
tree; script test/e2e/a.sh '# not in make check: it is too long
echo "not ok - one"; exit 1'
expect 0 "8 passed, 0 failed" "a script that says it is not in make check is left out"
exit $status
