#!/bin/bash
# Signals, exit statuses, closed descriptors and deaths: what a shell sees of a program must be the
# same whether pagewalk runs it or not, and nothing may be left behind.
set -u
# Under nohup, say, signals are ignored from the start, and a shell cannot undo that.
[ -n "${DEFAULT_SIGNALS:-}" ] || DEFAULT_SIGNALS=1 exec env --default-signal "$0"
cd "$(dirname "$0")/../.." || exit 1
pagewalk=$(realpath "${BUILD:-build}/release/pagewalk")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
status=0
ok() { # NAME CONDITION...
    name=$1; shift
    if "$@"; then echo "ok - $name"; else echo "not ok - $name"; status=1; fi
}
run() { "$pagewalk" run -q -- "$@"; }
timed() { timeout -s KILL 100 env --ignore-signal="$sig" "$pagewalk" run -q -- "$@"; } # timeout resets CHLD
alive() { # a zombie waits for its parent only
    state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null)
    [ -n "$state" ] && [ "$state" != Z ]
}
gone_within() { # PID TENTHS
    for ((i = 0; i < $2; i++)); do alive "$1" || return 0; sleep 0.1; done
    ! alive "$1"
}
# Waits are bounded only so that a defect ends: a loaded machine takes seconds for what else takes none.
wait_for() { for ((i = 0; i < 600; i++)); do [ -s "$1" ] && return 0; sleep 0.1; done; return 1; }

# -- exit statuses
for code in 0 1 2 42 125 255; do
    run sh -c "exit $code"
    ok "exit status $code passes through" test $? = "$code"
done
run /no/such/program 2> "$work/err"
ok "a missing program gives 127" test $? = 127
ok "and one line that names it" test "$(grep -c '/no/such/program' "$work/err")" = 1
: > "$work/plain"
run "$work/plain" 2> "$work/err"
ok "a file without x permission gives 126" test $? = 126

# -- signals. The outer shell reports a death by signal N as 128 + N.
cc -O1 -o "$work/faults" test/e2e/fixtures/faults.c || exit 1
for end in crash:139 abort:134 kill:137; do
    ( "$work/faults" "${end%:*}" ) 2>/dev/null; native=$?
    ( run "$work/faults" "${end%:*}" ) 2>/dev/null; ours=$?
    ok "a guest that ends by ${end%:*} gives $native as natively" test $ours = $native -a $ours = "${end#*:}"
done

# Remarks of the shell here go nowhere; what is compared is descriptor 2 of the command alone.
{ "$pagewalk" run -q -- sh -c 'echo "qemu: uncaught target signal 11 of its own" >&2; kill -SEGV $$' 2> "$work/err"; } 2>/dev/null
ok "stderr of a program that dies of a signal is its own" test "$(cat "$work/err")" = "qemu: uncaught target signal 11 of its own"
{ "$pagewalk" run -q -- sh -c 'sh -c "kill -ABRT \$\$"; echo "$?" >&2' 2> "$work/err"; } 2>/dev/null
ok "that of a child too" test "$(grep -c qemu: "$work/err")$(tail -n 1 "$work/err")" = 0134
QEMU_STRACE=1 "$pagewalk" run -q -- true 2> "$work/err"
ok "what else QEMU says still comes" grep -q 'exit_group(0)' "$work/err"

for sig in TERM HUP USR1 USR2 INT QUIT ALRM VTALRM PROF WINCH CONT RTMIN 40 62; do
    rm -f "$work/out"
    env --default-signal "$pagewalk" run -q -- bash -c "trap 'echo got $sig; exit 9' $sig; echo \$\$ > $work/pid; echo up > $work/out
               while :; do sleep 0.05; done" > "$work/got" 2>/dev/null &
    wait_for "$work/out"
    kill -$sig $!
    wait $!
    ok "SIG$sig reaches the guest, which decides" test $? = 9 -a "$(cat "$work/got")" = "got $sig"
done

# -- one signal arrives once, whether it was sent to pagewalk alone or to the group that it shares. The
# program writes a letter for each; SIGALRM ends it when both had their time to come twice.
cat > "$work/count.c" <<'C'
#include <signal.h>
#include <unistd.h>
static volatile int n;
static void count(int sig) { n++; if (write(1, sig == SIGTERM ? "T" : "U", 1) != 1) _exit(99); }
static void end(int sig) { (void)sig; _exit(n); }
int main(void)
{
    signal(SIGTERM, count), signal(SIGUSR1, count), signal(SIGALRM, end);
    if (write(1, "ready", 5) != 5)
        return 99;
    for (;;)
        pause();
}
C
cc -O1 -o "$work/count" "$work/count.c" || exit 1
said() { for ((i = 0; i < 600; i++)); do grep -q "$1" "$work/out" && return 0; sleep 0.1; done; }
for to in '' -; do
    rm -f "$work/out"
    setsid "$pagewalk" run -q -- "$work/count" > "$work/out" &
    wait_for "$work/out"
    kill -USR1 -- $to$!
    said U
    kill -TERM -- $to$!
    said T
    sleep 0.5 # the second of a signal that came twice
    kill -ALRM $!
    wait $!
    ok "two signals to ${to:+the group of }pagewalk arrive as two" test $? = 2
done
# A program that did not come to its trap in that time is given more.
for seconds in 0.7 3 10 30; do
    rm -f "$work/out"
    got=$(timeout -s KILL 100 timeout $seconds "$pagewalk" run -q -- sh -c \
        'trap "echo term; exit 3" TERM; echo up > "$0"; while :; do sleep 0.05; done' "$work/out" 2>/dev/null)
    got=$?/$got
    [ -s "$work/out" ] && break
done
ok "timeout ends the program, which is asked first" test "$got" = 124/term

# -- the program starts with the ignored signals and the mask that pagewalk was started with
for sig in PIPE HUP TERM USR1 CHLD INT ALRM WINCH; do
    ok "an ignored SIG$sig is inherited" test "$(trap '' $sig; timed grep -E 'SigBlk|SigIgn' /proc/self/status)" = \
        "$(trap '' $sig; grep -E 'SigBlk|SigIgn' /proc/self/status)"
done
blocked='import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1, signal.SIGPIPE])
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])'
ok "blocked signals are inherited" \
    test "$(python3 -c "$blocked" timeout -s KILL 100 "$pagewalk" run -q -- grep -E 'SigBlk|SigIgn' /proc/self/status)" = \
    "$(python3 -c "$blocked" grep -E 'SigBlk|SigIgn' /proc/self/status)"

# Ctrl-C: the terminal signals the whole group; pagewalk lives on and tells the guest's status.
rm -f "$work/out"
python3 - "$pagewalk" "$work/out" <<'PY'
import os, signal, subprocess, sys, time
guest = "trap 'exit 7' INT; echo up > %s; while :; do sleep 0.05; done" % sys.argv[2]
signal.signal(signal.SIGINT, signal.SIG_DFL)
child = subprocess.Popen([sys.argv[1], "run", "-q", "--", "sh", "-c", guest], start_new_session=True)
for _ in range(1200):
    if os.path.exists(sys.argv[2]):
        break
    time.sleep(0.05)
time.sleep(0.2)
os.killpg(child.pid, signal.SIGINT)
sys.exit(child.wait(timeout=60))
PY
ok "SIGINT to the group: the guest handles it and its status is told" test $? = 7

# -- kill -9 of pagewalk: the guest goes with it
rm -f "$work/out"
"$pagewalk" run -q -- sh -c "echo \$\$ > $work/out; while :; do sleep 0.05; done" 2>/dev/null &
launcher=$!
wait_for "$work/out"
guest=$(cat "$work/out")
ok "the guest is alive" alive "$guest"
kill -9 $launcher
wait $launcher 2>/dev/null
ok "kill -9 of pagewalk ends the guest" gone_within "$guest" 100

# The same while the guest is busy filling its ring.
rm -f "$work/out"
"$pagewalk" run -q -- sh -c "echo \$\$ > $work/out; while :; do :; done" 2>/dev/null &
launcher=$!
wait_for "$work/out"
kill -9 $launcher
wait $launcher 2>/dev/null
ok "and one that computes" gone_within "$(cat "$work/out")" 100

# -- descriptors
run sh -c 'echo hi; exit $?' >&-
ok "a closed stdout is the program's business" test $? = "$(sh -c 'echo hi; exit $?' >&- 2>/dev/null; echo $?)"
run sh -c 'yes | head -n 1' > "$work/got"
ok "SIGPIPE works inside the guest" test "$(cat "$work/got")" = y
run yes 2>/dev/null | head -n 1 > "$work/got"
ok "and when the reader of pagewalk's output leaves" test "${PIPESTATUS[0]}" = 141
ok "stdin passes through" test "$(echo secret | run cat)" = secret
native=$(bash -c 'ls -l /proc/self/fd | wc -l' < /dev/null)
ok "the program has no more descriptors than natively" \
    test "$(run bash -c 'ls -l /proc/self/fd | wc -l' < /dev/null)" = "$native"
ok "the environment passes through" test "$(PW_TEST='a,b c' run sh -c 'echo "$PW_TEST"')" = 'a,b c'
ok "argv[0] passes through" test "$(run bash -c 'exec -a strange bash -c "echo \$0"')" = strange

# -- nothing is left behind
ok "no shared memory object is left" test -z "$(ls /dev/shm | grep -i pagewalk)"
# -- a limit on file sizes is the program's, not one on the memory shared with QEMU. The program here
# reads its limit, or writes 100 kB where 8 KiB are allowed and dies of SIGXFSZ (153).
unprivileged=()
if [ "$(id -u)" = 0 ]; then unprivileged=(setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource); fi
limited() { # OPTION LIMIT COMMAND...: as a user who cannot raise a hard limit
    ( ulimit "$1" -f "$2"; shift 2; exec "${unprivileged[@]}" "$@" )
}
ok "the program sees the limit on files" test "$(limited -S 8 "$pagewalk" run -q -- sh -c 'ulimit -f')" = "$(limited -S 8 sh -c 'ulimit -f')"
limited -S 8 "$pagewalk" run -q -- head -c 100000 /dev/zero > "$work/big" 2>/dev/null
ok "a program that exceeds it dies of SIGXFSZ" test $? = 153
ok "and has written as much as it may" test "$(stat -c %s "$work/big")" = 8192
( trap '' XFSZ; limited -S 8 "$pagewalk" run -q -- head -c 100000 /dev/zero > "$work/big" 2>/dev/null )
ok "one that was started with SIGXFSZ ignored gets an error" test $? = 1
limited -SH 8 "$pagewalk" run -q -- true > "$work/out" 2> "$work/err" < /dev/null
ok "a hard limit that is too low gives 125" test $? = 125
ok "and one line that names it" test "$(wc -l < "$work/err")$(grep -c '^pagewalk: .*ulimit -f' "$work/err")" = 11
exit $status
