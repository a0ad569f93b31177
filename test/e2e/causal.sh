#!/bin/bash
# Who waits for whom (fixtures/rounds.c): processes that answer each other, or yield, on one modelled core,
# against the switches that Linux counts for the same program on one core; and a recording of it.
. "$(dirname "$0")/cli_lib.sh.inc"
cc -O1 -o "$work/rounds" "$root/test/e2e/fixtures/rounds.c" || exit 1

# holds FILE EXPRESSION: of the counters c.
holds() {
    python3 - "$@" <<'EOF'
import json, sys
c = json.load(open(sys.argv[1]))["counters"]
if not eval(sys.argv[2]):
    sys.exit(f"{sys.argv[2]}: { {k: v for k, v in c.items() if 'switch' in k or 'flush' in k or 'sim.' in k} }")
EOF
}
model() {
    local json=$1
    shift
    timeout 60 "$pagewalk" run -q --json "$json" --set cpu.cores=1 "$@" > "$json.out" 2>&1
}

rounds=200
native=$(taskset -c 0 "$work/rounds" pipe $rounds)
for i in 1 2 3; do
    model "pipe$i.json" --set mmu.pcid=off -- "$work/rounds" pipe $rounds
    yes "ping-pong $i: exit status" test $? = 0
    yes "ping-pong $i: two switches a round, as natively ($native)" \
        holds "pipe$i.json" "abs(c['context_switches'] - $native) <= $rounds / 20"
    yes "ping-pong $i: without PCIDs each is a full flush" \
        holds "pipe$i.json" "2 * $rounds <= c['tlb_flush.full'] <= 2.1 * $rounds"
    yes "ping-pong $i: nobody is let go" holds "pipe$i.json" "c.get('sim.woken_from_outside', 0) == 0"
done

native=$(taskset -c 0 "$work/rounds" yield 100)
model yield.json -- "$work/rounds" yield 100
yes "eight that yield: a switch at each yield, as natively ($native)" \
    holds yield.json "abs(c['context_switches'] - $native) <= $native / 20"

model spawn.json -- "$work/rounds" spawn 5
yes "a parent's unmapping comes after its posix_spawn's child is gone" \
    holds spawn.json "c['divergence.no_vma'] == 0"

timeout 60 "$pagewalk" run -q --record tape --json live.json --set cpu.cores=1 -- "$work/rounds" pipe 50 > out
for i in 1 2; do
    timeout 60 "$pagewalk" run -q --replay tape --json "again$i.json" > out
done
yes "a recording of it gives the same counts again" cmp -s again1.json again2.json
yes "those of the run" python3 - <<'EOF'
import json, sys
a, b = (json.load(open(f))["counters"] for f in ("live.json", "again1.json"))
sys.exit(a != b)
EOF
finish
