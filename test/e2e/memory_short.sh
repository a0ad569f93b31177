#!/bin/bash
# A program of 200 MiB on a modelled machine of 64 MiB: with enough swap it runs through, and what moved
# keeps to rules that hold for every choice of reclaim; with too little the OOM killer comes, and the
# report says where; refused swap areas are named.
. "$(dirname "$0")/cli_lib.sh.inc"
cc -O2 -o "$work/workset" "$root/test/e2e/fixtures/workset.c" || exit 1

small="--set phys.size=64M"
# value FILE PATH: a number of the JSON document, PATH as python writes it.
value() { python3 -c "import json,sys; d=json.load(open('$1')); print($2)"; }

# The program fills 51,200 pages, looks at 20,000 of them in random order, then at all of them twice in
# order, every byte each time. What must hold whatever reclaim chooses:
passes=2 pages=51200 random=20000
yes "200 MiB with every byte looked at run on 64 MiB with 256 MiB of swap" \
    "$pagewalk" run -q $small --set swap.size=256M --save end --json swap.json -- "$work/workset" 200 $passes
yes "and on 1 GiB without swap" \
    "$pagewalk" run -q --set phys.size=1G --save ample --json ample.json -- "$work/workset" 200 $passes
# end FILE KEY: a number of a file of /proc at the end, the sum if several lines have it.
end() { "$pagewalk" view --from "${from:-end}" "$1" | awk -v key="$2" '$1 == key { n += $2 } END { print n + 0 }'; }
stat() { end vmstat "$1"; }
memory=$(($(end meminfo MemTotal:) / 4)) # frames that pages can have
read -r in out major < <(echo "$(stat pswpin)" "$(stat pswpout)" "$(stat pgmajfault)")
said="memory $memory in $in out $out major $major ahead $(stat swap_ra)"
# holds NAME EXPRESSION: with the numbers in case it does not.
export passes pages random memory in out major
holds() { yes "$1" bash -c "echo '$2; $said'; (($2))"; }
holds "a pass in order brings in all that memory cannot hold" "in >= passes * (pages - memory)"
holds "and nothing but what was asked for or lies beside it" \
    "in <= passes * pages + random + $(stat swap_ra) - $(stat swap_ra_hit)"
holds "what is read is what a major fault asked for or readahead added" \
    "major - (in - $(stat swap_ra)) >= 0 && major - (in - $(stat swap_ra)) <= 100"
holds "readahead adds at most seven pages to a fault" "in <= 8 * major"
holds "the first pass writes all that memory cannot hold" "out >= pages - memory"
anon=$(($(from=ample end status RssAnon:) / 4))
holds "a page is written at most once for each time it was made or read" "out <= $anon + in"
holds "every page is in memory or in swap, as many as with ample memory" \
    "($(end status RssAnon:) + $(end status VmSwap:)) / 4 == $anon"
holds "swap holds what the process has there, and pages that are in both" \
    "$(end meminfo SwapTotal:) - $(end meminfo SwapFree:) >= $(end status VmSwap:) && $(end meminfo SwapTotal:) - $(end meminfo SwapFree:) <= $(end status VmSwap:) + $(end meminfo SwapCached:)"
holds "the peak fits in memory" "$(end status VmHWM:) <= memory * 4"
yes "the major faults of the process are those of the machine" \
    test "$(value swap.json 'd["processes"][0]["majflt"]')" = "$major"
yes "kswapd worked, on the idle one of two cores" \
    test "$(value swap.json 'd["counters"]["kernel_threads.runs"] > 0 and d["counters"]["kernel_threads.preempts"]')" = 0
yes "and interrupted the program for what it unmapped" \
    test "$(value swap.json 'd["vmstat"]["nr_tlb_remote_flush_received"] > 1000')" = True
yes "nobody was killed" test "$(value swap.json 'd["oom"]')$(stat oom_kill)" = "[]0"
yes "the owners of frames sum up to all frames" \
    test "$(value swap.json 'sum(d["owners"].values()) == 64 * 256')" = True
owner() { value swap.json "d['owners']['$1']"; }
holds "what is not in MemTotal is the kernel's from the boot on" \
    "$(owner reserved) + $(owner kernel_image) + $(owner memmap) + memory == 64 * 256"
holds "MemTotal is the zones' managed frames" "memory == $(end zoneinfo managed)"
# VmallocUsed has the kernel stacks, too, and those kept for the next task.
holds "MemTotal is the sum of what meminfo lists and the lists of CPUs" \
    "$(end meminfo MemFree:) + $(end meminfo AnonPages:) + $(end meminfo Cached:) + $(end meminfo SwapCached:) + $(end meminfo PageTables:) + $(end meminfo VmallocUsed:) + $(end meminfo Slab:) + 4 * $(end zoneinfo count:) == 4 * memory"

yes "with 64 MiB of swap the program goes on, too" \
    "$pagewalk" run -o oom.txt $small --set swap.size=64M --json oom.json -- "$work/workset" 200
yes "but the modelled machine would have killed it" \
    test "$(value oom.json 'd["vmstat"]["oom_kill"] >= 1 and len(d["oom"]) >= 1')" = True
yes "which the report says in the words of the kernel's log" \
    grep -Eq '^no memory +diverged at event [0-9]+ .*Killed process [0-9]+ \(workset\) total-vm:[0-9]+' oom.txt
yes "and in JSON in full" test "$(value oom.json 'd["oom"][0]["line"]' |
    grep -cE '^Out of memory: Killed process [0-9]+ \(workset\) total-vm:[0-9]+kB, anon-rss:[0-9]+kB, file-rss:[0-9]+kB, shmem-rss:[0-9]+kB, UID:'"$(id -u)"' pgtables:[0-9]+kB oom_score_adj:0$')" = 1
yes "the summary keeps to 25 lines" test "$(wc -l < oom.txt)" -le 25
"$pagewalk" run -q $small --set swap.size=64M --set kernel.oom_kill_guest=on -- "$work/workset" 200 \
    > /dev/null 2>&1
yes "kernel.oom_kill_guest=on kills the program as the kernel would" test $? -eq 137

# A shell, one process that sits still, and one that eats all memory: that one is killed on the host, too, and
# the others go on.
"$pagewalk" run -o tree.txt --json tree.json $small --set kernel.oom_kill_guest=on -- \
    sh -c 'sleep 1 & "$0" 200; echo "eater $?"; wait $!; echo "sleeper $?"' "$work/workset" > tree.out 2> tree.err
yes "a shell whose child ate the memory ends as if nothing had happened" test $? -eq 0
yes "it was told of SIGKILL, and its other child lived" \
    diff <(grep -v Killed tree.out) <(printf 'eater 137\nsleeper 0\n')
yes "the victim is the child, by its name and pid" bash -c "
    pid=$(value tree.json '[p["pid"] for p in d["processes"] if p["comm"] == "workset"][0]')
    [ \$pid != $(value tree.json 'd["processes"][0]["pid"]') ] &&
    grep -Eq \"Killed process \$pid \\(workset\\) total-vm:\" tree.txt"
yes "one process was killed, once, and the report says of it alone that it was" \
    test "$(value tree.json '[len(d["oom"]), [p["comm"] for p in d["processes"] if p["exit"]["how"] == "signal"]]')" = "[1, ['workset']]"

# refused PATTERN SETS...
refused() {
    local pattern=$1 sets=()
    shift
    for s in "$@"; do sets+=(--set "$s"); done
    "$pagewalk" run "${sets[@]}" -- touch ran > out 2> err
    [ $? -eq 125 ] && [ "$(wc -l < err)" -eq 1 ] && grep -q -- "$pattern" err && [ ! -e ran ]
}
mkdir dir
yes "a directory is no swap file" refused "swap.file: dir: it is a directory" swap.size=1M swap.file=dir
echo "my letters" > letters
yes "a file with something else in it is left alone" \
    refused "swap.file: letters: .*no SWAPSPACE2" swap.size=1M swap.file=letters
yes "what it holds is still there" grep -q letters letters
yes "a swap file without swap.size is refused" refused "swap.size says how large" swap.file=new
truncate -s 64K short
printf 'SWAPSPACE2' | dd of=short bs=1 seek=4086 conv=notrunc 2> dd.err
yes "a swap area smaller than swap.size is refused" \
    refused "swap.file: short: it is smaller than swap.size: 65536 bytes, and swap.size = 1048576$" swap.size=1M swap.file=short
yes "a place where nothing can be made is refused" \
    refused "swap.file: none/x: .*cannot be created" swap.size=1M swap.file=none/x
yes "a swap area below 10 pages is refused with its key, value and reason" \
    refused "swap.size: 4096 bytes: .*at least 10 pages" swap.size=4K
yes "and one of no whole pages" refused "swap.size: 5000 bytes: .*at least 10 pages" swap.size=5000
limited() { (ulimit -f 64 && refused "$@"); }
yes "a swap area above ulimit -f is refused" \
    limited "swap.size: 1048576 bytes: .*ulimit -f" swap.size=1M phys.contents=on
ln -s nowhere link
yes "a link to nothing is refused, and stays" \
    refused "swap.file: link: .*symbolic link to nothing" swap.size=1M swap.file=link phys.contents=on
yes "it is still there" test -L link
yes "a file of /proc is no swap file, whoever asks" \
    refused "swap.file: /proc/version: it" swap.size=1M swap.file=/proc/version phys.contents=on
yes "nor without contents, which would write nothing to it" \
    refused "swap.file: /proc/version: it cannot hold swap.size = 1048576 bytes: " swap.size=1M swap.file=/proc/version
yes "nor is a file in /sys" refused "swap.file: /sys/kernel/mm/x: it" swap.size=1M swap.file=/sys/kernel/mm/x
yes "an empty file that could hold the area stays empty" bash -c \
    ": > empty && '$pagewalk' run -q --set swap.size=1M --set swap.file=empty -- true && [ ! -s empty ]"
yes "and one that is not there is not left behind" bash -c \
    "'$pagewalk' run -q --set swap.size=1M --set swap.file=unmade -- true && [ ! -e unmade ]"
yes "nothing can be made in /sys, by root either" \
    refused "swap.file: /sys/kernel/mm/x: it" swap.size=1M swap.file=/sys/kernel/mm/x phys.contents=on
full_disk() {
    mkdir -p full
    unshare -m bash -c "mount -t tmpfs -o size=1M none full && '$pagewalk' run --set swap.size=2M \
        --set swap.file=full/swap --set phys.contents=on -- touch ran 2> err; [ \$? -eq 125 ] && [ ! -e full/swap ]"
    grep -q "swap.file: full/swap: it cannot hold swap.size = 2097152 bytes: No space left" err && [ ! -e ran ]
}
if [ "$(id -u)" -eq 0 ] && unshare -m true 2> /dev/null; then
    yes "a file system without room for the area is refused" full_disk
else
    echo "ok - a file system without room for the area is refused # SKIP needs root"
fi
yes "more huge pages than memory are refused" \
    refused "hugetlb.2m: 2020 huge pages, 4040 MiB .*leave 3991 MiB" phys.size=4G hugetlb.2m=2020
"$pagewalk" run --no-save -o few.txt --set phys.size=4G --set hugetlb.2m=1990 -- true
yes "fewer than asked for, at boot, are told" \
    grep -Eq '^huge pages +hugetlb.2m 1[0-9]{3} of 1990 at boot$' few.txt
finish
