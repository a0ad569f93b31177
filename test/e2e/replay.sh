#!/bin/bash
# A recorded run is deterministic: a pipeline of processes on two cores, a tree that the OOM killer visits, and
# threads, each recorded once and told to a machine twice, give the same JSON to the last byte, and that of the
# live run. What is no recording, or is cut, is refused.
. "$(dirname "$0")/cli_lib.sh.inc"
cc -O2 -o "$work/workset" "$root/test/e2e/fixtures/workset.c" || exit 1

# same NAME OPTIONS... -- PROGRAM: one live run and two replays.
same() {
    local name=$1
    shift
    "$pagewalk" run -q --no-save --record run.tape --json live.json --timeline live.trace "$@" > out 2> err
    for i in 1 2; do
        yes "$name: told again" "$pagewalk" run -q --no-save --replay run.tape --json $i.json --timeline $i.trace
    done
    yes "$name: two replays are the same to the last byte" cmp 1.json 2.json
    yes "$name: and so is the run itself" cmp live.json 1.json
    yes "$name: the timelines are the same, too" bash -c "cmp 1.trace 2.trace && cmp live.trace 1.trace"
}
same "a pipeline on two cores" --set cpu.cores=2 -- \
    sh -c 'seq 1 2000 | sort -r | awk "{s += \$1} END {print s}"; (sleep 0.02; echo late) & ls / | wc -l; wait'
yes "the pipeline said what it says" grep -qx 2001000 out
yes "its processes are there" test "$(python3 -c '
import json
d = json.load(open("1.json"))
print(len(d["processes"]) >= 6, sum(p["exit"]["how"] == "exit" for p in d["processes"]) >= 5)')" = "True True"
same "threads on one core, page tables isolated" --set cpu.cores=1 --set kernel.kpti=on -- \
    /usr/bin/python3 -c 'import threading
t = [threading.Thread(target=lambda: sum(range(20000))) for _ in range(3)]
[x.start() for x in t]; [x.join() for x in t]'
same "a victim of the OOM killer" --set phys.size=64M --set kernel.oom_kill_guest=on -- \
    sh -c '"$0" 60; echo "eater $?"' "$work/workset"
yes "which the shell outlived" grep -qx 'eater 137' out

# refused WHAT ARGS...: status 125 and one line that says what.
refused() {
    local what=$1
    shift
    "$pagewalk" run "$@" > out 2> err
    [ $? -eq 125 ] && [ "$(wc -l < err)" -eq 1 ] && grep -q -- "$what" err
}
"$pagewalk" run -q --no-save --record run.tape -- true
head -c 5000 run.tape > cut.tape
yes "a recording that is cut is refused" refused "cut.tape: record [0-9]*: the recording is cut" --replay cut.tape
yes "another file is none" refused "no recording of pagewalk" --replay /etc/passwd
yes "none is none" refused "none.tape: No such file" --replay none.tape
yes "a replay runs no program" refused "runs no program; leave true away" --replay run.tape -- true
yes "and has the recorded machine" refused "leave --set away" --replay run.tape --set cpu.cores=1
yes "a recording needs a model" refused "--record and --front-only" --record x.tape --front-only -- true
yes "a full disk is told" refused "--record /dev/full: No space" --no-save --record /dev/full -q -- true
finish
