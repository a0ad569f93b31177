#!/usr/bin/env python3
"""entry.py: what entries into the kernel take on this machine, and in the model.

    make MODE=release && bench/entry.py [--machine golden-cove]

Natively: the median of 11 runs of bench/progs/entry.c. In the model: cycles of N entries less those of none, by
N, with kernel.footprint off and on.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.join(HERE, "..", "build", "release", "pagewalk")
KINDS = {"enosys": 20000, "getppid": 20000, "read": 20000, "fault": 4000, "zero": 4000, "pipe": 3000,
         "turns": 3000}


def native(exe, kind, n):
    runs = [float(subprocess.run([exe, kind, str(20 * n)], check=True, stdout=subprocess.PIPE).stdout)
            for _ in range(11)]
    return statistics.median(runs), min(runs), max(runs)


def modelled(exe, machine, kind, n, footprint):
    def cycles(count):
        out = os.path.join(os.path.dirname(exe), "run.json")
        subprocess.run([TOOL, "run", "-q", "--machine", machine, "--json", out, "--set",
                        f"kernel.footprint={footprint}", "--", exe, kind, str(count)], check=True,
                       stdout=subprocess.DEVNULL)
        with open(out) as f:
            d = json.load(f)
        return d["cycles"]["total"], d["machine"]["cpu.mhz"] / 1000
    some, ghz = cycles(n)
    return (some - cycles(0)[0]) / n / ghz


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--machine", default="golden-cove")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as where:
        exe = os.path.join(where, "entry")
        subprocess.run(["gcc", "-O2", "-static", "-o", exe, os.path.join(HERE, "progs", "entry.c")], check=True)
        print(f"ns each      native (least-most)        {a.machine}, footprint off     on")
        for kind, n in KINDS.items():
            ns, least, most = native(exe, kind, n)
            off, on = (modelled(exe, a.machine, kind, n, f) for f in ("off", "on"))
            print(f"{kind:8} {ns:10.1f} ({least:.1f}-{most:.1f})   {off:10.1f} ({100 * (off / ns - 1):+.0f} %)"
                  f"   {on:10.1f} ({100 * (on / ns - 1):+.0f} %)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
