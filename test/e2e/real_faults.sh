#!/bin/bash
# seconds: 900
# Modelled minor faults and resident memory of programs nobody here wrote, against the real kernel.
#
#   test/e2e/real_faults.sh [--native | --table] [--only NAME] [required|more|large]
#
# Each program runs once under `pagewalk run` and nine times natively (median), twice over:
#   - where the kernel puts it (tools/faults: no address randomisation, warm page cache, counted from
#     exec on, its children left out);
#   - where the modelled run has it (tools/twin): which 16 pages a file fault maps follows from the
#     address, so only there can all agree to the page.
# Minor faults of both must be within 1 % or 5 faults of the model's, whichever is larger. At the model's
# addresses the peak of resident memory must be within 2 %, and so must the set of pages that are
# resident at exit, page by page, and page tables within one. `pagewalk view status` must say the same
# peak as the report.
# Prints TAP. --native prints the real kernel's numbers alone, --table rows for docs/VALIDATION.md (with
# counts on the CPU as it is, and 25 runs with address randomisation).
# PAGEWALK names the tool (build/release/pagewalk). RUNS is the number of native runs (9).
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
root=$PWD
pagewalk=${PAGEWALK:-$root/build/release/pagewalk}
runs=${RUNS:-9}
native_only='' table='' only='' set_name=required
while [ $# -gt 0 ]; do
    case $1 in
    --native) native_only=1 ;;
    --table) table=1 ;;
    --only) only=$2; shift ;;
    required | more | large) set_name=$1 ;;
    *) echo "usage: real_faults.sh [--native | --table] [--only NAME] [required|more|large]" >&2; exit 2 ;;
    esac
    shift
done
case $pagewalk in /*) ;; *) pagewalk=$root/$pagewalk ;; esac

# A directory of its own, so that two runs do not meet. Its name always has the same length, because
# a name can be part of the arguments and environment, and so of the stack.
work=$(mktemp -d "${TMPDIR:-/tmp}/pagewalk-real-faults-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
for tool in faults twin; do
    ${CC:-cc} -std=c17 -D_GNU_SOURCE -O2 -static tools/$tool.c -o "$work/$tool" || exit 1
done
# The same environment for all. Hash seeds make python's and perl's tables repeatable; the tunables take
# away from libc what the emulator's CPU does not have or does not prefer, so that all run the same code.
own_cpu=(env -i PATH=/usr/bin:/bin HOME=/tmp LC_ALL=C.UTF-8 TZ=UTC PYTHONHASHSEED=0 PERL_HASH_SEED=0)
lacks=-AVX512F,-AVX512VL,-AVX512BW,-RTM,-ERMS,-FSRM,-Prefer_No_VZEROUPPER,-Fast_Unaligned_Load
lacks=$lacks,-Fast_Unaligned_Copy,-Fast_Rep_String
clean=("${own_cpu[@]}" GLIBC_TUNABLES=glibc.cpu.hwcaps=$lacks)

# What the launcher gives QEMU, so that QEMU puts the program at the same addresses without the plugin.
stack=$(ulimit -s)
[ "$stack" != unlimited ] || stack=8192
stack=$((stack * 1024))

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
    awk 'BEGIN {
        print "struct s { int a[64]; struct s *n; };"
        for (i = 0; i < 120; i++) {
            printf "int f%d(struct s *p, int k) {\n int t = k;\n for (int i = 0; i < 64; i++) {", i
            printf " t += p->a[i] * %d; if (t & %d) t ^= p->a[(i + %d) & 63]; }\n switch (k & 7) {", i % 17 + 1, i % 31 + 1, i % 64
            for (j = 0; j < 8; j++)
                printf " case %d: t = t * %d + p->a[%d];%s", j, j + 3, (i + j) % 64, j % 2 ? " break;" : ""
            printf " }\n return p->n ? t + %s : t;\n}\n", i ? "f" (i - 1) "(p->n, t)" : "k"
        }
    }' > big.i
    cat > join.sql <<'END'
CREATE TABLE t(k INTEGER, id INTEGER, name TEXT, price REAL);
.mode csv
.import rows.csv t
CREATE INDEX t_k ON t(k);
CREATE INDEX t_name ON t(name, price);
SELECT count(*), sum(a.price * b.price) FROM t a JOIN t b ON a.k = b.id;
SELECT a.name, count(*) FROM t a JOIN t b ON a.name = b.name AND b.price BETWEEN a.price AND a.price + 2000 GROUP BY a.name ORDER BY 2 DESC LIMIT 10;
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
    program sort /dev/null /usr/bin/sort --parallel=1 -n -r some.txt
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
    if [ -x /usr/bin/zstd ]; then program zstd /dev/null /usr/bin/zstd -q --single-thread --no-asyncio -c numbers.txt; fi
}

large() {
    program cc1-O2 /dev/null "$(gcc -print-prog-name=cc1)" -quiet -O2 -fpreprocessed big.i -o /dev/null
    program sqlite3-join join.sql /usr/bin/sqlite3 :memory:
    program python3-ast /dev/null /usr/bin/python3 -c 'import ast, asyncio, ssl, sqlite3, ctypes, unittest.mock, xml.etree.ElementTree, http.server; t = ast.parse(open(asyncio.base_events.__file__).read()); print(sum(1 for n in ast.walk(t)))'
}

# -- one program --------------------------------------------------------------------------------
number=0 failed=0
# figure NAME FILE: median, smallest and largest of one line of what tools/faults or tools/twin printed.
figure() { sed -n "s/^$1 median \\([0-9]*\\) min \\([0-9]*\\) max \\([0-9]*\\)$/\\1 \\2 \\3/p" "$2"; }

# modelled STDIN COMMAND …: minor faults and peak as the report has them; VmHWM, VmPTE, VmPeak of view status
modelled() {
    local input=$1
    shift
    "${clean[@]}" "$pagewalk" run -q --save end --json run.json -- "$@" < "$input" > /dev/null 2> err || return 1
    "$pagewalk" view --from end maps > end.maps && rm -f end.pagemap &&
        "$pagewalk" view --from end pagemap --output end.pagemap || return 1
    /usr/bin/python3 -c 'import json; r = json.load(open("run.json")); print(r["counters"]["minor-faults"], r["processes"][0]["rss_peak_kb"])'
    "$pagewalk" view --from end status | awk '$1 ~ /VmHWM:|VmPTE:|VmPeak:/ { n[$1] = $2 }
        END { print n["VmHWM:"], n["VmPTE:"], n["VmPeak:"] }'
}

# native STDIN COMMAND …: files own.faults, own.twin (where the kernel puts it), and if there is a modelled
# run, placed.twin. Files are read first: a page missing from the page cache, or marked by
# readahead, is not mapped around a fault.
native() {
    local input=$1
    shift
    "${clean[@]}" ./twin -i "$input" -m pages "$@" > own.twin 2> err || return 1
    "$root/test/e2e/real_twin.py" files pages | xargs -d '\n' cat > /dev/null
    "${clean[@]}" ./faults -n "$runs" -i "$input" -- "$@" > own.faults 2> err &&
        "${clean[@]}" ./twin -n "$runs" -i "$input" "$@" > own.twin 2> err || return 1
    [ "$(grep ^status own.faults)" = "status 0" ] || { echo "$(grep ^status own.faults)" > err; return 1; }
    [ -z "$native_only" ] || return 0
    "${clean[@]}" qemu-x86_64 -cpu max,erms=off,fsrm=off -s "$stack" -0 "$1" -strace -D strace \
        "$(PATH=/usr/bin:/bin command -v "$1")" "${@:2}" < "$input" > /dev/null 2> err || return 1
    "$root/test/e2e/real_twin.py" places end.maps strace > places &&
        "${clean[@]}" ./twin -n "$runs" -i "$input" -p places -m pages "$@" > placed.twin 2> err
}

program() {
    local name=$1 input=$2 model='' median low high
    shift 2
    [ -z "$only" ] || [ "$only" = "$name" ] || return 0
    cd "$work" || exit 1
    if [ -z "$native_only" ] && ! model=$(modelled "$input" "$@"); then
        verdict 1 "$name" "runs under pagewalk run" "$(tail -n 1 err)"
        return
    fi
    if ! native "$input" "$@"; then
        verdict 1 "$name" "runs natively" "$(tail -n 1 err)"
        return
    fi
    read -r median low high < <(figure minor own.faults)
    if [ -n "$native_only" ]; then
        printf '%-12s native %6d (%d..%d) minor faults, peak %s kB\n' "$name" "$median" "$low" "$high" "$(figure peak own.twin | cut -d' ' -f1)"
    elif [ -n "$table" ]; then
        table_row "$name" "$input" "$@"
    else
        # shellcheck disable=SC2086 # three numbers
        verdicts "$name" $model
    fi
}

# near PERMILLE LEAST MEDIAN LOW HIGH MODELLED: sets `said`; the test of a bound.
near() {
    local room=$(($3 * $1 / 1000))
    [ $room -ge "$2" ] || room=$2
    said="native $3 ($4..$5), modelled $6, difference $(($6 - $3)), allowed $room"
    [ $(($6 - $3)) -le $room ] && [ $(($3 - $6)) -le $room ]
}

verdicts() { # NAME FAULTS PEAK VMHWM VMPTE VMPEAK
    local said wrong all
    # shellcheck disable=SC2046 # three numbers each
    {
        near 10 5 $(figure minor own.faults) "$2"
        verdict $? "$1" "takes as many minor faults as where the real kernel puts it" "$said"
        near 10 5 $(figure minor placed.twin) "$2"
        verdict $? "$1" "takes as many minor faults as on the real kernel at the same addresses" "$said"
        near 20 0 $(figure peak placed.twin) "$3"
        verdict $? "$1" "has as many kB resident at its peak as on the real kernel at the same addresses" "$said"
        near 0 4 $(figure pte placed.twin) "$5"
        verdict $? "$1" "has as many kB of page tables at its end as on the real kernel at the same addresses" "$said"
    }
    [ "$3" = "$4" ]
    verdict $? "$1" "has the same peak in view status" "$4 kB"
    read -r wrong all < <("$root/test/e2e/real_twin.py" pages pages end.maps end.pagemap)
    [ "$((wrong * 50))" -le "$all" ]
    verdict $? "$1" "has the same pages resident at its end as on the real kernel" "$wrong of $all differ"
}

table_row() { # NAME STDIN COMMAND …
    local name=$1 input=$2 peak placed wrong all other
    # shellcheck disable=SC2086,SC2046
    {
        shift 2
        set -- "$input" $model "$@" # $2 faults, $3 peak, $4 VmHWM, $5 VmPTE, $6 VmPeak
        placed=($(figure minor placed.twin)) peak=($(figure peak placed.twin))
        "${own_cpu[@]}" ./faults -n "$runs" -i "$1" -- "${@:7}" > own-cpu.faults 2> err
        "${clean[@]}" ./twin -n 25 -r -i "$1" "${@:7}" > random.twin 2> err
        read -r wrong all < <("$root/test/e2e/real_twin.py" pages pages end.maps end.pagemap)
        other=($(figure minor own-cpu.faults) $(figure peak own.twin) $(figure peak random.twin) $(figure minor random.twin) $(figure hwm placed.twin))
        other+=($(figure pte placed.twin) $(figure vmpeak own.twin))
    }
    echo "| $name | ${other[0]} | $median ($low..$high) | ${other[10]}..${other[11]} | $2 | $(($2 - median)) |" \
        "${placed[0]} (${placed[1]}..${placed[2]}) | $(($2 - placed[0])) |" \
        "${other[3]} | ${other[7]}..${other[8]} | ${peak[0]} (${other[12]}) | $3 |" \
        "$(awk -v a="$3" -v b="${peak[0]}" 'BEGIN { printf "%+.2f", (a - b) * 100 / b }') | $wrong of $all |" \
        "${other[15]} | $5 | ${other[18]} | $6 |"
}

verdict() { # STATUS NAME WHAT TEXT
    number=$((number + 1))
    [ "$1" -eq 0 ] || failed=$((failed + 1))
    echo "$([ "$1" -eq 0 ] || echo 'not ')ok $number - $2 $3 # $4"
}

[ -n "$native_only" ] || [ -x "$pagewalk" ] || { echo "Bail out! $pagewalk is missing; run make"; exit 1; }
make_inputs
"$set_name"
[ -z "$native_only$table" ] || exit 0
echo "1..$number"
[ $failed -eq 0 ] && [ $number -gt 0 ]
