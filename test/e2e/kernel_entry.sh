#!/bin/bash
# A tree of processes with isolated page tables: runs and ends as natively, CR3 is written twice for each entry,
# nothing is counted as translation of the kernel's where kernel.footprint is off, and the parts of the cycles
# still sum up.
. "$(dirname "$0")/cli_lib.sh.inc"

tree='ls / | sort | tail -1; (exit 4); echo $?; ls /nonexistent 2>/dev/null; exit 3'
want=$(sh -c "$tree"; echo "status $?")
# value PATH: of the JSON document, PATH as python writes it.
value() { python3 -c "import json; d=json.load(open('entry.json')); c=d['counters']; print($1)"; }
# run OPTIONS: what the program printed, and its status.
run() { "$pagewalk" run -q --json entry.json "$@" -- sh -c "$tree"; echo "status $?"; }
sums='d["cycles"]["total"] == sum(v for k, v in d["cycles"].items() if k != "total")'
own='sum(v for k, v in c.items() if k.endswith(":k"))'

# look MODE FOOTPRINT: one run of the tree, and what must hold.
look() {
    # shellcheck disable=SC2086 # a mode may be two options
    got=$(run --set kernel.footprint=$2 --set kernel.kpti=$1)
    yes "kpti $1, footprint $2: output and status as natively" [ "$got" = "$want" ]
    yes "the parts of the cycles sum up" [ "$(value "$sums")" = True ]
    yes "no access without a mapping" [ "$(value 'c["divergence.no_vma"]')" = 0 ]
    yes "the kernel's own translation is counted with its footprint only" \
        [ "$(value "($own > 0) == ('$2' == 'on')")" = True ]
    yes "no kernel stack overflows" [ "$(value 'c["kernel_stack.guard_hits"]')" = 0 ]
    writes=$(value 'c["kpti.cr3_writes"]')
    entries=$(value 'c["syscalls"] + d["vmstat"]["pgfault"] - c["fault.kernel_mode"]')
    if [ "$1" = off ]; then
        yes "without isolation no entry writes CR3" [ "$writes" = 0 ]
    else # exec and what a process ends in have no return
        yes "two writes for every entry ($writes, $entries)" [ "$writes" -ge $((2 * entries * 9 / 10)) ]
    fi
}
look off on
look on off
look on on
look "on --set mmu.pcid=off" on
look separate on

yes "skylake-sp is isolated" sh -c "'$pagewalk' run -q --machine skylake-sp --json entry.json -- true"
yes "and pays for it" [ "$(value 'c["kernel_cycles.kpti"] > 0')" = True ]
yes "zen4 is not" sh -c "'$pagewalk' run -q --machine zen4 --json entry.json -- true"
yes "and does not" [ "$(value 'c["kernel_cycles.kpti"]')" = 0 ]
for stack in two_pages one_page; do
    got=$(run --set kernel.stack=$stack --set kernel.irq_stack=task --set kernel.footprint=on)
    yes "kernel.stack=$stack: output and status as natively" [ "$got" = "$want" ]
done
finish
