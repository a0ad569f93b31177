#!/bin/bash
# Threads that share modelled cores (fixtures/turns.c), and the timeline of it (trace_check.py).
. "$(dirname "$0")/cli_lib.sh.inc"
cc -O1 -pthread -o "$work/turns" "$root/test/e2e/fixtures/turns.c" || exit 1

# run NAME CORES ARGS: leaves NAME.json and NAME.trace; what the program prints must be right.
run() {
    local name=$1 cores=$2
    shift 2
    timeout 60 "$pagewalk" run -q --json "$name.json" --timeline "$name.trace" --set cpu.cores="$cores" \
        --set seed=1 -- "$work/turns" "$@" > "$name.out"
    yes "$name: exit status" test $? = 0
    yes "$name: its output" test "$(cat "$name.out")" = $(($1 * $2))
    yes "$name: the trace is well formed and fits the counters" \
        python3 "$root/test/e2e/trace_check.py" "$name.trace" "$name.json"
}
# holds NAME EXPRESSION: of its counters c, slices x (core, tid, from, for).
holds() {
    python3 - "$@" <<'EOF'
import json, sys
c = json.load(open(sys.argv[1] + ".json"))["counters"]
x = [(e["tid"] - 1, e["args"]["tid"], e["ts"], e["dur"])
     for e in json.load(open(sys.argv[1] + ".trace"))["traceEvents"] if e["ph"] == "X"]
if not eval(sys.argv[2]):
    sys.exit(f"{ {k: v for k, v in c.items() if 'switch' in k or 'migr' in k or 'timer' in k} }")
EOF
}

run alone 2 0 0
yes "one thread is never preempted and never moves" \
    holds alone 'c["context_switches.involuntary"] == 0 and c["cpu_migrations"] == 0'
yes "it runs on the first core only" holds alone '{s[0] for s in x} == {0}'

run pair 4 2 200
yes "there are cores for all: three threads, three cores" holds pair 'len({s[0] for s in x}) == 3'

run crowded 2 6 300
yes "six threads on two cores: slices end at ticks" \
    holds crowded 'c["timer_interrupts"] > 0 and c["context_switches.involuntary"] >= 6'
yes "all of them ran" holds crowded 'len({s[1] for s in x}) == 7'
yes "both cores worked" holds crowded '{s[0] for s in x} == {0, 1}'
yes "a switch is of one of two kinds, or brings somebody on an idle core" \
    holds crowded 'c["context_switches"] >= c["context_switches.voluntary"] + c["context_switches.involuntary"]'

run bound 2 3 200 1
yes "threads bound to the first core end there" \
    holds bound 'all(max((s[2], s[0]) for s in x if s[1] == t)[1] == 0
                     for t in {s[1] for s in x} - {min(s[1] for s in x)})'
yes "no core was asked for that is not there" holds bound 'c["divergence.affinity"] == 0'

cp alone.json before.json
run alone 2 0 0
yes "a run of one thread repeats to the last counter" python3 - <<'EOF'
import json
a, b = (json.load(open(n))["counters"] for n in ("before.json", "alone.json"))
different = {k: (a[k], b[k]) for k in a if a[k] != b[k]}
assert not different, different
EOF

cc -O1 -o "$work/stalls" "$root/test/e2e/fixtures/stalls.c" || exit 1
for program in miss fault; do
    timeout 60 "$pagewalk" run -q --json stalls.json --set cpu.mhz=3000 --set kernel.hz=1000 \
        -- "$work/stalls" $program
    yes "$program: a timer interrupt comes each 3,000,000 cycles, whatever they went for" python3 - <<'EOF'
import json
j = json.load(open("stalls.json"))
due, came = j["cycles"]["total"] // 3000000, j["counters"]["timer_interrupts"]
assert due > 10 and abs(due - came) <= 1, (due, came)
assert j["cycles"]["total"] > 5 * j["cycles"]["base"]
EOF
done

timeout 60 "$pagewalk" run -q --timeline short.trace --json short.json --set timeline.moments=1000 \
    --set cpu.cores=1 -- "$work/turns" 6 200 > /dev/null 2> short.err
yes "a timeline has a bound" python3 -c "
import json
t = json.load(open('short.trace'))
assert sum(e['ph'] != 'M' for e in t['traceEvents']) <= 1000"
refuse() { ! "$pagewalk" run "$@" -- /bin/true > refused.out 2>&1 && grep -q -- '--timeline' refused.out; }
yes "a timeline needs a file of its own" refuse --json one --timeline one
yes "and a model" refuse --front-only --timeline one
finish
