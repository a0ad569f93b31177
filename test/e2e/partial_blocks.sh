#!/bin/bash
# seconds: 1800
# Blocks of code that are left in the middle: faults that are retried or jumped out of, division
# errors, signals at any time, code that rewrites itself, threads that come and go, deaths.
#
# fixtures/faults.c does each a known number of times (200; 30 timer signals), so the numbers of
# signals and of blocks cut short are known; and with --verify the plugin's plain counters of
# instructions and accesses must equal what was modelled, in every thread.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
pagewalk=${PAGEWALK:-build/release/pagewalk}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
for f in faults threads; do
    cc -O1 -pthread -o "$work/$f" "test/e2e/fixtures/$f.c" || exit 1
done
number=0 failed=0

# check NAME STATUS SIGNALS PARTIAL PROGRAM ARGUMENTS; - : any number
check() {
    local name=$1 status=$2 signals=$3 partial=$4 got why=''
    shift 4
    number=$((number + 1))
    (ulimit -c 0; exec "$pagewalk" run --verify --json "$work/json" -- "$@") \
        > /dev/null 2> "$work/err"
    got=$?
    [ "$got" = "$status" ] || why="status $got, expected $status"
    grep -q 'counted wrongly' "$work/err" && why="plain counters differ"
    why=${why:-$(python3 - "$work/json" "$signals" "$partial" <<'EOF'
import json, sys
c = json.load(open(sys.argv[1]))["counters"]
for key, want in ("signals", sys.argv[2]), ("divergence.partial_block", sys.argv[3]):
    if want != "-" and c[key] != int(want):
        print(f"{key} is {c[key]}, expected {want}")
if c["divergence.no_vma"] or c["divergence.syscall_answer"]:
    print("program and model disagreed")
EOF
    )}
    if [ -z "$why" ]; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name # $why"
        failed=1
    fi
}

check "200 faults that are retried cut 200 blocks" 0 200 200 "$work/faults" retry
check "200 faults that are jumped out of cut 200 blocks" 0 200 200 "$work/faults" longjmp
check "200 division errors cut 200 blocks" 0 200 200 "$work/faults" divide
check "30 timer signals cut no block" 0 30 0 "$work/faults" timer
check "code that rewrites itself is left 200 times" 0 0 200 "$work/faults" smc
check "a crash cuts one block" 139 0 1 "$work/faults" crash
check "abort cuts no block" 134 0 0 "$work/faults" abort
check "a death by SIGKILL cuts no block" 137 0 0 "$work/faults" kill
check "threads that come and go are counted right" 0 - - "$work/threads"
check "perl is counted right" 0 - 0 /usr/bin/perl -e 'my %h; $h{$_ % 997} .= $_ for 1..20000; print 1'
check "python with threads is counted right" 0 - - /usr/bin/python3 -c \
    'import threading as t; x=[t.Thread(target=lambda: sum(range(20000))) for _ in range(8)]; [i.start() for i in x]; [i.join() for i in x]'
check "sort with threads is counted right" 0 - - /usr/bin/sort --parallel=2 -n /proc/kallsyms
echo "1..$number"
exit $failed
