#!/bin/bash
# Faults of one thread beside another thread's calls (fixtures/locks.c): where the calls change the
# mapping that is written to, faults wait for them, and only there; a thread alone waits for nobody.
. "$(dirname "$0")/cli_lib.sh.inc"
cc -O1 -pthread -o "$work/locks" "$root/test/e2e/fixtures/locks.c" || exit 1

for mode in alone map protect; do
    "$pagewalk" run -o $mode.txt --json $mode.json --set cpu.cores=2 -- "$work/locks" $mode 250 40 > out ||
        not_ok "locks $mode runs" "$(cat out)"
done
# holds EXPRESSION: of the counters c["alone"], c["map"], c["protect"].
holds() {
    python3 - "$1" <<'EOF'
import json, sys
c = {m: json.load(open(m + ".json"))["counters"] for m in ("alone", "map", "protect")}
waits = {m: sum(v for k, v in c[m].items() if k.startswith("lock_waits.")) for m in c}
cycles = {m: sum(v for k, v in c[m].items() if k.startswith("lock_cycles.") and "call" not in k) for m in c}
faults = {m: sum(v for k, v in c[m].items() if k.startswith("fault_cycles.")) for m in c}
if not eval(sys.argv[1]):
    sys.exit(f"{waits} {cycles} {faults}")
EOF
}
yes "one thread waits for nobody" holds 'waits["alone"] == 0'
yes "faults wait for calls that change their mapping" holds 'c["protect"]["lock_waits.vma"] > 0'
yes "they do not wait for calls that change other mappings" holds 'c["map"]["lock_waits.vma"] == 0'
yes "what they wait is part of what they cost" holds '0 < cycles["protect"] < faults["protect"]'
yes "the summary tells which locks" grep -Eq '^ +of fault, locks +[0-9.<]+ %: vma [0-9,.]+( [MGT])? \(' protect.txt
yes "and has no such line for one thread" test "$(grep -c 'locks.*%' alone.txt)" = 0
yes "the summary keeps to 25 lines" test "$(wc -l < protect.txt)" -le 25
finish
