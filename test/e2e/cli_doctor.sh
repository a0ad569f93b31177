#!/bin/bash
# doctor: status 0 exactly when run works; each missing thing is named with a fix.
. "$(dirname "$0")/cli_lib.sh.inc"

"$pagewalk" doctor > healthy 2> "$work/err"
yes "doctor succeeds where run works" [ $? -eq 0 ]
yes "doctor says nothing on stderr" [ ! -s "$work/err" ]
yes "every line is ok, warn or fail" bash -c '! grep -qv "^\(ok  \|warn\|fail\)  *[a-z]" healthy'
yes "nothing fails" bash -c '! grep -q "^fail" healthy'
for check in qemu "qemu plugins" plugin machines configuration "this cpu" kernel "huge pages" cores memory run; do
    yes "doctor checks: $check" grep -q "^[a-z]*  *$check  " healthy
done
version=$(qemu-x86_64 --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p')
yes "the version is QEMU's own" grep -q "^ok  *qemu .*version $version" healthy
yes "the kernel is this one" grep -q "kernel  *Linux $(uname -r)" healthy
yes "the last check modelled instructions" grep -q '^ok  *run  .*[0-9,]* instructions modelled' healthy

# sick NAME CHECK TEXT COMMAND...: the command's doctor must fail in that check, saying TEXT.
sick() {
    local name=$1 check=$2 text=$3
    shift 3
    "$@" > sick 2> "$work/err"
    [ $? -eq 125 ] && grep -q "^fail  *$check  .*$text.*;" sick && [ ! -s "$work/err" ]
    yes "$name" [ $? -eq 0 ]
}
sick "a missing QEMU is named" qemu "qemu-user" env PATH=/nonexistent "$pagewalk" doctor
# A copy of the program alone has neither plugin nor machines beside it.
mkdir -p alone/a/b
cp "$pagewalk" alone/a/b/
sick "a missing plugin is named" plugin "pagewalk-qemu.so" alone/a/b/pagewalk doctor
sick "missing machines are named" machines "machines" alone/a/b/pagewalk doctor
mkdir alone/machines
printf 'seed = 1\nseed = x\n' > alone/machines/golden-cove.ini
sick "a bad machine file is named with its line" machines "golden-cove.ini:2:" alone/a/b/pagewalk doctor
# An emulator that cannot load plugins, and one that is none.
mkdir bin
printf '#!/bin/sh\n[ "$1" = --version ] && echo "qemu-x86_64 version 9.9.9" && exit 0\necho "plugin interface not enabled in this build" >&2; exit 1\n' > bin/qemu-x86_64
chmod +x bin/qemu-x86_64
sick "a QEMU without plugins is named" "qemu plugins" "loads no plugins" env PATH="$PWD/bin:$PATH" "$pagewalk" doctor
printf '#!/bin/sh\nexit 1\n' > bin/qemu-x86_64
sick "a QEMU that does not work is named" qemu "version" env PATH="$PWD/bin:$PATH" "$pagewalk" doctor
sick "a bad PAGEWALK_SET is named" configuration "cpu.cores" env PAGEWALK_SET=cpu.cores=x "$pagewalk" doctor
mkdir -p "$XDG_CONFIG_HOME/pagewalk"
printf 'seed = x\n' > "$XDG_CONFIG_HOME/pagewalk/config"
sick "a bad file of the user is named" configuration "config:1:" "$pagewalk" doctor
finish
