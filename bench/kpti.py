#!/usr/bin/env python3
"""kpti.py: what page-table isolation costs a program in the model, beside what was published.

    make MODE=release && bench/kpti.py [--machine skylake-sp] [--quick]

Runs bench/progs/kpti.c under kernel.kpti=off, on with PCIDs, on without, and separate, with
kernel.footprint=on, and prints cycles for a system call, overhead against the rate of calls, and the share of
walk cycles. A cost for a call is that of N calls less that of none, divided by N.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.join(HERE, "..", "build", "release", "pagewalk")
MODES = {"off": [], "on, PCID": ["kernel.kpti=on"], "on, no PCID": ["kernel.kpti=on", "mmu.pcid=off"],
         "separate": ["kernel.kpti=separate"]}


def build(where):
    exe = os.path.join(where, "kpti")
    subprocess.run(["gcc", "-O2", "-static", "-o", exe, os.path.join(HERE, "progs", "kpti.c")], check=True)
    return exe


def run(exe, machine, mode, args):
    sets = ["kernel.footprint=on", "kernel.kpti=off", "seed=1", *MODES[mode]]
    out = os.path.join(os.path.dirname(exe), "run.json")
    cmd = [TOOL, "run", "-q", "--machine", machine, "--json", out]
    for s in sets:
        cmd += ["--set", s]
    subprocess.run([*cmd, "--", exe, *map(str, args)], check=True, stdout=subprocess.DEVNULL)
    with open(out) as f:
        return json.load(f)


def walks(d):
    c = d["counters"]
    return sum(v for k, v in c.items() if ".walk_active" in k)


def per_call(exe, machine, mode, calls, loads, size):
    some, none = (run(exe, machine, mode, (n, loads, size)) for n in (calls, 0))
    ghz = some["machine"]["cpu.mhz"] / 1000
    cycles = (some["cycles"]["total"] - none["cycles"]["total"]) / calls
    return cycles, cycles / ghz, 100 * (walks(some) - walks(none)) / calls / cycles


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--machine", default="skylake-sp")
    p.add_argument("--quick", action="store_true", help="fewer calls: a check that it works")
    a = p.parse_args()
    scale = 10 if a.quick else 1
    with tempfile.TemporaryDirectory() as where:
        exe = build(where)
        print(f"machine {a.machine}; lseek in a loop, nothing else")
        base = None
        for mode in MODES:
            cycles, ns, share = per_call(exe, a.machine, mode, 20000 // scale, 0, 4096)
            base = base if base is not None else ns
            print(f"  {mode:12} {cycles:8.0f} cycles {ns:7.1f} ns  +{ns - base:6.1f} ns  walks {share:4.1f} %")
        print("loads of a working set between two calls: rate of calls, time more than without isolation")
        for name, calls, loads, size in (("100 MB", 600, 4000, 100 << 20), ("100 MB", 4000, 400, 100 << 20),
                                         ("1 MB", 4000, 4000, 1 << 20), ("10 MB", 4000, 1000, 10 << 20),
                                         ("10 MB", 20000, 100, 10 << 20)):
            row, base = [], None
            for mode in MODES:
                cycles, ns, share = per_call(exe, a.machine, mode, max(calls // scale, 10), loads, size)
                base = base if base is not None else ns
                row.append(f"{mode} {100 * (ns / base - 1):+6.2f} % (walks {share:4.1f} %)")
            print(f"  {name:6} {1e6 / base:7.1f} k calls/s: " + "; ".join(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
