#!/bin/bash
# seconds: 900
# Modelled minor faults of programs nobody here wrote, against the real kernel's count.
#
#   test/e2e/real_faults.sh [--native] [--only NAME] [required|more]
#
# Each program runs nine times natively (tools/faults: no address randomisation, warm page cache,
# counted from exec on, its children left out) and once under `pagewalk run`. The modelled
# counter "minor-faults" must be within 1 % or 5 faults, whichever is larger, of the native median, the
# peak of resident memory within 2 % or 256 kB.
# Prints TAP and, per program, both numbers. --native prints the real kernel's numbers alone.
# PAGEWALK names the tool (build/release/pagewalk). RUNS is the number of native runs (9).
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
root=$PWD
pagewalk=${PAGEWALK:-$root/build/release/pagewalk}
runs=${RUNS:-9}
native_only='' only='' set_name=required
while [ $# -gt 0 ]; do
    case $1 in
    --native) native_only=1 ;;
    --only) only=$2; shift ;;
    required | more) set_name=$1 ;;
    *) echo "usage: real_faults.sh [--native] [--only NAME] [required|more]" >&2; exit 2 ;;
    esac
    shift
done
case $pagewalk in /*) ;; *) pagewalk=$root/$pagewalk ;; esac

# A directory of its own, so that two runs do not meet. Its name always has the same length, because
# a name can be part of the arguments and environment, and so of the stack.
work=$(mktemp -d /tmp/pagewalk-real-faults-XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
${CC:-cc} -std=c17 -D_GNU_SOURCE -O2 -static tools/faults.c -o "$work/faults" || exit 1
# The same environment for both sides. PYTHONHASHSEED makes python's dictionaries repeatable.
clean=(env -i PATH=/usr/bin:/bin HOME=/tmp LC_ALL=C.UTF-8 TZ=UTC PYTHONHASHSEED=0)

# -- inputs -------------------------------------------------------------------------------------
make_inputs() {
    cd "$work" || exit 1
    seq 1 800000 > numbers.txt # 5.5 MB
    seq 1 200000 | awk '{ print ($1 * 7919) % 200003 }' > some.txt
    seq 1 200000 | awk '{ print ($1 * 7919) % 200003 "," $1 ",name" $1 % 997 "," $1 * 3.25 }' > rows.csv
    cat > load.sql <<'END'
CREATE TABLE t(k INTEGER, id INTEGER, name TEXT, price REAL);
.mode csv
.import rows.csv t
CREATE INDEX t_name ON t(name);
SELECT count(*), sum(k), avg(price) FROM t;
SELECT name, count(*) AS n, sum(price) FROM t GROUP BY name ORDER BY n DESC, name LIMIT 20;
SELECT * FROM t WHERE name = 'name42' AND k % 5 = 0 ORDER BY k;
SELECT a.k, b.k FROM t a JOIN t b ON a.k = b.id WHERE a.id BETWEEN 1000 AND 3000 ORDER BY 1 LIMIT 50;
END
    cat > tree.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct node { struct node *l, *r; long key; char pad[40]; };
int main(int argc, char **argv)
{
    struct node *top = 0, **at;
    unsigned long x = 12345, n = argc > 1 ? strtoul(argv[1], 0, 10) : 50000;
    static char table[1 << 20];
    for (unsigned long i = 0; i < n; i++) {
        x = x * 6364136223846793005UL + 1442695040888963407UL;
        for (at = &top; *at; at = (long)(x >> 20) < (*at)->key ? &(*at)->l : &(*at)->r)
            ;
        *at = calloc(1, sizeof(**at));
        (*at)->key = (long)(x >> 20);
        table[(x >> 30) % sizeof(table)]++;
    }
    printf("%ld %d\n", top->key, table[77]);
    return 0;
}
END
    gcc -O2 -static tree.c -o static-tree || exit 1
    gcc -O2 -E tree.c -o tree.i || exit 1
    awk 'BEGIN { for (i = 0; i < 20000; i++) printf "%s{\"id\":%d,\"tags\":[%d,%d],\"s\":\"v%d\"}", i ? "," : "[", i, i*3, i*7, i; print "]" }' > data.json
    mkdir tree && for i in $(seq 1 200); do seq "$i" $((i + 300)) > "tree/file$i"; done
    tar -cf tree.tar tree
    mkdir repo && cd repo || exit 1
    git init -q . && for i in $(seq 1 30); do
        seq "$i" 400 > "file$((i % 7))" && git add . &&
            git -c user.name=t -c user.email=t@t -c commit.gpgsign=false commit -q -m "Change $i"
    done
    git gc -q
    cd "$root" || exit 1
}

# -- programs: program NAME STDIN COMMAND … ------------------------------------------------------
required() {
    program python3 /dev/null /usr/bin/python3 -c 'import json, re, collections, argparse, random, decimal; print(json.dumps({"a": [1, 2.5]}), re.sub("[aeiou]", "-", "translation"), decimal.Decimal(2).sqrt())'
    program sqlite3 load.sql /usr/bin/sqlite3 :memory:
    program gzip /dev/null /usr/bin/gzip -c numbers.txt
    program perl /dev/null /usr/bin/perl -e 'use POSIX; my %h; $h{$_ % 5003} .= chr(65 + $_ % 26) for 1..100000; print join(",", map { length $h{$_} } sort keys %h)'
    program sort /dev/null /usr/bin/sort -n -r some.txt
    program static /dev/null ./static-tree 50000
}
more() {
    program true /dev/null /bin/true
    program bash /dev/null /bin/bash -c 'for ((i = 0; i < 20000; i++)); do a[i % 500]=$i; done; echo ${#a[@]}'
    program awk /dev/null /usr/bin/awk '{ s[$1 % 1000] += $1 } END { for (k in s) n++; print n }' some.txt
    program sed some.txt /bin/sed -n 's/9\(.\)/\1x/gp'
    program grep-r /dev/null /bin/grep -r -c 30 tree
    program find /dev/null /usr/bin/find tree -name '*9' -size +0
    program ls /dev/null /bin/ls -lR tree
    program tar /dev/null /bin/tar -cf - tree
    program cat /dev/null /bin/cat numbers.txt
    program dd /dev/null /bin/dd if=numbers.txt of=/dev/null bs=1M status=none
    program wc some.txt /usr/bin/wc
    program sha256sum /dev/null /usr/bin/sha256sum numbers.txt
    if [ -x /usr/bin/xz ]; then program xz /dev/null /usr/bin/xz -T1 -1 -c tree.tar; fi
    program cc1 /dev/null "$(gcc -print-prog-name=cc1)" -quiet -O1 -fpreprocessed tree.i -o /dev/null
    program python-json data.json /usr/bin/python3 -c 'import json, sys; d = json.load(sys.stdin); print(sum(e["id"] for e in d))'
    program git-log /dev/null /usr/bin/git --no-pager -C repo log --stat -n 20 --no-renames
    if [ -x /usr/bin/jq ]; then program jq data.json /usr/bin/jq 'map(.id) | add'; fi
    if [ -x /usr/bin/openssl ]; then program openssl /dev/null /usr/bin/openssl dgst -sha512 numbers.txt; fi
    if [ -x /usr/bin/zstd ]; then program zstd /dev/null /usr/bin/zstd -q --single-thread -c numbers.txt; fi
}

# -- one program --------------------------------------------------------------------------------
number=0 failed=0
modelled_faults() { # STDIN COMMAND …: prints the counter, or nothing
    local input=$1
    shift
    "${clean[@]}" "$pagewalk" run -q --json "$work/run.json" -- "$@" < "$input" > /dev/null 2> "$work/err" || return 1
    /usr/bin/python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); print(r["counters"]["minor-faults"], r["processes"][0]["rss_peak_kb"])' "$work/run.json"
}

program() {
    local name=$1 input=$2 native median low high modelled room peak model_peak
    shift 2
    [ -z "$only" ] || [ "$only" = "$name" ] || return 0
    number=$((number + 1))
    cd "$work" || exit 1
    native=$("${clean[@]}" ./faults -n "$runs" -i "$input" -- "$@" 2> native-err)
    if ! read -r median low high < <(sed -n 's/^minor median \([0-9]*\) min \([0-9]*\) max \([0-9]*\)$/\1 \2 \3/p' <<< "$native") ||
        [ "$(sed -n 's/^status //p' <<< "$native")" != 0 ]; then
        verdict 1 "$name" "the native run failed: $(tail -n 1 native-err) $(sed -n 's/^status/status/p' <<< "$native")"
        return
    fi
    if [ -n "$native_only" ]; then
        printf '%-12s native %6d  (%d..%d)  %s\n' "$name" "$median" "$low" "$high" "$(sed -n 's/^major median //p' <<< "$native" | sed 's/ .*/ major/')"
        return
    fi
    peak=$(sed -n 's/^peak median \([0-9]*\) .*/\1/p' <<< "$native")
    if ! read -r modelled model_peak < <(modelled_faults "$input" "$@"); then
        verdict 1 "$name" "pagewalk run failed: $(tail -n 1 err)"
        return
    fi
    room=$((median / 100))
    [ $room -ge 5 ] || room=5
    [ $((modelled - median)) -le $room ] && [ $((median - modelled)) -le $room ]
    verdict $? "$name" "native $median ($low..$high), modelled $modelled, difference $((modelled - median)), allowed $room"
    number=$((number + 1))
    room=$((peak * 2 / 100))
    [ $room -ge 256 ] || room=256 # per CPU the kernel leaves up to 32 pages out of its sum (percpu_counter_batch): 2 CPUs
    [ $((model_peak - peak)) -le $room ] && [ $((peak - model_peak)) -le $room ]
    peak_verdict $? "$name" "native $peak kB, modelled $model_peak kB, difference $((model_peak - peak)), allowed $room"
}

peak_verdict() { # STATUS NAME TEXT
    [ "$1" -eq 0 ] || failed=$((failed + 1))
    echo "$([ "$1" -eq 0 ] || echo 'not ')ok $number - $2 has as much memory resident at its peak as on the real kernel # $3"
}

verdict() { # STATUS NAME TEXT
    [ "$1" -eq 0 ] || failed=$((failed + 1))
    echo "$([ "$1" -eq 0 ] || echo 'not ')ok $number - $2 takes as many minor faults as on the real kernel # $3"
}

[ -n "$native_only" ] || [ -x "$pagewalk" ] || { echo "Bail out! $pagewalk is missing; run make"; exit 1; }
make_inputs
"$set_name"
if [ -z "$native_only" ]; then echo "1..$number"; fi
[ $failed -eq 0 ] && [ $number -gt 0 ]
