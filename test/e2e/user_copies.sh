#!/bin/bash
# What the kernel touches of the program's memory for its calls: the model's copies meet a bad address
# where the call really answered EFAULT and nowhere else, in calls with bad addresses and in programs.
. "$(dirname "$0")/cli_lib.sh.inc"
cc -O1 -o "$work/efault" "$root/test/e2e/fixtures/efault.c" || exit 1
field() { python3 -c "import json,sys; print(json.load(open(sys.argv[1]))['counters'][sys.argv[2]])" "$@"; }

"$work/efault" > native.txt
"$pagewalk" run -q --json efault.json -o efault.txt -- "$work/efault" > out.txt
yes "they answer as natively" diff native.txt out.txt
yes "no answer contradicts the modelled copies" test "$(field efault.json divergence.user_copy)" = 0
yes "each bad address is found by touching it" test "$(field efault.json fault.fixup)" = "$(tail -1 native.txt)"
yes "and is a fault in kernel mode" test "$(field efault.json fault.bad)" -ge "$(tail -1 native.txt)"
yes "which some area has" python3 "$root/test/e2e/json_check.py" efault.json
yes "but no signal" test "$(field efault.json signal.sigsegv_maperr)$(field efault.json signal.sigsegv_accerr)" = 00

# agree NAME COMMAND...: a real program whose results all go with the modelled copies.
agree() {
    local name=$1
    shift
    "$pagewalk" run -q --json "$name.json" -o "$name.txt" -- "$@" > /dev/null 2> "$name.err"
    yes "$name: results and copies agree" test "$(field "$name.json" divergence.user_copy)" = 0
}
seq 20000 -1 1 > numbers
agree ls ls -lR /etc/apt /etc/default
agree sort sort -n numbers
agree gzip sh -c 'exec gzip -c numbers'
agree awk awk '{ s += $1 } END { print s }' numbers
agree cp sh -c 'rm -rf copy; exec cp -r /etc/default copy'
yes "a descriptor given to ioctl is no bad address" test "$(field cp.json fault.fixup)" = 0
agree tar tar cf - -C /etc default
agree grep grep -r root /etc/default
agree python3 python3 -c 'import json, re, os, socket; print(json.dumps(os.listdir("/")))'
agree perl perl -e 'print scalar(localtime), "\n"; my %h = map { $_ => 1 } 1 .. 1000;'
agree find find /etc -name '*.conf'
finish
