#!/bin/bash
# A program that asks for huge pages of pools (fixtures/hugepool.c) gets those of the modelled machine,
# whatever its host has. The numbers follow from the program: 5 pages of 2 MiB touched, 2 promised.
. "$(dirname "$0")/cli_lib.sh.inc"
cc -O1 -Wall -pthread -o "$work/hugepool" "$root/test/e2e/fixtures/hugepool.c" || exit 1
export XDG_STATE_HOME=$work/state
run() { "$pagewalk" run -q --json o.json "$@"; }
count() { python3 -c "import json; print(json.load(open('o.json'))['counters'].get('$1', 0))"; }
is() { [ "$(count "$1")" -eq "$2" ] || { echo "$1 is $(count "$1"), not $2"; return 1; }; }
pool() { "$pagewalk" view meminfo | sed -n "s/^HugePages_$1: *//p" ; }
has() { [ "$(pool "$1")" -eq "$2" ] || { echo "HugePages_$1 is $(pool "$1"), not $2"; return 1; }; }
steps() { # steps SETS...: every line of the program says yes
    "$pagewalk" run -q --json o.json "$@" -- "$work/hugepool" > steps || { grep NO steps; return 1; }
    [ "$(grep -c '^yes ' steps)" -eq 32 ] || { cat steps; return 1; }
}

yes "a pool of 8 pages keeps Linux's promises to a program" steps --set hugetlb.2m=8
yes "and the model agrees with all it was told" is divergence.syscall_answer 0
yes "with nothing it could not keep" is divergence.hugetlb 0
steps --set hugetlb.2m=8 > /dev/null
yes "at the end 5 and 3 pages are promised" has Rsvd 8
yes "and all of them free" has Free 8
yes "a pool that grows by need keeps the same promises" \
    steps --set hugetlb.2m=4 --set hugetlb.2m.overcommit=4

yes "a program keeps 5 pages" run --set hugetlb.2m=8 -- "$work/hugepool" hold
yes "HugePages_Total" has Total 8
yes "HugePages_Free" has Free 3
yes "HugePages_Rsvd" has Rsvd 2
yes "HugePages_Surp" has Surp 0
faults() { python3 -c "import json; print(sum(v['faults'] for v in json.load(open('o.json'))['vmas'] if 'anon_hugepage' in v['name']))"; }
yes "5 faults, one for each" [ "$(faults)" -eq 5 ]
yes "5 walks ended in an entry of 2 MiB" is dtlb_store_misses.walk_completed_2m_4m 5
pools() { python3 -c "import json; print(json.load(open('o.json'))['hugetlb'])"; }
run --set hugetlb.2m=8 --set numa.nodes=2 --set numa.sizes=15G,1G -o summary -- "$work/hugepool" hold > held
yes "JSON tells what the pool got, by node, and what is left" [ "$(pools)" = \
    "[{'page_kb': 2048, 'asked': 8, 'boot': 8, 'boot_nodes': [4, 4], 'total': 8, 'free': 3, 'reserved': 2, 'surplus': 0}]" ]
yes "and so does the summary" grep -Eq '^huge pages +hugetlb.2m 8 of 8 at boot \(node 0: 4, 1: 4\)$' summary
yes "the document is valid" python3 "$root/test/e2e/json_check.py" o.json
run --set hugetlb.2m=200 --set numa.nodes=2 --set numa.sizes=128M,896M --set phys.size=1G -- true
yes "a node that is full gets fewer than its 64" python3 -c "
import json
p = json.load(open('o.json'))['hugetlb'][0]
assert p['asked'] == 200 and p['boot'] == sum(p['boot_nodes'])
assert 0 < p['boot_nodes'][0] < 64 and p['boot_nodes'][1] > 100, p"
yes "without a pool the same program is refused" bash -c \
    "! '$pagewalk' run -q --no-save --set hugetlb.2m=0 -- '$work/hugepool' hold | grep -q 'yes 5 pages'"

advice() { run --set hugetlb.2m=8 -- "$work/hugepool" advice > steps && [ "$(grep -c '^yes ' steps)" -eq 5 ]; }
yes "advice on a pool's pages keeps to whole pages" advice
yes "as the model does" is divergence.syscall_answer 0

flags() { run --set hugetlb.2m=8 -- "$work/hugepool" flags > steps && [ "$(grep -c '^yes ' steps)" -eq 10 ]; }
yes "flags of mmap are judged as Linux judges them" flags
yes "with nothing that the model would answer otherwise" is divergence.syscall_answer 0

yes "six threads take from a pool of 8" run --set hugetlb.2m=8 -- "$work/hugepool" race
yes "and model and program never disagree" is divergence.syscall_answer 0
yes "nor had the model to break its word" is divergence.hugetlb 0
mounted() { # a hugetlbfs of our own: no pool of the host is needed
    mkdir -p pool && unshare -m bash -c "mount -t hugetlbfs none pool &&
        '$pagewalk' run -q --json o.json --set hugetlb.2m=8 -- '$work/hugepool' pool/file" > steps &&
        [ "$(grep -c '^yes ' steps)" -eq 9 ] && is divergence.syscall_answer 0
}
if [ "$(id -u)" -eq 0 ] && unshare -m true 2> "$work/said"; then
    yes "a file of a hugetlbfs is of the modelled pool" mounted
else
    echo "ok - a file of a hugetlbfs is of the modelled pool # SKIP needs root"
fi

yes "what no pool has is ordinary memory in the model" run -- "$work/hugepool" beyond
yes "and counted" is divergence.no_vma 2
finish
