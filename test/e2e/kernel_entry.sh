#!/bin/bash
# A tree of processes with isolated page tables: runs and ends as natively, CR3 is written twice for each entry,
# a kernel stack that is too small is told of,
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

# calls, faults from user mode, ticks
entered='c["syscalls"] + d["vmstat"]["pgfault"] - c["fault.kernel_mode"] + c["timer_interrupts"]'

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
    entries=$(value "$entered")
    more=$(value 'c["signals"] + c["context_switches.involuntary"] + d["vmstat"]["nr_tlb_remote_flush_received"] + len(d["processes"])')
    if [ "$1" = off ]; then
        yes "without isolation no entry writes CR3" [ "$writes" = 0 ]
    elif [ "$1" = separate ]; then # copies write it, too
        yes "at least two writes for every entry ($writes, $entries)" [ "$writes" -ge $((2 * entries)) ]
    else # signals, interrupts that take a core away or flush, children made while their parent had none: most are
        # inside an entry
        yes "two writes for every entry ($writes, $entries), and for interrupts ($more)" \
            [ "$writes" -ge $((2 * entries)) -a "$writes" -le $((2 * (entries + more))) ]
    fi
}
look off on
look on off
look on on
look "on --set mmu.pcid=off" on
look separate on

# One process: its exec has a return and no entry, its exit an entry and no return.
for pcid in on off; do
    yes "ls runs isolated, pcid $pcid" \
        sh -c "'$pagewalk' run -q --json entry.json --set kernel.kpti=on --set mmu.pcid=$pcid -- ls / > ls.out"
    yes "and writes CR3 exactly twice for each entry" \
        [ "$(value "c['kpti.cr3_writes'] == 2 * ($entered)")" = True ]
done

yes "skylake-sp is isolated" sh -c "'$pagewalk' run -q --machine skylake-sp --json entry.json -- true"
yes "and pays for it" [ "$(value 'c["kernel_cycles.kpti"] > 0')" = True ]
yes "zen4 is not" sh -c "'$pagewalk' run -q --machine zen4 --json entry.json -- true"
yes "and does not" [ "$(value 'c["kernel_cycles.kpti"]')" = 0 ]
for stack in two_pages one_page; do
    got=$(run --set kernel.stack=$stack --set kernel.irq_stack=task --set kernel.footprint=on)
    yes "kernel.stack=$stack: output and status as natively" [ "$got" = "$want" ]
done
# A fault that swaps needs 4356 bytes: on one page the memory below goes first.
cc -O2 -o "$work/workset" "$root/test/e2e/fixtures/workset.c" || exit 1
short="--set phys.size=64M --set swap.size=256M"
yes "a fault that swaps runs through on a stack of one page" \
    "$pagewalk" run --no-save -o stack.txt --json entry.json $short --set kernel.stack=one_page -- "$work/workset" 80
yes "and the report says whose stack was too small, in what, and how deep" grep -Eq \
    '^kernel stack overrun [0-9,.MK ]+ times: workset \([0-9]+\), swap-out in page fault, 4,356 of 4,096 B$' stack.txt
yes "as does the JSON" \
    [ "$(value '(lambda o: o["hit"] == "memory below" and o["times"] == c["kernel_stack.overwrites"] and o["comm"] == "workset")(d["kernel_stack_overflow"])')" = True ]
yes "on 16 KiB it has room" sh -c "'$pagewalk' run -q --json entry.json $short -- '$work/workset' 80"
yes "and nothing is told" [ "$(value 'd["kernel_stack_overflow"]')" = None ]
yes "4000 NMIs a second come" [ "$("$pagewalk" run -q --json entry.json --set kernel.nmi_hz=4000 \
    --set kernel.footprint=on -- "$work/workset" 8; value 'c["nmi_interrupts"] >= 10 * c["timer_interrupts"] > 0 and c["kernel_cycles.nmi"] > 0')" = True ]
finish
