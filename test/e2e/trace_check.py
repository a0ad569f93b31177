#!/usr/bin/env python3
"""trace_check.py TRACE RUN: is TRACE what the Trace Event Format says, and does it fit RUN (--json)?

The format: "Trace Event Format" (Google, 2016): an object with traceEvents; each event has ph, pid, tid,
name and, but for metadata, a non-negative ts in microseconds; X has dur; i has a scope s of g, p or t.
Prints every rule that is broken; exit status 1 then."""
import json
import sys
from decimal import Decimal

broken = []


def rule(holds, what):
    if not holds:
        broken.append(what)


trace = json.load(open(sys.argv[1]), parse_float=Decimal)
run = json.load(open(sys.argv[2]))
rule(isinstance(trace, dict) and isinstance(trace.get("traceEvents"), list), "no traceEvents")
rule(trace.get("displayTimeUnit") in ("ms", "ns"), "displayTimeUnit")
rule(set(trace) <= {"traceEvents", "displayTimeUnit", "otherData"}, "an unknown top-level key")
other = trace["otherData"]
rule(all(isinstance(v, str) for v in other.values()), "otherData holds something that is no text")
rule(other["clock"].startswith("virtual"), "it does not say that its times are virtual")

events = trace["traceEvents"]
named = {}
slices, instants = [], []
for e in events:
    rule({"ph", "pid", "tid", "name"} <= set(e), f"a key is missing: {e}")
    rule(isinstance(e["name"], str) and isinstance(e["pid"], int) and isinstance(e["tid"], int), f"type: {e}")
    rule(isinstance(e.get("args", {}), dict), f"args: {e}")
    if e["ph"] == "M":
        rule(e["name"] in ("process_name", "thread_name"), f"metadata: {e}")
        named[(e["pid"], e["tid"])] = e["args"]["name"]
        continue
    rule(e["ph"] in "Xi", f"phase: {e}")
    rule(isinstance(e["cat"], str), f"category: {e}")
    rule(isinstance(e["ts"], (int, Decimal)) and e["ts"] >= 0, f"ts: {e}")
    rule((e["pid"], e["tid"]) in named, f"a track without a name: {e}")
    if e["ph"] == "X":
        rule(isinstance(e["dur"], (int, Decimal)) and e["dur"] > 0, f"dur: {e}")
        slices.append(e)
    else:
        rule(e.get("s") in ("g", "p", "t") and "dur" not in e, f"instant: {e}")
        instants.append(e)

cores = run["machine"]["cpu.cores"]
rule(len(named) == cores + 1, "not a track for each core, and one name for all")
end = max([s["ts"] + s["dur"] for s in slices], default=0)
counters = run["counters"]
lost = int(other["lost"])


def apart(rows, what):
    """Rows that share a key do not overlap in time."""
    by = {}
    for s in rows:
        by.setdefault(what(s), []).append(s)
    for key, mine in by.items():
        mine.sort(key=lambda s: s["ts"])
        for a, b in zip(mine, mine[1:]):
            rule(a["ts"] + a["dur"] <= b["ts"], f"{key}: two slices overlap: {a} {b}")
    return by


for tid, mine in apart(slices, lambda s: s["tid"]).items():
    rule(sum(s["dur"] for s in mine) <= end, f"core {tid - 1} is busy for more than all the time")
apart(slices, lambda s: (s["args"]["pid"], s["args"]["tid"]))
if lost == 0:
    ran = sum(s["dur"] for s in slices)
    cpi, mhz = run["machine"]["cpu.cpi"], run["machine"]["cpu.mhz"]
    work = Decimal(counters["instructions"] * (cpi * 1000 // mhz)) / 1000000
    rule(ran >= work, f"slices last {ran} us, instructions alone {work}")
    rule(len(slices) <= counters["context_switches"], "more slices than context switches")
    faults = sum(v for k, v in counters.items() if k.startswith("fault.") and k in
                 {e["name"] for e in instants if e["cat"] == "fault"})
    rule(faults == sum(e["cat"] == "fault" for e in instants), "not every fault, or too many")
for line in broken[:20]:
    print(line)
sys.exit(bool(broken))
