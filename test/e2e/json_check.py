#!/usr/bin/env python3
"""json_check: holds a document of `pagewalk run --json` against the schema pagewalk.run/1.

  test/e2e/json_check.py FILE [ARGV...]     ARGV: what program.argv must be

Prints one line per violation and exits 1, or nothing and 0. The expectations are written down here
a second time on purpose: renaming a key must break a test.
"""
import json
import sys

MAXIMA = {"kernel_stack.deepest"}
TOP = ["schema", "pagewalk", "program", "incomplete", "machine", "counters", "cycles", "vmstat", "processes",
       "threads", "cores", "nobody", "no_core", "owners", "frames_total", "hugetlb", "oom",
       "kernel_stack_overflow", "vmas", "functions",
       "sites"]
COUNTERS = ["instructions", "loads", "stores", "dtlb_load_misses.stlb_hit",
            "dtlb_load_misses.walk_completed", "dtlb_load_misses.walk_active",
            "dtlb_store_misses.walk_completed", "itlb_misses.walk_completed",
            "page_walker_loads.dtlb_l1", "page_walker_loads.dtlb_l2", "page_walker_loads.dtlb_l3",
            "page_walker_loads.dtlb_memory", "mem_load_retired.l3_miss", "minor-faults",
            "major-faults", "fault.anon", "fault.file_read", "fault.file_cow", "fault_cycles.anon",
            "syscalls", "divergence.syscall_answer", "divergence.no_vma",
            "sim.children_unobserved"]
MACHINE = ["name", "phys.size", "cpu.cores", "cpu.model", "mmu.levels", "mmu.walkers", "mmu.pcid",
           "tlb.l2.entries", "pagecache", "seed"]
VMSTAT = ["pgfault", "pgmajfault", "numa_hit", "numa_local", "pgfree"]
PARTS = ["base", "memory", "translation", "fault", "kernel"]
PROCESS = ["pid", "ppid", "argv", "minflt", "majflt", "vm_peak_kb", "vm_size_kb", "rss_peak_kb",
           "rss_kb", "vm_pte_kb", "generation", "comm", "path", "exit", "unfollowed",
           "unfollowed_path", "programs", "threads", "begin_ns", "end_ns", "cycles", "counters", "maps"]
TEXTS = ["argv", "comm", "path", "exit", "unfollowed", "unfollowed_path", "counters", "maps"]
THREAD = ["pid", "tid", "core", "begin_ns", "end_ns", "cycles"]
ENDS = ["running", "exit", "signal", "native", "unseen", "unknown"]
OWNERS = ["user_anon", "user_file", "page_table", "kernel_stack", "slab", "kernel_image", "free"]
VMA = ["name", "program", "flags", "start", "bytes", "walks", "walk_cycles", "stlb_hits", "faults",
       "fault_cycles", "translation_cycles"]
FUNCTION = ["name", "object", "sites", "walks", "walk_cycles", "faults", "cycles"]
SITE = ["pc", "object", "symbol", "offset", "executed", "stlb_hits", "walks", "walk_cycles",
        "faults", "fault_cycles"]
PAGE = 4096

wrong = []


def check(true, what):
    if not true:
        wrong.append(what)


def keys(where, value, wanted):
    for key in wanted:
        check(key in value, f"{where} has no {key}")


def naturals(where, value, wanted=None):
    for key in wanted or value:
        number = value.get(key)
        check(type(number) is int and 0 <= number < 1 << 64, f"{where}.{key} is {number!r}")


def no_twice(pairs):
    seen = [key for key, _ in pairs]
    check(len(seen) == len(set(seen)), f"a key stands twice among {seen[:5]}...")
    return dict(pairs)


def address(where, text):
    check(isinstance(text, str) and text.startswith("0x") and int(text, 16) >= 0,
          f"{where}: {text!r} is no address")


def check_sums(d):
    check(d["cycles"]["total"] == sum(d["cycles"][p] for p in PARTS), "cycle parts miss the total")
    check(set(d["cycles"]) == set(PARTS + ["total"]), "cycles have other parts")
    check(sum(d["owners"].values()) == d["frames_total"], "owners miss frames_total")
    for pool in d["hugetlb"]:
        check(sum(pool["boot_nodes"]) == pool["boot"] <= pool["asked"], "a pool's nodes miss its boot")
        check(pool["free"] <= pool["total"], "a pool has more free pages than pages")
    check(d["frames_total"] * PAGE == d["machine"]["phys.size"], "frames_total misses phys.size")
    counters = d["counters"]
    for kind in ("dtlb_load_misses", "dtlb_store_misses", "itlb_misses"):
        sizes = sum(counters[f"{kind}.walk_completed_{s}"] for s in ("4k", "2m_4m", "1g"))
        check(sizes == counters[f"{kind}.walk_completed"], f"{kind}: page sizes miss the walks")
    cycles = sum(v for k, v in counters.items() if k.startswith("fault_cycles."))
    check(cycles == d["cycles"]["fault"], "fault_cycles.* miss cycles.fault")
    cycles = sum(v for k, v in counters.items() if k.startswith("kernel_cycles."))
    check(cycles == d["cycles"]["kernel"], "kernel_cycles.* miss cycles.kernel")


def check_attribution(d):
    """Areas account for every fault; walks of user copies belong to none, so areas may have fewer."""
    counters = d["counters"]
    kinds = [k[len("fault_cycles."):] for k in counters if k.startswith("fault_cycles.")]
    faults = sum(counters[f"fault.{k}"] for k in kinds)
    check(sum(v["faults"] for v in d["vmas"]) == faults, "vmas miss faults")
    check(sum(v["fault_cycles"] for v in d["vmas"]) == d["cycles"]["fault"], "vmas miss fault cycles")
    kinds = ("dtlb_load_misses", "dtlb_store_misses", "itlb_misses")
    for key, name in (("walks", "walk_completed"), ("walk_cycles", "walk_active"),
                      ("stlb_hits", "stlb_hit")):
        areas = sum(v[key] for v in d["vmas"])
        sites = sum(f[key] for f in d["functions"])
        most = sum(counters[f"{k}.{name}"] for k in kinds)
        most += counters["page_walk.dirty_assist"] if key == "walks" else 0 # walks, but no misses
        check(areas <= most, f"vmas have too many {key}")
        check(sites <= areas, f"functions have more {key} than vmas")
    check(sum(f["faults"] for f in d["functions"]) <= faults, "functions have too many faults")


def check_lists(d):
    for v in d["vmas"]:
        keys("a vma", v, VMA)
        address("vma", v["start"])
        check(len(v["flags"]) == 4, f"flags {v['flags']!r}")
        naturals("vma", v, [k for k in VMA if k not in ("name", "program", "flags", "start")])
    for f in d["functions"]:
        keys("a function", f, FUNCTION)
        naturals("function", f, FUNCTION[2:])
    for s in d["sites"]:
        keys("a site", s, SITE)
        address("site", s["pc"])
    check(len(d["sites"]) <= 200, "more than 200 sites")
    cycles = [f["cycles"] for f in d["functions"]]
    check(cycles == sorted(cycles, reverse=True), "functions are not sorted by cycles")
    check(sum(f["sites"] for f in d["functions"]) >= len(d["sites"]), "sites without a function")


def check_process(d):
    check(len(d["processes"]) >= 1, "no process")
    for p in d["processes"]:
        keys("a process", p, PROCESS)
        naturals("process", p, [k for k in PROCESS if k not in TEXTS])
        keys("a process's exit", p["exit"], ["how", "code", "signal"])
        check(p["exit"]["how"] in ENDS, f"a process ends with {p['exit']}")
        check((p["exit"]["how"] == "exit") == (p["exit"]["code"] is not None) and
              (p["exit"]["how"] == "signal") == (p["exit"]["signal"] is not None),
              f"a process ends with {p['exit']}")
        check((p["exit"]["how"] == "native") <= (p["unfollowed"] is not None), "native without a reason")
        check(p["minflt"] == p["counters"].get("minor-faults", 0), "minflt misses its counter")
        check(p["rss_kb"] <= p["rss_peak_kb"] and p["vm_size_kb"] <= p["vm_peak_kb"],
              "a process is larger than its peak")
        last = 0
        for m in p["maps"]:
            check(last <= int(m["start"], 16) < int(m["end"], 16), f"map {m} is out of order")
            last = int(m["end"], 16)


def check_shares(d):
    """Every count is one process's and one thread's, or nobody's, and one core's, or no core's. Maxima are no sums."""
    total = {**d["counters"], **d["vmstat"]}
    for name in ("processes", "threads", "cores"):
        for row in d[name]:
            naturals(name, row["counters"])
            check(set(row["counters"]) <= set(total) - MAXIMA, f"{name} count what is no counter, or a maximum")
        rest = d["no_core" if name == "cores" else "nobody"]
        for key, value in total.items():
            if key in MAXIMA:
                continue
            shares = sum(row["counters"].get(key, 0) for row in d[name]) + rest.get(key, 0)
            check(shares == value, f"{name} and nobody have {shares} of {value} {key}")
    for t in d["threads"]:
        keys("a thread", t, THREAD)
        naturals("thread", t, THREAD)
        check(t["core"] < len(d["cores"]), "a thread ran on no core")
        check(any(p["pid"] == t["pid"] for p in d["processes"]), "a thread of no process")
    check(len(d["cores"]) == d["machine"]["cpu.cores"], "cores miss cpu.cores")


def check_document(d, argv):
    keys("the document", d, TOP)
    check(d["schema"] == "pagewalk.run/1", f"schema is {d['schema']!r}")
    check(isinstance(d["pagewalk"]["version"], str), "no version")
    keys("machine", d["machine"], MACHINE)
    keys("program", d["program"], ["argv", "exit"])
    keys("program.exit", d["program"]["exit"], ["code", "signal"])
    for name, wanted in (("counters", COUNTERS), ("vmstat", VMSTAT), ("owners", OWNERS),
                         ("cycles", PARTS)):
        keys(name, d[name], wanted)
        naturals(name, d[name])
    check(all(isinstance(a, str) for a in d["program"]["argv"]), "argv has no strings")
    check(not argv or d["program"]["argv"] == argv, f"argv is {d['program']['argv']}")
    code, signal = d["program"]["exit"]["code"], d["program"]["exit"]["signal"]
    check((code is None) != (signal is None), f"exit is {code!r}, {signal!r}")
    check(d["incomplete"] in (None, "threads", "code", "stack"), f"incomplete: {d['incomplete']!r}")
    check_sums(d)
    check_attribution(d)
    check_lists(d)
    check_process(d)
    check_shares(d)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file, object_pairs_hook=no_twice)
    check_document(document, sys.argv[2:])
    for line in wrong[:20]:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
