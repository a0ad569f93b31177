#!/bin/bash
# tools/deps on machines we are not on: package tools, sudo and the user are played by scripts.
set -u
cd "$(dirname "$0")/../.." || exit 1
deps=$PWD/tools/deps
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
status=0

# play NAME SCRIPT: a command of that name in the PATH of the test.
play() { printf '#!/bin/sh\n%s\n' "$2" > "$work/bin/$1"; chmod +x "$work/bin/$1"; }
# machine UID: dpkg knows gcc and make; apt-get notes how it was called.
machine() {
    rm -rf "$work/bin" "$work/calls"
    mkdir "$work/bin"
    for tool in sh env tr; do ln -s "$(command -v $tool)" "$work/bin/$tool"; done
    play dpkg-query 'for p; do :; done; case $p in gcc|make) printf installed;; *) exit 1;; esac'
    play id "echo $1"
    play apt-get "echo \"apt-get \$*\" >> $work/calls; case \$1 in update) : > $work/fresh;; esac
        case \$* in *old-lists*) [ -e $work/fresh ];; *nowhere*) exit 100;; esac"
}
run() { out=$(PATH=$work/bin "$deps" "$@" 2>&1 < /dev/null); code=$?; }
check() { # NAME CONDITION...
    name=$1; shift
    if "$@"; then echo "ok - $name"
    else echo "not ok - $name"; sed 's/^/# /' <<< "exit $code: $out"; status=1; fi
}
calls() { [ "$(cat "$work/calls" 2>/dev/null)" = "$1" ]; }
says() { [ "$code" = "$1" ] && grep -qF -- "$2" <<< "$out"; }
install='apt-get install -y --no-install-recommends'

machine 0; run gcc make
check "nothing is installed where nothing is missing" test "$code$out" = 0
check "apt-get is not called then" calls ''
machine 0; run gcc libfoo-dev make bar
check "root installs exactly what is missing" calls "$install libfoo-dev bar"
machine 0; rm -f "$work/fresh"; run old-lists
check "old package lists are refreshed once" calls "$install old-lists
apt-get update
$install old-lists"
machine 0; run nowhere
check "a package that is nowhere is an error that names the line" says 1 "$install nowhere"
machine 1000; run gcc libfoo-dev
check "without root and sudo the line to run is printed" says 1 "    $install libfoo-dev"
check "and nothing is called" calls ''
machine 1000; play sudo '[ "$1" = -n ] && shift; "$@"'; run libfoo-dev
check "sudo without a password is used" calls "$install libfoo-dev"
machine 1000; play sudo 'exit 1'; run libfoo-dev
check "sudo that would ask is not waited for" says 1 "    $install libfoo-dev"
machine 0; rm "$work/bin/dpkg-query"; run libfoo-dev
check "another system is told what is needed and goes on" says 0 "libfoo-dev"

# Before anything is installed the Makefile is all there is: it must be read without a compiler.
machine 0
for tool in make sed find awk cat; do ln -s "$(command -v $tool)" "$work/bin/$tool"; done
bare_make() { out=$(PATH=$work/bin make -n BUILD="$work/build" "$1" 2>&1 < /dev/null); code=$?; }
words() { # all of them stand in what was said, and it was no error
    [ "$code" = 0 ] && for word; do grep -qw -- "$word" <<< "$out" || return 1; done
}
bare_make check
check "without compiler and git make check installs both first" words gcc git libcmocka-dev
bare_make demo
check "and make demo is read too" words qemu-user
bare_make tests
check "nothing is missed on the way" eval '! grep -q "not found" <<< "$out"'
exit $status
