#!/bin/bash
# explain knows every counter and option, and agrees with the JSON of a run.
. "$(dirname "$0")/cli_lib.sh.inc"

"$pagewalk" explain > all 2> "$work/err"
yes "explain lists all names quietly" [ $? -eq 0 -a ! -s "$work/err" ]
awk '{ print $1 }' all > names
yes "every listed name has a meaning" bash -c '! grep -q "^[^ ]* *$" all'
# All at once: one process instead of 200.
mapfile -t names < names
"$pagewalk" explain "${names[@]}" > told 2> "$work/err"
yes "every listed name can be explained" [ $? -eq 0 ]
yes "each has its own paragraph" [ "$(grep -c ': \(a counter\|an option\|a part\)' told)" -eq "${#names[@]}" ]

"$pagewalk" run -q --json run.json -- true
python3 - run.json > json_names <<'END'
import json, sys
d = json.load(open(sys.argv[1]))
print("\n".join(list(d["counters"]) + list(d["vmstat"]) + list(d["cycles"])
                + [k for k in d["machine"] if k != "name"]))
END
yes "every counter, option and part of a run is explained" \
    bash -c '[ -s json_names ] && [ -z "$(sort json_names | comm -23 - <(sort names))" ]'
says() { "$pagewalk" explain "${@:2}" | grep -q -- "$1"; }
yes "a counter tells the part it feeds" says 'feeds *cycles.translation' dtlb_load_misses.walk_active
yes "a counter tells perf's name" says 'perf *the same name' dtlb_load_misses.walk_active --machine skylake-sp
yes "and AMD's on a Zen 4" says 'perf *ls_l1_d_tlb_miss.all_l2_miss' dtlb_load_misses.walk_completed --machine zen4
yes "a kernel counter tells where Linux shows it" says '/proc/vmstat' pgfault
yes "a counter tells its unit" says 'a counter, in cycles' fault_cycles.anon
yes "an option tells its range" says '1 to 64 cores' cpu.cores
yes "an option tells its value on the chosen machine" says 'now *3072 (machine mine)' \
    tlb.l2.entries --set tlb.l2.entries=3072 --set machine.name=mine --set tlb.l2.ways=12 --machine skylake-sp
yes "a part of the cycles tells its formula" says 'instructions x cpu.cpi' base
yes "case does not matter" says '^pgfault: ' PGFAULT
finish
