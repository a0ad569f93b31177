#!/usr/bin/env python3
"""tree_native: minor faults of every process of a program tree, natively and in the model.

  tree_native.py PAGEWALK SPAWN RUNS NAME COMMAND...      SPAWN: fixtures/spawn.c, built

The kernel's own accounting (acct(2), root) writes a record of each process that ends: command, pid, parent,
status, minor faults from its fork to its end. It disturbs nothing, and needs no ptrace. COMMAND runs RUNS
times natively, without address randomisation, and once under `pagewalk run`. Which 16 pages a file fault
maps depends on addresses, and the emulator's are not the kernel's: a difference of a few faults remains. Processes are told apart by
their name and, among those of one name, by their order of beginning; native faults are medians.

Prints one line a process: name, native, modelled, verdict; then a summary. Exits 1 if output, status, the
number of processes or an exit status differ, or faults by more than 1 % and more than FAULTS (5).
"""
import ctypes
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile

ACCT = struct.Struct("<BBHIIIIIIfHHHHHHHH16s")  # struct acct_v3
AHZ_COMM = 18
libc = ctypes.CDLL(None, use_errno=True)


def comp(value):
    """comp_t: 13 bits, and a power of 8."""
    return (value & 0x1fff) << (3 * (value >> 13))


def accounting(path):
    if libc.acct(path.encode() if path else None) != 0:
        sys.exit(f"acct: {os.strerror(ctypes.get_errno())}")


def since(root, pid):
    """Process ids in order of giving them out, from the root's on: they begin again at pid_max."""
    with open("/proc/sys/kernel/pid_max", encoding="ascii") as f:
        return (pid - root) % int(f.read())


def records(path, root):
    """(pid, ppid, comm, status, minflt) of the processes below `root`, in order of pid."""
    with open(path, "rb") as f:
        data = f.read()
    every = []
    for at in range(0, len(data) - ACCT.size + 1, ACCT.size):
        r = ACCT.unpack_from(data, at)
        comm = r[AHZ_COMM].split(b"\0")[0].decode(errors="replace")
        every.append((r[6], r[7], comm, r[3], comp(r[15])))
    below, grew = {root}, True
    while grew:
        more = {r[0] for r in every if r[1] in below} - below
        below |= more
        grew = bool(more)
    return sorted((r for r in every if r[0] in below), key=lambda r: since(root, r[0]))


def natively(spawn, command, path):
    open(path, "wb").close()
    accounting(path)
    try:
        p = subprocess.run([spawn, path + ".pid"] + command, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    finally:
        accounting(None)
    with open(path + ".pid", encoding="ascii") as f:
        return p.stdout, p.returncode, records(path, int(f.read()))


def keyed(rows):
    """{(name, how many of that name came before): row}"""
    seen, keys = {}, {}
    for name, row in rows:
        seen[name] = seen.get(name, -1) + 1
        keys[name, seen[name]] = row
    return keys


def modelled(pagewalk, command, path):
    p = subprocess.run([pagewalk, "run", "-q", "--no-save", "--json", path, "--"] + command,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    with open(path, encoding="utf-8") as f:
        status = p.returncode if p.returncode >= 0 else 128 - p.returncode
        return p.stdout, status, json.load(f)["processes"]


def status_of(exit):
    if exit["how"] == "exit":
        return exit["code"] << 8
    return exit["signal"] if exit["how"] == "signal" else None


def compare(natives, model):
    wrong = []
    for key in sorted(natives[0].keys() | model.keys()):
        rows = [n[key] for n in natives if key in n]
        if key not in model or not rows:
            wrong.append(f"{key[0]} {key[1]}: {'not modelled' if rows else 'not native'}")
            continue
        faults = sorted(r[1] for r in rows)
        want, got = statistics.median(faults), model[key]["minflt"]
        status = status_of(model[key]["exit"])
        good = abs(got - want) <= max(int(os.environ.get("FAULTS", 5)), want / 100)
        print(f"  {key[0]:<16} {key[1]:>3} {want:>8.0f} {got:>8} {100 * (got - want) / max(want, 1):>+7.2f} %"
              f"  {faults[0]}-{faults[-1]}{'' if good else '  beyond'}")
        if not good:
            wrong.append(f"{key[0]} {key[1]}: {want:.0f} faults natively, {got} modelled")
        if status is not None and status not in {r[0] & 0xff7f for r in rows}:
            wrong.append(f"{key[0]} {key[1]}: status {rows[0][0]:#x} natively, {status:#x} modelled")
    return wrong


def main():
    pagewalk, spawn, runs, name = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    command = sys.argv[5:]
    with tempfile.TemporaryDirectory() as d:
        seen = [natively(spawn, command, d + "/acct") for _ in range(runs + 1)][1:]  # the first warms caches
        out, code, processes = modelled(pagewalk, command, d + "/json")
    natives = [keyed((r[2], (r[3], r[4])) for r in s[2]) for s in seen]
    model = keyed((p["comm"], p) for p in sorted(processes, key=lambda p: since(processes[0]["pid"], p["pid"])))
    wrong = compare(natives, model)
    if seen[0][0] != out:
        wrong.append(f"output: {seen[0][0][-200:]!r} natively, {out[-200:]!r} modelled")
    if seen[0][1] != code:
        wrong.append(f"status {seen[0][1]} natively, {code} modelled")
    if any(len(s[2]) != len(processes) for s in seen):
        wrong.append(f"{[len(s[2]) for s in seen]} processes natively, {len(processes)} modelled")
    total = statistics.median([sum(r[4] for r in s[2]) for s in seen]), sum(p["minflt"] for p in processes)
    print(f"{name}: {len(processes)} processes, {total[0]:.0f} faults natively, {total[1]} modelled")
    for line in wrong:
        print(f"# {line}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
