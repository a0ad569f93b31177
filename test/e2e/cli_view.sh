#!/bin/bash
# view, as its user sees it: the end of a run, kept by default or in a directory.
. "$(dirname "$0")/cli_lib.sh.inc"
export XDG_STATE_HOME=$work/state
says() { # says PATTERN COMMAND...: fails with 125, prints nothing, and one line on stderr that matches
    local pattern=$1
    shift
    "$@" > "$work/out" 2> "$work/err"
    [ $? -eq 125 ] && [ ! -s "$work/out" ] && [ "$(wc -l < "$work/err")" -eq 1 ] &&
        grep -q -- "$pattern" "$work/err" || { cat "$work/err"; return 1; }
}
end=$XDG_STATE_HOME/pagewalk/last

# -- before any run ----------------------------------------------------------------------------------
yes "without a run it says how to keep one" says 'pagewalk run -- PROGRAM' "$pagewalk" view meminfo
yes "without NAME the names are listed" bash -c "[ \"\$('$pagewalk' view | wc -l)\" -ge 20 ]"
yes "an unknown name lists the names" says 'no file .memnifo.; there are: meminfo ' "$pagewalk" view memnifo
yes "a directory without an end is named" says "$work holds no end" "$pagewalk" view --from "$work" meminfo

# -- the end of the last run -------------------------------------------------------------------------
"$pagewalk" run -q -- true
yes "a run keeps its end and prints nothing of it" [ -f "$end/proc/meminfo" ]
for name in meminfo vmstat buddyinfo pagetypeinfo zoneinfo node0/meminfo node0/numastat node0/vmstat numastat \
    extfrag/unusable_index extfrag/extfrag_index maps smaps smaps_rollup numa_maps status stat statm; do
    yes "view $name" bash -c "[ -n \"\$('$pagewalk' view $name)\" ]"
done
yes "the path does as a name" bash -c "cmp <('$pagewalk' view meminfo) <('$pagewalk' view /proc/meminfo)"
yes "a process is the program when none is named" bash -c "'$pagewalk' view status | grep -q '^Name:	true$'"
pid=$("$pagewalk" view status | sed -n 's/^Pid:	//p')
yes "its pid names it" bash -c "cmp <('$pagewalk' view maps) <('$pagewalk' view maps --pid $pid)"
yes "another pid lists the processes" says "no process 1; there were: $pid (true)" "$pagewalk" view --pid 1 maps
yes "a pid that is no number is refused" says 'is no process id' "$pagewalk" view --pid x maps
yes "--pid is refused where it means nothing" says 'not about a process' "$pagewalk" view --pid 1 meminfo
yes "an unknown node is refused" says 'has no node 7' "$pagewalk" view node7/meminfo
yes "maps has the program, the stack and the gate" bash -c \
    "'$pagewalk' view maps > m; grep -q '/true$' m && grep -q ' \[stack\]$' m && tail -1 m | grep -q '^ffffffffff600000-.* \[vsyscall\]$'"
yes "MemTotal is the sum of the zones" bash -c "[ \"\$('$pagewalk' view meminfo | sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p')\" -eq \
    \"\$('$pagewalk' view zoneinfo | awk '\$1 == \"managed\" { s += \$2 } END { print s * 4 }')\" ]"
yes "VmRSS is smaps' Rss" bash -c "[ \"\$('$pagewalk' view status | sed -n 's/^VmRSS:\t *\([0-9]*\) kB/\1/p')\" -eq \
    \"\$('$pagewalk' view smaps_rollup | sed -n 's/^Rss: *\([0-9]*\) kB/\1/p')\" ]"

# -- binary files ------------------------------------------------------------------------------------
yes "a binary file wants a range" says '--range START-END' "$pagewalk" view pagemap
yes "a bad range is refused" says 'is no range of addresses' "$pagewalk" view pagemap --range 5-5
yes "--range is refused for text" says 'is text' "$pagewalk" view meminfo --range 0-1
start=$(head -1 m | cut -d- -f1)
yes "a page of pagemap is 8 bytes" bash -c "[ \"\$('$pagewalk' view pagemap --range 0x$start-$((16#$start + 4096)) | wc -c)\" -eq 8 ]"
yes "pagemap as a file lies where Linux has it" bash -c "'$pagewalk' view pagemap -o pm && \
    cmp <(dd if=pm bs=8 skip=$((16#$start / 4096)) count=4 2> /dev/null) <('$pagewalk' view pagemap --range 0x$start-$((16#$start + 16384)))"
yes "present pages of pagemap are VmRSS and the zero page" bash -c "'$pagewalk' view kpageflags -o kf && python3 - <<'P'
import struct, subprocess
words = 0
for line in open('m'):
    a, b = (int(x, 16) for x in line.split()[0].split('-'))
    if a >= 1 << 47: continue
    with open('pm', 'rb') as f:
        f.seek(a // 4096 * 8)
        for w in struct.unpack('<%dQ' % ((b - a) // 4096), f.read((b - a) // 4096 * 8)):
            if w >> 63:
                with open('kf', 'rb') as k:
                    k.seek((w & (1 << 55) - 1) * 8)
                    flags, = struct.unpack('<Q', k.read(8))
                words += not flags >> 32 & 1
rss = [l for l in subprocess.run(['$pagewalk', 'view', 'status'], capture_output=True, text=True).stdout.splitlines() if l.startswith('Rss')]
assert abs(words * 4 - sum(int(l.split()[1]) for l in rss)) <= 8, (words * 4, rss)
P"

# -- numastat, by the tool itself where it is there ----------------------------------------------------
yes "numastat -m has a total" bash -c "'$pagewalk' view numastat -m | grep -q '^MemFree .* .*'"
if [ "$(id -u)" -eq 0 ] && command -v numastat > /dev/null && unshare -m true 2> /dev/null; then
    node=$end/sys/devices/system/node
    yes "numastat(8) prints our table of our files" bash -c "cmp <('$pagewalk' view numastat) <(unshare -m sh -c 'mount --bind $node /sys/devices/system/node && numastat')"
else
    echo "ok - numastat(8) prints our table of our files # SKIP needs root and numactl"
fi

# -- tunables ----------------------------------------------------------------------------------------
yes "three free pages of 1 GiB do not keep the end of a run waiting" timeout 200 "$pagewalk" run -q --set phys.size=4G --set hugetlb.1g=3 -- true
yes "a tunable is a file" [ "$("$pagewalk" view sys/vm/swappiness)" = 60 ]
yes "one that acts at once can only be written" says 'can only be written' "$pagewalk" view vm.drop_caches
"$pagewalk" run -q --sysctl '1us: vm.swappiness=7' --sysctl '100i: vm.page-cluster=5' -- true
yes "an order by time is carried out" [ "$("$pagewalk" view vm.swappiness)" = 7 ]
yes "an order by instructions is" [ "$("$pagewalk" view vm.page-cluster)" = 5 ]
printf '# two orders\n0us: vm.swappiness=8\n\n1us: vm.swappiness=9 # later\n' > orders
"$pagewalk" run -q --sysctls orders -- true
yes "a file of orders is, in the order of their times" [ "$("$pagewalk" view vm.swappiness)" = 9 ]
"$pagewalk" run -q --set phys.size=64M --sysctl '0us: vm.nr_hugepages=99999999' -- true
pool=$("$pagewalk" view vm.nr_hugepages)
yes "a pool larger than memory is not refused: Linux gives what there is ($pool)" [ "$pool" -gt 0 -a "$pool" -lt 32 ]
yes "an order for after the end is told" bash -c "'$pagewalk' run --sysctl '99999s: vm.swappiness=1' -- true 2>&1 | grep -q '1 orders were for a time after'"
yes "a value the kernel refuses is refused before the run" says 'vm.swappiness: 300 is out of range; take 0 to 200' "$pagewalk" run --sysctl '1us: vm.swappiness=300' -- touch ran
yes "which does not happen" test ! -e ran
yes "a bad order is refused before the run" says 'TIME: KEY=VALUE is wanted' "$pagewalk" run --sysctl 'vm.swappiness=1' -- touch ran
yes "in a file with its line" says 'orders:2: ' bash -c "printf '\n1ms: vm.nope=1\n' > orders; '$pagewalk' run --sysctls orders -- touch ran"
yes "a line too long for a file of orders is not cut into two" says 'orders:1: the line is too long' bash -c "printf '#%1100s 0us: vm.swappiness=8\n' x > orders; '$pagewalk' run --sysctls orders -- touch ran"
yes "and nothing ran" [ ! -e ran ]

# -- a run that is going on ----------------------------------------------------------------------------
# The program looks at its own descriptors: the run's socket must not be among them.
# It waits, without a child that would outlive it, until it is killed.
mkfifo never
"$pagewalk" run -q --no-save -- sh -c 'ls /proc/self/fd > fds; read x < never; true' &
running=$!
for _ in $(seq 600); do "$pagewalk" view --run $running status > s 2> "$work/err" && grep -q 'Name:.sh' s && [ -s fds ] && break; sleep 0.1; done
yes "a running pagewalk answers" grep -q '^Name:	sh$' s
yes "with the files of the machine" bash -c "'$pagewalk' view --run $running meminfo | grep -q '^MemTotal: '"
yes "and of its nodes" bash -c "'$pagewalk' view --run $running node0/numastat | grep -q '^numa_hit [1-9]'"
yes "and with binary ones" bash -c "[ \"\$('$pagewalk' view --run $running kpagecount --range 0x100000-0x100010 | wc -c)\" -eq 128 ]"
yes "a tunable can be set" [ "$("$pagewalk" view --run $running --set vm.swappiness=33 vm.swappiness)" = 33 ]
yes "drop_caches drops the cache" "$pagewalk" view --run $running --set vm.drop_caches=1
yes "which vmstat counts" bash -c "'$pagewalk' view --run $running vmstat | grep -q '^drop_pagecache 1$'"
yes "a bad value is refused by the machine" says 'vm.swappiness: 999 is out of range; take 0 to 200' "$pagewalk" view --run $running --set vm.swappiness=999
yes "another process lists those there are" says "no process 1; there are: [0-9]* (sh)" "$pagewalk" view --run $running --pid 1 maps
yes "a process that is no pagewalk is told from one" says "running: .*$running" "$pagewalk" view --run $$ maps
yes "the program saw no descriptor of ours" bash -c "sh -c 'ls /proc/self/fd' < /dev/null 2> /dev/null | cmp - fds" 
kill $(sed -n 's/^Pid:	//p' s)
wait $running 2> /dev/null
yes "when it is over it says so" says "no pagewalk runs as process $running" "$pagewalk" view --run $running maps
yes "--set needs a running one" says '--set needs --run' "$pagewalk" view --set vm.swappiness=1

# -- where ends are kept -----------------------------------------------------------------------------
"$pagewalk" run -q -- echo second > /dev/null
yes "the next run takes its place" bash -c "'$pagewalk' view status | grep -q '^Name:	echo$'"
yes "and the one before is gone" [ "$(ls "$XDG_STATE_HOME/pagewalk" | wc -l)" -eq 2 ]
for _ in 1 2 3 4 5 6; do "$pagewalk" run -q -- true & done
wait
yes "six runs at a time leave one end" [ "$(ls -A "$XDG_STATE_HOME/pagewalk" | wc -l)" -eq 2 -a -f "$end/proc/meminfo" ]
"$pagewalk" run -q -- echo second > /dev/null
"$pagewalk" run -q --save kept -- true
yes "--save names a directory" bash -c "'$pagewalk' view --from kept status | grep -q '^Name:	true$'"
yes "and leaves the last run alone" bash -c "'$pagewalk' view status | grep -q '^Name:	echo$'"
"$pagewalk" run -q --save kept -- echo third > /dev/null
yes "an end may be replaced" bash -c "'$pagewalk' view --from kept status | grep -q '^Name:	echo$'"
mkdir other && touch other/file
yes "other files are not" says 'it holds other files' "$pagewalk" run --save other -- true
yes "nor is a file" says 'no directory' "$pagewalk" run --save m -- true
yes "a place that cannot be made is refused before the run" says 'No such file' "$pagewalk" run --save no/such/place -- touch ran
yes "and nothing ran" [ ! -e ran ]
rm -rf "$XDG_STATE_HOME"
"$pagewalk" run -q --no-save -- true
yes "--no-save keeps nothing" [ ! -e "$XDG_STATE_HOME" ]
touch "$XDG_STATE_HOME"
yes "a run without a place for its end succeeds and says so" bash -c "'$pagewalk' run -- true 2>&1 | grep -q 'not kept for .view.*Not a directory'"
rm "$XDG_STATE_HOME"
"$pagewalk" run -q -- true
printf 'x' >> "$end/proc/kpageflags.runs"
yes "a damaged file is refused" says 'is damaged' "$pagewalk" view kpageflags --range 0-5
printf 'other' > "$end/pagewalk.end"
yes "a mark of another kind is no end" says 'pagewalk run' "$pagewalk" view meminfo
finish
