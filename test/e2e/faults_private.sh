#!/bin/bash
# Two runs of real_faults.sh at one time do not destroy each other's inputs, and leave nothing behind.
cd "$(dirname "$0")/../.." || exit 1
TMPDIR=$(mktemp -d) || exit 1 # where they make theirs, and nobody else
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
RUNS=3 test/e2e/real_faults.sh --native --only static > /dev/null 2>&1 &
for ((i = 0; i < 600; i++)); do # until the first is making its inputs
    ls "$TMPDIR"/*/numbers.txt > /dev/null 2>&1 && break
    sleep 0.1
done
RUNS=3 test/e2e/real_faults.sh --native --only static > /dev/null 2>&1
second=$?
wait $!
first=$?
status=0
for run in first second; do
    if [ ${!run} = 0 ]; then echo "ok - the $run of two runs at one time measures"
    else echo "not ok - the $run of two runs at one time measures"; status=1; fi
done
if [ -z "$(ls -A "$TMPDIR")" ]; then echo "ok - both leave nothing behind"
else echo "not ok - both leave nothing behind"; status=1; fi
exit $status
