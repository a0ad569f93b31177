#!/bin/bash
# make install: the installed tree works where it is, and make uninstall leaves nothing of it.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
status=0
check() { # NAME COMMAND...
    name=$1; shift
    if out=$("$@" 2>&1); then echo "ok - $name"
    else echo "not ok - $name"; sed 's/^/# /' <<< "$out"; status=1; fi
}
in_tree() { env -u MAKEFLAGS -u MAKELEVEL make -s BUILD="$build" MODE=release PREFIX=/usr DESTDIR="$work" "$@"; }

check "make install succeeds" in_tree install
for f in bin/pagewalk lib/pagewalk/pagewalk-qemu.so share/pagewalk/machines/zen4.ini \
    share/man/man1/pagewalk.1; do
    check "it installs $f" test -s "$work/usr/$f"
done
cd / || exit 1
for name in skylake-sp golden-cove zen4; do
    check "the installed program knows $name" "$work/usr/bin/pagewalk" machine show "$name"
done
if "$work/usr/bin/pagewalk" run -q -- /bin/echo hello > "$work/out" 2> "$work/err" &&
    [ "$(cat "$work/out")" = hello ]; then
    echo "ok - the installed program runs another"
else
    echo "not ok - the installed program runs another"; sed 's/^/# /' "$work/err"; status=1
fi
check "the man page is one" grep -q '^\.TH PAGEWALK 1' "$work/usr/share/man/man1/pagewalk.1"
cd - > /dev/null || exit 1
check "make uninstall succeeds" in_tree uninstall
left=$(find "$work/usr" -type f)
check "nothing is left" test -z "$left"
exit $status
