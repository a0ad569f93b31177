#!/bin/bash
# Servers with their clients, a build, a pool of workers: each prints and ends as natively, every process
# of it is modelled, and what the processes count adds up to the totals. INITDB=1: PostgreSQL's initdb, too,
# runs observed (half a minute more).
# seconds: 240
. "$(dirname "$0")/cli_lib.sh.inc"
unset MAKEFLAGS MFLAGS MAKELEVEL # of the make that runs the tests: the one here would say where it is
chmod 755 "$work" "$work/files" # another user comes in, too

# tree NAME PROCESSES SCRIPT: the shell script natively and observed, each in a new directory; at least that
# many processes must be told of.
tree() {
    local name=$1 least=$2 native ours
    command -v "$needs" > /dev/null || { ok "$name # SKIP there is no $needs"; return; }
    printf '%s\n' "$3" > script
    mkdir natively observed
    chmod 777 natively observed
    (cd natively && "${as[@]}" sh ../script > ../native.out 2> ../native.err < /dev/null); native=$?
    (cd observed && "${as[@]}" timeout -s KILL 150 "$pagewalk" run -q --no-save --json tree.json -- sh ../script \
        > ../ours.out 2> ../ours.err < /dev/null); ours=$?
    yes "$name ends as natively, with $native" [ $ours = $native ]
    yes "$name prints what it prints natively" diff native.out ours.out
    yes "$name complains as natively" diff native.err ours.err
    yes "$name: at least $least processes, all modelled to their end" python3 -c 'import json, sys
d = json.load(open("observed/tree.json"))
print(len(d["processes"]), d["incomplete"], [(p["comm"], p["exit"]) for p in d["processes"]])
sys.exit(not (len(d["processes"]) >= int(sys.argv[1]) and d["incomplete"] is None and not any(p["unfollowed"] or
    p["exit"]["how"] not in ("exit", "signal") or p["counters"]["instructions"] == 0 for p in d["processes"])))' "$least"
    yes "$name: the counters of its processes are the totals" python3 "$root/test/e2e/json_check.py" observed/tree.json
    rm -rf natively observed
}
as=()

needs=redis-server
tree "redis" 8 '
redis-server --port 0 --unixsocket ./socket --save "" --daemonize no --loglevel warning > log &
server=$!
while ! redis-cli -s ./socket ping > up 2> /dev/null; do sleep 0.1; done
redis-benchmark -s ./socket -n 200 -c 5 -t set,get --csv | cut -d, -f1
redis-cli -s ./socket rpush list a b c
redis-cli -s ./socket lrange list 0 -1 | tr "\n" " "
redis-cli -s ./socket dbsize
redis-cli -s ./socket shutdown nosave
wait $server
echo "server $?"'

needs=make
tree "make -j2" 30 "
cat > Makefile <<'END'
S := \$(wildcard $root/src/policy/*.c) $root/src/base/itree.c $root/src/base/map.c
O := \$(notdir \$(S:.c=.o))
vpath %.c $root/src/policy $root/src/base
all: lib.a
	ar t lib.a
lib.a: \$(O)
	ar rcsD \$@ \$^
%.o: %.c
	gcc -std=c17 -O0 -g0 -I$root/src -D_GNU_SOURCE -c \$< -o \$@
END
make -j2 > log
status=\$?
sort log
sha256sum *.o lib.a
exit \$status"

needs=/usr/bin/python3
tree "a pool of Python's" 5 '
/usr/bin/python3 -c "import multiprocessing as m
def f(x): return x, sum(range(x * 100))
if __name__ == \"__main__\":
    with m.Pool(4) as p:
        print(p.map(f, range(20), 1))
        print(sorted(p.imap_unordered(f, range(5))))
        try: p.apply(f, (None,))
        except TypeError as e: print(e)"
echo "pool $?"'

# -- a server that forks for each client. It does not run as root.
if [ "$(id -u)" = 0 ]; then
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=/nonexistent)
    "${as[@]}" test -x "$pagewalk" || { ok "PostgreSQL # SKIP its user cannot reach $pagewalk"; finish; }
fi
bin=/usr/lib/postgresql/15/bin needs=$bin/postgres
[ -x $needs ] || { ok "PostgreSQL # SKIP there is no $needs"; finish; }
initdb="$bin/initdb -D data -N --locale=C -A trust > log"
mkdir base
chmod 777 base
if [ -z "${INITDB:-}" ]; then
    (cd base && "${as[@]}" sh -c "$initdb") || not_ok "initdb"
    initdb="cp -r ../base/data . && chmod 700 data"
fi
tree "PostgreSQL" 12 "
$initdb || exit 9
$bin/postgres -D data -k \"\$PWD\" -c listen_addresses= -c shared_buffers=1MB -c max_connections=10 > log 2>&1 &
server=\$!
while ! $bin/pg_isready -q -h \"\$PWD\"; do kill -0 \$server || exit 8; sleep 0.3; done
sql() { $bin/psql -h \"\$PWD\" -d postgres -At -c \"\$1\"; echo \"client \$?\"; }
sql 'create table t as select i, i % 7 as m from generate_series(1, 2000) i'
sql 'select m, count(*), sum(i) from t group by m order by m'
sql 'select nothing from nowhere'
echo 'update t set m = m + 1 where i = :client_id + 1;' > each
$bin/pgbench -h \"\$PWD\" -n -f each -c 2 -t 5 postgres 2>&1 | grep -E 'clients|processed|failed'
sql 'select m from t where i < 4 order by i'
kill -INT \$server
wait \$server
echo \"server \$?\""
finish
