#!/bin/bash
# Bad input: each gives exactly one line on stderr that names the thing, nothing on stdout, the right
# status; no program is run and nothing that existed is overwritten.
. "$(dirname "$0")/cli_lib.sh.inc"

# refuse NAME STATUS PATTERN ARGS...: pagewalk ARGS must be refused so. A file "ran" tells that a
# program was executed; keep.json and keep.txt are earlier results.
refuse() {
    local name=$1 status=$2 pattern=$3 wrong=() got
    shift 3
    echo earlier > keep.json
    echo earlier > keep.txt
    ls -A > "$work/before"
    timeout 20 "$pagewalk" "$@" > "$work/out" 2> "$work/err" < /dev/null
    got=$?
    [ $got -eq "$status" ] || wrong+=("status $got, not $status")
    [ -s "$work/out" ] && wrong+=("stdout: $(head -c 200 "$work/out")")
    [ "$(wc -l < "$work/err")" -eq 1 ] || wrong+=("$(wc -l < "$work/err") lines on stderr")
    grep -q -- "^pagewalk: .*$pattern" "$work/err" || wrong+=("no /$pattern/ in: $(head -c 300 "$work/err")")
    [ "$(cat keep.json keep.txt)" = "$(printf 'earlier\nearlier')" ] || wrong+=("an earlier result is gone")
    ls -A > "$work/after"
    cmp -s "$work/before" "$work/after" || wrong+=("files came or went: $(diff "$work/before" "$work/after" | tr '\n' ' ')")
    [ -e ran ] && wrong+=("the program was run") && rm -f ran
    if [ ${#wrong[@]} -eq 0 ]; then ok "$name"; else not_ok "$name" "${wrong[@]}"; fi
}
# run_refused NAME STATUS PATTERN OPTIONS...: the same for `run`, with results and a program that
# would leave a trace.
run_refused() {
    local name=$1 status=$2 pattern=$3
    shift 3
    refuse "$name" "$status" "$pattern" run --json keep.json -o keep.txt "$@" -- touch ran
}

# -- words --------------------------------------------------------------------------------------
refuse "no verb" 125 "no verb"
refuse "unknown verb" 125 'unknown verb `rum`' rum
refuse "an option before the verb" 125 "unknown option --json" --json x run
refuse "run without a program" 125 "no program" run
refuse "run with -- and no program" 125 "no program" run --
run_refused "unknown long option" 125 "unknown option --jsonn=x" --jsonn=x
run_refused "unknown letter" 125 "unknown option -qZ" -qZ
run_refused "a value for a switch" 125 "option --quiet takes no value" --quiet=yes
refuse "missing value of --json" 125 "option --json needs a value" run --json
refuse "missing value of --set" 125 "option --set needs a value" run --set
refuse "missing value of -o" 125 "option --output needs a value" run -qo
refuse "machine without a word" 125 "machine: something is missing" machine
refuse "machine with a wrong word" 125 '`lst` is unknown; take list or show' machine lst
refuse "machine list with too much" 125 '`zen4` is one word too many' machine list zen4
refuse "machine show of an unknown name" 125 'unknown machine `zen99`' machine show zen99
refuse "explain of an unknown metric" 125 'unknown metric `walk_activ`; did you mean .*dtlb_load_misses.walk_active' explain walk_activ
refuse "explain of one good and one bad name prints nothing" 125 'unknown metric' explain instructions nonsense.metric
refuse "help of an unknown verb" 125 'unknown verb `rum`' help rum
refuse "man with an operand" 125 "one word too many" man run
refuse "doctor with an operand" 125 "one word too many" doctor now
refuse "line breaks and escapes of the user stay in one harmless line" 125 'unknown verb `a?b?\[31m`' "$(printf 'a\nb\033[31m')"

refuse "--front-only has no result for --json" 125 "--front-only models nothing.*--json" run --front-only --json keep.json -- touch ran
refuse "nor for --output" 125 "--front-only models nothing.*--output" run --front-only -o keep.txt -- touch ran

# -- machines -------------------------------------------------------------------------------------
printf 'machine.name = mine\n# a comment\ntlb.l2.entrys = 1024\n' > bad_key.ini
printf 'machine.name = mine\n\n\nphys.size = much\n' > bad_value.ini
printf 'machine.name = mine\nthis is no option\n' > bad_line.ini
printf 'seed = 1\n\0\0\n' > binary.ini
printf 'tlb.l2.entries = 1000\ntlb.l2.ways = 7\n' > bad_pair.ini
mkdir directory.ini
run_refused "unknown machine" 125 'unknown machine `zen99`.*zen4' --machine zen99
run_refused "empty machine name" 125 "unknown machine" --machine ""
run_refused "machine file that is not there" 125 "none.ini: .*No such file" --machine ./none.ini
run_refused "machine file that is a directory" 125 "directory.ini: .*directory" --machine ./directory.ini
run_refused "unknown key in line 3 of a machine file" 125 'bad_key.ini:3: .*did you mean `tlb.l2.entries`' --machine bad_key.ini
run_refused "bad value in line 4 of a machine file" 125 "bad_value.ini:4: phys.size" --machine bad_value.ini
run_refused "no assignment in line 2 of a machine file" 125 "bad_line.ini:2: " --machine bad_line.ini
run_refused "binary machine file" 125 "binary.ini:2: " --machine binary.ini
run_refused "options that do not go together" 125 "bad_pair.ini: tlb.l2" --machine bad_pair.ini
ln -s /proc/self/mem unreadable.ini # anyone may open it, nobody can read address 0
run_refused "machine file that cannot be read" 125 "unreadable.ini: cannot read it" --machine ./unreadable.ini

# -- options of the machine -----------------------------------------------------------------------
run_refused "--set of an unknown key" 125 '--set: unknown option `tlb.l2.entrys`' --set tlb.l2.entrys=1024
run_refused "--set above the range" 125 "--set: cpu.cores: 65 is out of range; take 1 to 64" --set cpu.cores=65
run_refused "--set below the range" 125 "--set: cpu.cores: 0 is out of range" --set cpu.cores=0
run_refused "--set beyond 64 bits" 125 "--set: seed: " --set seed=18446744073709551616
run_refused "--set of no number" 125 "--set: cpu.cores: .*not a whole number" --set cpu.cores=two
run_refused "--set of a negative number" 125 "--set: cpu.cores: " --set cpu.cores=-1
run_refused "--set of a bad size" 125 "--set: phys.size: .*not a size" --set phys.size=4X
run_refused "--set of a word that is no choice" 125 "--set: pagecache: .*warm|cold" --set pagecache=tepid
run_refused "--set without =" 125 "--set: .*key=value" --set cpu.cores
run_refused "--set of options that do not go together" 125 "tlb.l2" --set tlb.l2.ways=7
run_refused "the last of several --set is bad" 125 "--set: cpu.cores" --set seed=2 --set cpu.cores=x
PAGEWALK_SET="seed=3 cpu.cores=99" run_refused "bad value in PAGEWALK_SET" 125 "PAGEWALK_SET: cpu.cores: 99 is out of range"
mkdir -p "$XDG_CONFIG_HOME/pagewalk"
printf 'seed = 1\nseeed = 2\n' > "$XDG_CONFIG_HOME/pagewalk/config"
run_refused "bad line in the file of the user" 125 "pagewalk/config:2: "
rm -r "$XDG_CONFIG_HOME"

# -- contradictions: each value alone is good. One line with the key, the value and the reason --------
# against PATTERN SETS...: a row of the table, named by its options.
against() {
    local pattern=$1 sets=()
    shift
    for s in "$@"; do sets+=(--set "$s"); done
    run_refused "refused: $*" 125 "$pattern" "${sets[@]}"
}
mkdir swap.dir
head -c 8192 /dev/zero > swap.text
truncate -s 64K swap.short
printf 'SWAPSPACE2' | dd of=swap.short bs=1 seek=4086 conv=notrunc status=none
against 'hugetlb.2m: 600 huge pages, 1200 MiB .* phys.size = 1024 MiB .* leave 967 MiB' phys.size=1G hugetlb.2m=600
against 'hugetlb.1g: 1 huge pages, 1024 MiB .* phys.size = 1024 MiB' phys.size=1G hugetlb.1g=1
against 'hugetlb.1g: 3 huge pages, 4272 MiB with all pools' phys.size=4G hugetlb.2m=600 hugetlb.1g=3
against 'hugetlb.1g: 2 huge pages, and mmu.1g = off' hugetlb.1g=2 mmu.1g=off
against 'numa.sizes: `0,16G`: node 0 would have no memory' numa.nodes=2 numa.sizes=0,16G
against 'numa.sizes: `16G` has 1 sizes for numa.nodes = 2' numa.nodes=2 numa.sizes=16G
against 'numa.sizes: `8G` is one number too many: there is 1 node' numa.sizes=8G,8G
against 'numa.sizes: `8G,7G`: the nodes do not add up to phys.size = 17179869184' numa.nodes=2 numa.sizes=8G,7G
against 'numa.sizes: `6M,16378M`: node 0 is not a whole number of 4 MiB' numa.nodes=2 numa.sizes=6M,16378M
against 'numa.sizes: node 0 has 40960 KiB, and its memmap, the firmware and the kernel image take' numa.nodes=2 phys.size=1G numa.sizes=40M,984M
against 'numa.nodes: 64 nodes are too many for phys.size = 67108864' numa.nodes=64 phys.size=64M
against 'numa.distance: 10 from node 0 to node 1' numa.nodes=2 numa.distance=10
against 'numa.distance: `10 20 30` has 3 numbers; take one, or 4 for 2 nodes' numa.nodes=2 'numa.distance=10 20 30'
against 'numa.distance: 11 from node 1 to node 1; a node is 10 from itself' numa.nodes=2 'numa.distance=10 20/20 11'
against 'numa.distance: 255 from node 1 to node 0' numa.nodes=2 'numa.distance=10 20/255 10'
against 'numa.weights: `2` is one number too many: there is 1 node' numa.weights=1,2
against 'numa.weights: 1 numbers for numa.nodes = 2' numa.nodes=2 numa.weights=3
against 'numa.bandwidth: node 1 has 0; take 1 to' numa.nodes=2 numa.bandwidth=1,0
against 'vm.lowmem_reserve_ratio: `6` is one number too many: there are 5 zones' 'vm.lowmem_reserve_ratio=1 2 3 4 5 6'
against 'vm.min_free_kbytes: 40000 KiB are more than half of phys.size = 65536 KiB' phys.size=64M phys.kernel_image=4M vm.min_free_kbytes=40000
against 'vm.watermark_scale_factor: 3000/10000 and vm.min_free_kbytes = 30000 .* nothing would ever be free' phys.size=64M phys.kernel_image=4M vm.min_free_kbytes=30000 vm.watermark_scale_factor=3000
against 'vm.percpu_pagelist_high_fraction: 5 is too large a share' vm.percpu_pagelist_high_fraction=5
against 'phys.kernel_image: 65536 KiB are more than three quarters of phys.size = 65536 KiB' phys.size=64M phys.kernel_image=64M
against 'phys.size: 102400 MiB .* phys.bits = 36 address bits' phys.size=100G phys.bits=36
against 'phys.size: 67109376 bytes are no whole number of MiB' phys.size=67109376
against 'kernel.fault_around: 3 pages are no power of two' kernel.fault_around=3
against 'swap.file: swap.new: swap.size says how large it is, and is 0' swap.file=swap.new
against 'swap.file: swap.dir: it is a directory' swap.size=1M swap.file=swap.dir
against 'swap.file: swap.text: it holds something else than a swap area' swap.size=1M swap.file=swap.text
against 'swap.file: swap.short: it is smaller than swap.size' swap.size=1M swap.file=swap.short
against 'swap.file: none/swap: it does not exist and cannot be created' swap.size=1M swap.file=none/swap
against 'swap.file: keep.json: .*no SWAPSPACE2' swap.size=1M swap.file=keep.json
against 'swap.size: 8192 bytes: a swap area has at least 10 pages' swap.size=8K
against 'swap.size: 549755813888 bytes: without swap.file that is memory of this host' swap.size=512G phys.contents=on
against 'tlb.l2: 1000 entries in 8 ways make 125 sets' tlb.l2.entries=1000 tlb.l2.ways=8
against 'tlb.l2.ways: 7 ways do not divide 1024 entries' tlb.l2.entries=1024 tlb.l2.ways=7
run_refused "one file for swap and for a result" 125 "swap.file: swap.both: --json names it, too" \
    --set swap.size=1M --set swap.file=swap.both --json swap.both
order() { run_refused "order refused: $1" 125 "$2" --sysctl "$1"; } # ORDER PATTERN
order '5ms vm.drop_caches=3' '`5ms vm.drop_caches=3`: TIME: KEY=VALUE is wanted'
order '5m: vm.swappiness=1' '`5m: vm.swappiness=1`: TIME'
order '-5ms: vm.swappiness=1' 'TIME a whole number'
order '99999999999999999999s: vm.swappiness=1' 'TIME a whole number'
order '5ms: vm.drop_cache=3' '`vm.drop_cache=3`: there is no such tunable'
order '5ms: vm.drop_caches=9' 'vm.drop_caches: 9 is out of range; take 1 to 4'
order '5ms: vm.swappiness=x' 'vm.swappiness: `x` is not a whole number; take 0 to 200'
order '5ms: vm.nr_hugepages=-1' 'vm.nr_hugepages: `-1` is not a whole number'
order '5ms: vm.overcommit_memory=3' 'vm.overcommit_memory: 3 is out of range; take 0 to 2'
order '5ms: vm.swappiness=' 'the value is empty'
rm -r swap.dir swap.text swap.short

# -- programs -------------------------------------------------------------------------------------
echo 'echo hello' > plain.txt
printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\267\0\1\0\0\0' > aarch64 # e_machine 183
head -c 200 /dev/zero >> aarch64
chmod +x aarch64
refuse "missing program" 127 "no-such-program" run --json keep.json -o keep.txt -- no-such-program
refuse "missing program by path" 127 "./no-such-program" run --json keep.json -- ./no-such-program
refuse "file without the x bit" 126 "plain.txt" run --json keep.json -- ./plain.txt
refuse "a directory as program" 126 "directory.ini" run --json keep.json -- ./directory.ini
refuse "a program of another architecture" 126 "aarch64" run --json keep.json -- ./aarch64
refuse "an empty program name" 127 "" run --json keep.json -- ""

# -- output files ---------------------------------------------------------------------------------
run_refused "--json into a missing directory" 125 "cannot write none/x.json: No such file" --json none/x.json
run_refused "--json into a directory" 125 "cannot write directory.ini: Is a directory" --json directory.ini
run_refused "-o into a directory" 125 "cannot write directory.ini: Is a directory" -o directory.ini
run_refused "-o below a file" 125 "cannot write plain.txt/x: Not a directory" -o plain.txt/x
run_refused "an empty output name" 125 "name of an output file is empty" --json ""
run_refused "one file for both results" 125 "both name keep.txt" --json keep.txt
run_refused "a directory that takes no files" 125 "cannot write /proc/sys/x" --json /proc/sys/x
"$pagewalk" run -q --json - -- touch ran >&- 2> "$work/err"
[ $? -eq 125 ] && [ ! -e ran ] && [ "$(wc -l < "$work/err")" -eq 1 ]
yes "--json - with stdout closed is refused before the program runs" [ $? -eq 0 ]
"$pagewalk" help > /dev/full 2> "$work/err"
[ $? -eq 125 ] && grep -q "^pagewalk: cannot write stdout: No space" "$work/err"
yes "a full stdout is an error of help" [ $? -eq 0 ]
"$pagewalk" machine list > /dev/full 2> "$work/err"
[ $? -eq 125 ] && [ "$(wc -l < "$work/err")" -eq 1 ]
yes "a full stdout is an error of machine list" [ $? -eq 0 ]

# -- rights: root has them all, so these run as nobody ----------------------------------------------
# A copy of tool and machines, because the build tree may be closed to nobody.
chmod 755 "$work" "$work/files"
mkdir -p "$work/tool/a/b"
cp "$pagewalk" "$work/tool/a/b/"
cp -r "$root/machines" "$work/tool/"
chmod -R go=u-w "$work/tool"
nobody=()
[ "$(id -u)" -ne 0 ] || nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
without_rights() { # NAME PATTERN ARGS...: refused with 125, as a user without rights
    local name=$1 pattern=$2
    shift 2
    echo 'seed = 1' > secret.ini
    chmod 000 secret.ini
    echo earlier > locked.json
    chmod 444 locked.json
    mkdir -p closed
    chmod 555 closed
    "${nobody[@]}" "$work/tool/a/b/pagewalk" "$@" > "$work/out" 2> "$work/err"
    [ $? -eq 125 ] && [ ! -s "$work/out" ] && [ "$(wc -l < "$work/err")" -eq 1 ] &&
        grep -q -- "^pagewalk: .*$pattern" "$work/err" && [ "$(cat locked.json)" = earlier ] &&
        [ -z "$(ls -A closed)" ] && [ ! -e ran ]
    yes "$name" [ $? -eq 0 ]
}
if "${nobody[@]}" "$work/tool/a/b/pagewalk" --version > /dev/null 2>&1; then
    without_rights "unreadable machine file" "secret.ini: cannot open it: Permission denied" run --machine ./secret.ini -- touch ran
    without_rights "an output directory without write permission" "cannot write closed/x.json: Permission denied" run --json closed/x.json -- touch ran
    without_rights "a write-protected result" "cannot write locked.json: Permission denied" run --json locked.json -- touch ran
    without_rights "a write-protected summary" "cannot write locked.json: Permission denied" run -o locked.json -- touch ran
else
    echo "ok - bad input of a user without rights # SKIP no setpriv, or nobody may not run here"
fi
finish
