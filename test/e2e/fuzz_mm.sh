#!/bin/sh
# fuzz_mm.sh: random memory calls on the model, in the hostile build, while allocations fail.
# seconds: 600
set -u
cd "$(dirname "$0")/../.."
fuzz=${BUILD:-build}/hostile/test/kernel/fuzz_mm
bare=''
setarch -R true 2>/dev/null && bare='setarch -R'
if out=$($bare "$fuzz" --calls 100000 2>&1); then
    echo "ok - 100000 memory calls with failing allocations break and leak nothing # $out"
else
    echo "$out" | sed 's/^/# /' | head -60
    echo "not ok - 100000 memory calls with failing allocations break and leak nothing"
fi
