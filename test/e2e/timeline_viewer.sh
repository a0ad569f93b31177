#!/bin/bash
# The timeline, read by the viewer of chrome://tracing (Catapult): each track and name, how many slices and
# moments, how long in all, as in the file; and that a trace with a defect is noticed.
. "$(dirname "$0")/cli_lib.sh.inc"
viewer=$(ls /usr/share/go-*/src/cmd/trace/static/trace_viewer_full.html 2> /dev/null | tail -1)
if [ -z "$viewer" ] || ! command -v node > /dev/null; then
    echo "ok - the timeline in its viewer # SKIP no nodejs, or no golang-1.19-src: make check-timeline installs them"
    exit 0
fi
cc -O1 -pthread -o "$work/turns" "$root/test/e2e/fixtures/turns.c" || exit 1

seen() { node "$root/test/e2e/timeline_viewer.js" "$viewer" "$1"; }
# same TRACE OF: the viewer sees in TRACE what the file OF says.
same() { diff <(seen "$1") <(/usr/bin/python3 "$root/test/e2e/timeline_tracks.py" "$2"); }
differs() { ! same "$@"; }
run() {
    local name=$1
    shift
    timeout 60 "$pagewalk" run -q --timeline "$name.trace" --set cpu.cores=2 --set seed=1 "$@" > /dev/null
}
run threads -- "$work/turns" 6 300
yes "six threads on two cores: the viewer sees every slice and every moment" same threads.trace threads.trace
yes "and no other track" test "$(seen threads.trace | cut -d'|' -f1,2 | sort -u)" = \
    $'modelled cores|core 0\nmodelled cores|core 1'
run tree -- /bin/sh -c 'ls / | sort | tail -1; (sleep 0.01; true) & wait'
yes "a tree of processes" same tree.trace tree.trace

sed '0,/"ph":"X"/{/"ph":"X"/d}' threads.trace > fewer.trace
yes "a slice that is missing is noticed" differs fewer.trace threads.trace
sed '0,/"ph":"X"/s/"dur":[0-9.]*/"dur":0.5/' threads.trace > shorter.trace
yes "a slice of another length is noticed" differs shorter.trace threads.trace
sed '0,/"ph":"X"/s/"ph":"X"/"ph":"B"/' threads.trace > open.trace
yes "a slice that never ends is noticed" differs open.trace threads.trace
head -c 900 threads.trace > cut.trace
yes "half a file is noticed" differs cut.trace threads.trace
finish
