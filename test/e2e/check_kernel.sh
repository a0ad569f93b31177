#!/bin/sh
# check_kernel.sh: a bounded part of `make check-kernel`: random memory calls on the running kernel and
# on the model; and that the C programs it prints compile and show the kernel's answers.
# seconds: 600
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}/release/test/kernel
check="$build/check_kernel $build/subject"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What is never asked is never compared.
if $check --reach --seed 1 --sequences 2000 >"$work/reach"; then
    echo "ok - the sequences make every call and give every flag and advice # $(tail -1 "$work/reach")"
else
    grep '^ *0 ' "$work/reach" | sed 's/^/# /'
    echo "not ok - the sequences make every call and give every flag and advice"
fi

$check --seed 1 --sequences 2000 --seconds 50 >"$work/out" 2>&1
status=$?
why=$(sed -n 's/^skipped: //p' "$work/out")
if [ -n "$why" ]; then
    echo "ok - the model answers random memory calls as the running kernel # SKIP $why"
    exit 0
fi
sed 's/^/# /' "$work/out" | tail -200
if [ $status -eq 0 ] && tail -1 "$work/out" | grep -q ' 0 mismatches$'; then
    echo "ok - the model answers random memory calls as the running kernel"
else
    echo "not ok - the model answers random memory calls as the running kernel"
fi

# What the zero is made of: how much was compared, what differed less than each time, what showed nothing.
if grep -q '^[1-9][0-9]* present pages and [1-9][0-9]* mappings read whole' "$work/out" &&
    grep -q '^seen less than 6 of 6 times:' "$work/out" && grep -q '^compared, but always zero:' "$work/out" &&
    grep -q '^memory cgroups: ' "$work/out"; then
    echo "ok - the comparison says what it compared and what it passed over"
else
    echo "not ok - the comparison says what it compared and what it passed over"
fi

# Where the kernel puts a mapping of its choice depends on what else the program has: such results, and
# limits on the whole address space, are left out.
answers() {
    sed -n 's/^\([0-9]*: [a-z0-9_]* = -\{0,1\}[0-9]* signal [0-9]* code [0-9]*\).*/\1/p' "$1" |
        grep -v ': exit =' | sed 's/= 140[0-9]\{12\} /= placed /' | sort -n
}
tried=0 seed=0
while [ $tried -lt 8 ] && [ $seed -lt 3000 ]; do
    seed=$((seed + 1))
    $check --program $seed >"$work/p.c"
    sed -n '/^    case/,/return/p' "$work/p.c" >"$work/p.c.calls"
    # It speaks of a place the kernel chose, of the program's own heap or stack, or of all that lies above.
    grep -qE 'R\(|brk0|stack0|0x7ffffffff000' "$work/p.c.calls" && continue
    grep -qE '"(prlimit64|brk|capset|shm[a-z]*|process_madvise|mlockall|move_pages)"' "$work/p.c" && continue
    $check --results $seed >"$work/kernel" 2>&1
    cc -w -o "$work/p" "$work/p.c" || { echo "not ok - the program of seed $seed compiles"; continue; }
    timeout 20 "$work/p" >"$work/program" 2>&1
    tried=$((tried + 1))
    answers "$work/kernel" >"$work/a"
    answers "$work/program" >"$work/b"
    if [ -s "$work/a" ] && cmp -s "$work/a" "$work/b"; then
        echo "ok - the program of seed $seed shows the kernel's answers"
    else
        diff "$work/a" "$work/b" | head -10 | sed 's/^/# /'
        echo "not ok - the program of seed $seed shows the kernel's answers"
    fi
done
