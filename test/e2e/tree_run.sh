#!/bin/bash
# Trees of processes: shells with pipelines and jobs, daemons, what starts many programs. Each must give
# the output and the exit status that it gives natively, and every process is in the tree that pagewalk
# waits for. TREE_CHILDREN=2000 test/e2e/tree_run.sh runs the last tree in full (two minutes more).
# seconds: 240
set -u
cd "$(dirname "$0")/../.." || exit 1
pagewalk=$(realpath "${PAGEWALK:-build/release/pagewalk}")
root=$PWD
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
status=0
ok() { # NAME CONDITION...
    name=$1; shift
    if "$@"; then echo "ok - $name"; else echo "not ok - $name"; status=1; fi
}
# same NAME COMMAND...: natively and under pagewalk, stdout and status compared; nothing may run unobserved.
same() {
    name=$1; shift
    "$@" > native.out 2> native.err < /dev/null; native=$?
    timeout -s KILL 100 "$pagewalk" run -q --no-save --json seen.json -- "$@" > ours.out 2> ours.err < /dev/null; ours=$?
    if [ $native = $ours ] && cmp -s native.out ours.out && cmp -s native.err ours.err; then
        echo "ok - $name"
    else
        echo "not ok - $name: status $native natively, $ours here"
        diff native.out ours.out | sed 's/^/# /' | head -5; diff native.err ours.err | sed 's/^/# /' | head -5
        status=1
    fi
    ok "$name: is seen as a whole" python3 "$root/test/e2e/tree_seen.py" seen.json -
}
have() { command -v "$1" > /dev/null; }

# -- shells
same "a pipeline has the status of its last command" sh -c 'seq 1 200 | sort -n | tail -n 3 | tr 1 x; seq 3 | (cat; exit 5)'
same "background jobs are waited for by wait" sh -c 'for i in 3 1 2; do (echo b$i > j$i; exit $i) & done; wait; cat j1 j2 j3'
same "the status of a job is its own" bash -c '(exit 7) & wait $!; echo $?; false | true; echo ${PIPESTATUS[@]}'
same "command and process substitution" bash -c 'x=$(echo a; exit 3); echo $x $?; echo $(cat <(echo p) <(echo q))'
same "programs that are not there" sh -c '/no/such/thing; echo $?; nosuchcommand; echo $?; ./native.out; echo $?'
same "signals between processes" bash -c 'trap "echo usr1" USR1; (kill -USR1 $$); wait; (kill -TERM $BASHPID); echo $?'
cc -O1 -fno-omit-frame-pointer -pthread -rdynamic -o handlers "$root/test/e2e/fixtures/handlers.c" || exit 1
same "what handlers of signals find on their stack" ./handlers
same "a program that executes another" sh -c 'exec sh -c "exec sh -c \"exit 9\""'
printf '#!/bin/sh -e\necho script $0 $1\nexit 4\n' > script; chmod +x script
same "a script runs under its interpreter" sh -c './script arg; echo $?; exec ./script other'
printf '#!./script\n' > outer; chmod +x outer
same "an interpreter that is a script" sh -c './outer x; echo $?'
same "timeout kills what takes too long" timeout 0.5 sleep 20
same "and tells the status of what does not" timeout 30 sh -c 'exit 7'
same "xargs starts several at once" sh -c 'seq 1 12 | xargs -P 3 -n 2 echo | sort'
same "find executes a program for each" find "$root/src/front" -name 'r*.c' -exec wc -c {} +
same "env, nice and nohup execute others" env A=b nice -n 1 sh -c 'echo $A; nice'

# -- what outlives its parents
same "the output of an orphan is waited for" sh -c '(sleep 0.3; echo later) & exit 3'
same "a daemon in a session of its own is, too" sh -c 'setsid sh -c "(sleep 0.3; echo daemon) & exit 0"; exit 2'
cat > stay.sh <<'SH'
(sleep 1 & echo up > up; wait; echo end > ended) < /dev/null > /dev/null 2>&1 &
while [ ! -s up ]; do sleep 0.05; done
exit 6
SH
rm -f ended up; "$pagewalk" run --detach --json left.json -- sh stay.sh 2> ours.err; code=$?
ok "with --detach they are let alone" test $code = 6 -a ! -e ended
ok "which is said" grep -q '^pagewalk: 2 processes outlive the program' ours.err
ok "in JSON they run on" test "$(grep -c '"how": "running"' left.json)" = 2
for ((i = 0; i < 100; i++)); do [ -s ended ] && break; sleep 0.1; done
ok "and they come to their own end" test "$(cat ended 2> /dev/null)" = end
rm -f up
timeout -s KILL 20 "$pagewalk" run -q -- sh -c 'trap "" INT; echo up > up; (sleep 60) & exit 0' &
run=$!
for ((i = 0; i < 100; i++)); do [ -s up ] && break; sleep 0.1; done
sleep 1; kill -TERM $run; wait $run; code=$?
ok "a signal ends the wait for them" test $code = 0

# -- programs that start many
if have /usr/bin/python3; then
    same "a pool of processes in Python" /usr/bin/python3 -c 'import multiprocessing as m
def f(x): return x * x
if __name__ == "__main__":
    with m.Pool(3) as p: print(sum(p.map(f, range(100))))'
    same "posix_spawn, also of what is not there" /usr/bin/python3 -c 'import os
print(os.waitpid(os.posix_spawn("/bin/echo", ["echo", "spawned"], os.environ), 0)[1])
try: os.posix_spawn("/no/such", ["x"], os.environ)
except OSError as e: print(e)'
fi
have perl && same "fork, exec, system and backticks in Perl" perl -e '$| = 1; my $p = fork; exec "echo", "c" if !$p;
    waitpid $p, 0; print $? >> 8, "\n"; print `echo back`; system("exit 6"); print $? >> 8, "\n"'
mkdir project
for i in 1 2; do echo "int f$i(void) { return $i; }" > project/f$i.c; done
printf '#include <stdio.h>\nint f1(void), f2(void);\nint main(void) { printf("%%d\\n", f1() + f2()); return 0; }\n' > project/main.c
printf 'O = f1.o f2.o main.o\np: $(O)\n\t$(CC) -o $@ $(O)\n%%.o: %%.c\n\t$(CC) -O1 -c -o $@ $<\nclean:\n\trm -f $(O) p\n' > project/Makefile
same "make -j2 of a C project with gcc" sh -c 'make -s -C project clean; make -s -j2 -C project p CC=gcc && project/p'

# -- what is told of them
"$pagewalk" run -q --json ends.json -- sh -c 'sh -c "kill -9 \$\$"; sh -c "exit 7"; exit 2' 2> /dev/null
ends() { python3 -c 'import json; print([(p["exit"]["code"], p["exit"]["signal"]) for p in json.load(open("ends.json"))["processes"]])'; }
ok "each process' end is told" test "$(ends)" = "[(2, None), (None, 9), (7, None)]"

# -- small machines
small="--set tlb.l2.entries=0 --set tlb.d2.entries=0 --set tlb.s.entries=0 --set tlb.d3.entries=0 --set tlb.l2b.entries=0"
# shellcheck disable=SC2086
ok "kernels that must walk for every access leave no process' tables behind" \
    "$pagewalk" run -q --no-save $small -- bash -c 'x=$(echo a | cat); /bin/true; exit 0'
{ (ulimit -s 64; exec "$pagewalk" run -q --no-save -- true); } 2> err; code=$?
ok "a stack too small for pagewalk is refused in one line" test "$code$(wc -l < err)$(grep -c '^pagewalk: .*ulimit -s' err)" = 12511
ok "that the program gets" "$pagewalk" run -q --no-save -- sh -c 'ulimit -s 64; exec true'

# -- many short processes: what one costs beside bare QEMU (which executes its children natively: so each
# is started there by hand)
n=${TREE_CHILDREN:-100}
cat > many.sh <<'SH'
i=0; while [ $i -lt $1 ]; do /bin/true || exit 1; i=$((i + 1)); done
SH
seconds() { date +%s.%N; }
begin=$(seconds); for ((i = 0; i < 20; i++)); do qemu-x86_64 -cpu max,erms=off,fsrm=off /bin/true; done; bare=$(seconds)
shm() { ls -A /dev/shm | LC_ALL=C sort; }
before=$(shm)
timeout -s KILL $((100 + n / 4)) "$pagewalk" run --json many.json -q -- sh many.sh "$n"; code=$?; end=$(seconds)
ok "a tree of $n short processes comes to its end" test $code = 0
told() { python3 -c 'import json; d = json.load(open("many.json"))
print(len(d["processes"]), sum(p["exit"]["code"] == 0 for p in d["processes"]), d["incomplete"])'; }
ok "each of them is told of, with its end" test "$(told)" = "$((n + 1)) $((n + 1)) None"
ok "and their counters add up to the totals" python3 "$root/test/e2e/json_check.py" many.json
ok "nothing of it is left in /dev/shm" test -z "$(LC_ALL=C comm -13 <(echo "$before") <(shm))"
awk -v a="$begin" -v b="$bare" -v c="$end" -v n="$n" 'BEGIN { printf "# %d processes in %.1f s: %.0f ms for one; under bare QEMU %.0f ms\n",
    n, c - b, (c - b) * 1000 / n, (b - a) * 1000 / 20 }'
exit $status
