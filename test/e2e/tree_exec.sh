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
    # A program of another user is observed through the door: its events are there.
    few=$("$pagewalk" run --front-only -- setpriv --reuid 65534 --clear-groups /bin/true 2>&1 | sed 's/.* \([0-9]*\) events.*/\1/')
    many=$("$pagewalk" run --front-only -- setpriv --reuid 65534 --clear-groups seq 200000 2>&1 > out | sed 's/.* \([0-9]*\) events.*/\1/')
    yes "a program of another user is observed" [ "$many" -gt $((few + 1000000)) ]
fi
finish
