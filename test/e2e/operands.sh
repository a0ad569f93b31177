#!/bin/bash
# Joined loads and stores against the architecture, for every operand form of fixtures/operands.c.
#
# A form runs N times and then 3 N times; the difference is 2 N times what the form does, plus what
# the loop and the form's own setting up do, which the form "nothing" and the table below tell. The
# expected numbers are the fixture's, from the SDM. String forms (kind rep) are one load and one store
# per line touched. Image forms (XSAVE, FXSAVE) have no such number and are left to test_run.
# seconds: 300
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
pagewalk=${PAGEWALK:-build/release/pagewalk}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cc -O1 -pthread -o "$work/operands" test/e2e/fixtures/operands.c || exit 1
"$work/operands" > "$work/table" || exit 1

python3 - "$pagewalk" "$work" <<'EOF'
import json, subprocess, sys
pagewalk, work = sys.argv[1:]
N = 100
# Accesses of a form's own setting up (loads, stores), as its source says: a pointer or a return
# address stored, a mask or an index loaded.
SETUP = {"call_memory": (0, 1), "jmp_memory": (0, 1), "ret": (0, 1), "ret_imm": (0, 1),
         "gather_pd": (1, 0), "gather_dd": (1, 0), "gather_none": (1, 0), "ldmxcsr": (0, 1)}

def counts(name, n):
    out = work + "/json"
    subprocess.run([pagewalk, "run", "-q", "--verify", "--json", out, work + "/operands", name, str(n)],
                   check=True, stdout=subprocess.DEVNULL)
    c = json.load(open(out))["counters"]
    return c["loads"], c["stores"]

def per_run(name):
    a, b = counts(name, N), counts(name, 3 * N)
    d = [y - x for x, y in zip(a, b)]
    return d[0] / (2 * N), d[1] / (2 * N)

def lines(nbytes):
    return -(-nbytes // 64)

def wanted(kind, loads, stores, lb, sb):
    return (loads, stores) if kind == "one" else (min(loads, lines(lb)), min(stores, lines(sb)))

base = per_run("nothing")
rows = [l.split() for l in open(work + "/table")]
rows = [r for r in rows if len(r) == 7 and r[0] != "nothing" and r[2] in ("one", "rep")]
failed = 0
for i, (name, _, kind, *numbers) in enumerate(rows, 1):
    want = wanted(kind, *map(int, numbers))
    setup = SETUP.get(name, (0, 0))
    got = tuple(x - y - z for x, y, z in zip(per_run(name), base, setup))
    good = got == want
    failed += not good
    print(f"{'ok' if good else 'not ok'} {i} - {name} is {want[0]} loads and {want[1]} stores"
          + ("" if good else f" # got {got[0]:g} and {got[1]:g}"), flush=True)
print(f"1..{len(rows)}")
sys.exit(1 if failed or len(rows) < 90 else 0)
EOF
