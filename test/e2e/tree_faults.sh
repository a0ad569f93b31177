#!/bin/bash
# seconds: 150
# Program trees natively and in the model: processes, exit statuses, output, and the minor faults of every
# process (tree_native.py, which reads the kernel's own accounting: root). RUNS: native runs (5); ONLY: one.
. "$(dirname "$0")/cli_lib.sh.inc"
cc -O2 -static -o "$work/spawn" "$root/test/e2e/fixtures/spawn.c" || exit 1
acct='import ctypes, sys; sys.exit(ctypes.CDLL(None).acct(None) != 0)'
if ! python3 -c "$acct" 2> "$work/said"; then
    echo "ok - process accounting # SKIP needs root and CONFIG_BSD_PROCESS_ACCT"
    exit 0
fi
# As real_faults.sh: what the emulator's CPU does not have is taken away from libc, and hashes repeat.
lacks=-AVX512F,-AVX512VL,-AVX512BW,-RTM,-ERMS,-FSRM,-Prefer_No_VZEROUPPER,-Fast_Unaligned_Load
lacks=$lacks,-Fast_Unaligned_Copy,-Fast_Rep_String
clean=(env -i PATH=/usr/bin:/bin HOME=/tmp LC_ALL=C.UTF-8 TZ=UTC PYTHONHASHSEED=0 PERL_HASH_SEED=0
    GLIBC_TUNABLES=glibc.cpu.hwcaps=$lacks)
# tree NAME COMMAND...: every process within 1 % or 5 faults; wide: or 12.
tree() {
    [ "${ONLY:-$1}" = "$1" ] || return
    yes "$1" "${clean[@]}" FAULTS="${faults:-5}" python3 "$root/test/e2e/tree_native.py" "$pagewalk" \
        "$work/spawn" "${RUNS:-5}" "$@"
    [ -z "${ONLY:-}" ] || cat "$work/said"
}
wide() { faults=12 tree "$@"; }

printf 'int f(int); int main(void) { return f(0); }\n' > m.c
printf 'int f(int x) { return x; }\n' > f.c
printf 'all: p\np: m.o f.o\n\tgcc -o p m.o f.o\n%%.o: %%.c\n\tgcc -O1 -c $<\n' > Makefile
printf '#!/bin/dash\nfor w in a b c; do ./inner $w; done\nexit 4\n' > script
printf '#!/bin/sh\n/bin/echo inner $1 | tr a-z A-Z\n' > inner
chmod +x script inner
cat > pool.py << 'END'
import multiprocessing
def f(q, x): q.put(sum(range(x * 1000)))
if __name__ == "__main__":
    q, r = multiprocessing.SimpleQueue(), []
    for i in range(3):
        p = multiprocessing.Process(target=f, args=(q, i))
        p.start(); r.append(q.get()); p.join()
    print(r, p.exitcode)
END
tree pipe sh -c 'ls /usr/bin | sort | uniq | wc -l'
tree loop sh -c 'for i in 1 2 3; do /bin/echo $i; done; (exit 3); echo $?; exit 5'
tree xargs sh -c 'ls /usr/include | head -20 | xargs -n 5 echo'
tree script ./script
tree awk sh -c "awk '{print \$1}' /etc/services | sort | uniq -c | sort -rn | head -5"
tree subprocess python3 -c 'import subprocess as s
print(s.run(["ls", "/"], capture_output=True).stdout.split()[:3], s.call(["false"]), s.call("exit 3", shell=True))'
wide multiprocessing python3 pool.py
tree make sh -c 'rm -f p *.o; make -s && ./p; echo $?'
tree git sh -c 'rm -rf g && git init -q g && cd g && echo x > a && git add a &&
    git -c user.name=a -c user.email=b commit -qm x && git log --format=%s && git status -s'
tree tar sh -c 'tar cf - /etc/ssl 2> /dev/null | gzip -1 | wc -c'
wide find find /etc -maxdepth 1 -name 'p*' -exec basename '{}' ';'
wide perl perl -e '$|=1; for (1..4) { if (!fork) { my @a=(1..20000); exit $_ } }
    while (wait > 0) { push @s, $? >> 8 } print join(" ", sort @s), "\n"'
wide bash bash -c 'x=$(printf abc; printf d); echo $x; for i in 1 2; do (echo sub $i; exit $i); done
    echo $?; cat <(echo p) | tac; kill -9 $BASHPID'
finish
