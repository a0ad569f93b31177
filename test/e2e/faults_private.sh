#!/bin/bash
# Two runs of real_faults.sh at one time do not destroy each other's inputs, and leave nothing behind.
cd "$(dirname "$0")/../.." || exit 1
left() { find /tmp -maxdepth 1 -name 'pagewalk-real-faults*' -user "$(id -u)" | sort; }
before=$(left)
RUNS=3 test/e2e/real_faults.sh --native --only static > /dev/null 2>&1 &
sleep 0.3 # the first is making its inputs
RUNS=3 test/e2e/real_faults.sh --native --only static > /dev/null 2>&1
second=$?
wait $!
first=$?
status=0
for run in first second; do
    if [ ${!run} = 0 ]; then echo "ok - the $run of two runs at one time measures"
    else echo "not ok - the $run of two runs at one time measures"; status=1; fi
done
if [ "$(left)" = "$before" ]; then echo "ok - both leave nothing behind"
else echo "not ok - both leave nothing behind"; status=1; fi
exit $status
