#!/bin/bash
# Programs that execute programs (fixtures/execs.c: paths, scripts, arguments, descriptors, signals,
# posix_spawn, vfork) do it observed as they do it natively: output, status, errno. And they are observed: all of
# them, or by name what was not (tree_seen.py).
. "$(dirname "$0")/cli_lib.sh.inc"
cc -D_GNU_SOURCE -O1 -pthread -o "$work/execs" "$root/test/e2e/fixtures/execs.c" || exit 1
chmod 755 "$work" "$work/files" # other users come in, too

observed() { "$pagewalk" run -q --no-save --json seen.json -- "$@"; }
seen() { yes "$1: is seen as a whole" python3 "$root/test/e2e/tree_seen.py" seen.json "${@:2}"; }
# same NAME PROGRAMS COMMAND...: natively and observed the same output, errors and status; so many are executed.
same() {
    local name=$1 programs=$2
    shift 2
    "$@" > native.out 2> native.err < /dev/null
    local status=$?
    observed "$@" > out 2> err < /dev/null
    yes "$name: status $status" [ $? = $status ]
    yes "$name: output" cmp native.out out
    yes "$name: errors" cmp native.err err
    seen "$name" "$programs"
}
natively() { mkdir d; "$work/execs" "$PWD/d" < /dev/null > native; echo "exit $?" >> native; rm -r d; }
mkdir d
observed "$work/execs" "$PWD/d" < /dev/null > told 2> err
echo "exit $?" >> told
rm -r d
seen "every exec" 30 unread # the one in memory
natively
yes "every exec does what Linux does" diff native told
yes "and nothing is said besides" [ ! -s err ]

# -- shells, make, Python ---------------------------------------------------------------------------
cat > all.sh <<'END'
#!/bin/sh
(echo sub; exit 5); echo $?
/nonexistent; echo $?
./data; echo $?
ls -d / | cat
x=$(printf %s abc); echo "$x"
./say a 'b c'; echo $?
ulimit -s 2048; ./say limited
LD_LIBRARY_PATH=/nowhere QEMU_STRACE=1 env | grep -E 'LD_|QEMU_'
exec ./say last
END
printf '#!/bin/sh -e\necho "$0" "$@"; exit 7\n' > say
echo data > data
chmod +x all.sh say
same "a script" 8 ./all.sh
same "bash" 8 bash ./all.sh
same "a pipeline" 6 sh -c 'seq 1000 | grep 7 | sort -r | head -3 | tr 7 x'
cat > spawn.py <<'END'
import os, subprocess
for c in (["/nonexistent"], ["true"], ["./data"], ["sh", "-c", "exit 3"]):
    try: print(c, subprocess.run(c).returncode)
    except OSError as e: print(c, e)
print(subprocess.check_output(["sh", "-c", "echo $0 $1 | tr a-z A-Z", "xx", "yy"]))
try: os.posix_spawn("/nope", ["x"], {})
except OSError as e: print(e)
END
same "Python's subprocess" 5 /usr/bin/python3 spawn.py

# -- the first program's environment; what tasks are called -------------------------------------------
few=(env -i Z=1 A=2,3 EMPTY= LD_X=4 B=5 A_=6)
"${few[@]}" env > native.out
"${few[@]}" "$pagewalk" run -q --no-save -- env > out
yes "the first program has its environment in order" cmp native.out out
printf '#!/bin/sh -e\ncat /proc/$$/comm\n' > inner
chmod +x inner
cp inner 'a,comma and_more_than_15'
ln -s inner link
cat > names <<'END'
#!/bin/sh
cat /proc/$$/comm
./inner
./link
"./a,comma and_more_than_15"
sh -c 'cat /proc/self/comm; cat /proc/$$/comm'
exec ./link
END
chmod +x names
same "tasks are called as Linux calls them" 13 ./names
names() { /usr/bin/python3 -c 'import json; print(*(p["comm"] for p in json.load(open("seen.json"))["processes"] if p["comm"] != "cat"), sep="|")'; }
yes "and the report calls them so" [ "$(names)" = 'link|inner|link|a,comma and_mor|sh' ]
cat > by-descriptor.py <<'END'
import os
if os.fork() == 0: os.execve(os.open("/bin/true", os.O_RDONLY), ["other"], {})
if os.fork() == 0: os.execve(os.open("inner", os.O_RDONLY), ["x"], {})
print([os.wait()[1] >> 8 for i in "12"])
END
same "programs and scripts by descriptors" 2 /usr/bin/python3 by-descriptor.py
yes "a task that executes a descriptor is called after its file" grep -q '"comm": "true"' seen.json # since Linux 6.14

# -- what cannot be followed runs natively and is told of by name -------------------------------------
native() { # NAME REASON TEXT: it is in the JSON and in the summary
    yes "$1 is told of by name, with the reason" python3 -c 'import json, sys
d = [p for p in json.load(open("native.json"))["processes"] if p["unfollowed"]]
print(d)
sys.exit([(p["comm"], p["unfollowed"], p["exit"]["how"]) for p in d] != [(sys.argv[1], sys.argv[2], "native")])' "$1" "$2"
    yes "$1 is in the summary, too" grep -qE "unobserved: 1 \((\S*/)?$1, [0-9]+: $3\)" said
}
printf '.globl _start\n_start: mov $1, %%eax\nmov $5, %%ebx\nint $0x80\n' > old.s
if as --32 -o old.o old.s && ld -m elf_i386 -o of-32-bits old.o && ./of-32-bits || [ $? = 5 ]; then
    "$pagewalk" run --no-save --json native.json -- sh -c './of-32-bits; exit $?' 2> said
    yes "a program of another architecture runs, status 5" [ $? = 5 ]
    native of-32-bits architecture "QEMU does not run it"
else
    ok "a program of another architecture # SKIP this kernel runs no 32-bit programs"
fi

# -- users --------------------------------------------------------------------------------------------
if [ "$(id -u)" = 0 ] && setpriv --reuid 65534 test -x "$pagewalk"; then
    cp /usr/bin/id setuid-id
    chmod 4755 setuid-id
    observed() { setpriv --reuid 65534 --regid 65534 --clear-groups "$pagewalk" run -q --no-save --json theirs/seen.json -- "$@"; }
    mkdir -m 777 theirs
    setpriv --reuid 65534 --regid 65534 --clear-groups sh -c './setuid-id; id -u' > native.out
    observed sh -c './setuid-id; id -u' > out
    yes "a setuid program runs natively, with its privileges" cmp native.out out
    mv theirs/seen.json .
    seen "it" 2 privileges:setuid-id
    setpriv --reuid 65534 --regid 65534 --clear-groups "$pagewalk" run --no-save --json - -- \
        sh -c './setuid-id > /dev/null; exit 0' 2> said > native.json
    native setuid-id privileges "it changes its user or capabilities"
    mkdir -p root
    cc -static -O1 -x c -o root/inside - <<< 'int main(void) { return 6; }'
    "$pagewalk" run --no-save --json native.json -- sh -c 'chroot root /inside; exit $?' 2> said
    yes "a program in another root directory runs, status 6" [ $? = 6 ]
    native inside confined "it had confined itself"
    # A program of another user is observed through the door: its events are there.
    few=$("$pagewalk" run --front-only -- setpriv --reuid 65534 --clear-groups /bin/true 2>&1 | sed 's/.* \([0-9]*\) events.*/\1/')
    many=$("$pagewalk" run --front-only -- setpriv --reuid 65534 --clear-groups seq 200000 2>&1 > out | sed 's/.* \([0-9]*\) events.*/\1/')
    yes "a program of another user is observed" [ "$many" -gt $((few + 1000000)) ]
fi
finish
