#!/bin/bash
# Corners of exec, fork and namespaces (fixtures/corners.c): each prints and ends as natively, and was observed:
# as many programs as were executed, and what could not be followed is told by name and reason.
. "$(dirname "$0")/cli_lib.sh.inc"
cc -D_GNU_SOURCE -O1 -pthread -o "$work/files/corners" "$root/test/e2e/fixtures/corners.c" || exit 1
chmod 755 "$work" "$work/files"

# same NAME "PROGRAMS [unread] [WHY:NAME...]" COMMAND...: see tree_seen.py.
same() {
    local name=$1 seen=$2 native ours
    shift 2
    timeout -s KILL 20 "$@" > native.out 2> native.err < /dev/null; native=$?
    timeout -s KILL 60 "$pagewalk" run -q --no-save --json seen.json -- "$@" > out 2> err < /dev/null; ours=$?
    yes "$name: ends as natively, with $native" [ $ours = $native ]
    yes "$name: prints what it prints natively" diff native.out out
    yes "$name: complains as natively" diff native.err err
    # shellcheck disable=SC2086
    yes "$name: is seen as a whole" python3 "$root/test/e2e/tree_seen.py" seen.json $seen
}

printf '#!/bin/sh\necho testing "$@"\n/bin/echo said "$@"\n' > qemu-like
chmod +x qemu-like
same "arguments that QEMU would know" 2 ./qemu-like -cpu 4 -plugin x -s 1
same "and of a shell that executes programs" 3 sh -c '/bin/echo x; /bin/echo y' -cpu host

same "a program by a descriptor that closes" 2 ./corners by-descriptor "$PWD/corners" /proc/self/fd/%d
same "and by its name in /dev" 2 ./corners by-descriptor "$PWD/corners" /dev/fd/%d
same "a script by such a descriptor" 2 ./corners by-descriptor "$PWD/qemu-like" /proc/self/fd/%d
ln -s /proc/self/exe itself
ln -s itself still-itself
cp "$(command -v bash)" shell
same "a link to /proc/self/exe" 2 ./shell -c 'exec ./still-itself -c "echo \$0 \$BASH_VERSION" again'
same "the program of another process" 3 bash -c '
    > ready; ./corners wait ready & p=$!
    while [ ! -s ready ]; do read -rt 0.05 < <(:); done
    (exec -a other "/proc/$p/exe" say hi); echo $?
    kill $p; wait $p'
if [ "$(id -u)" = 0 ]; then
    same "a program without a name executes itself" "4 unread" sh -c 'cp corners gone; exec ./gone deleted'
    same "and one whose name another file has got" "5 unread" sh -c \
        'cp corners gone; cp qemu-like other; exec ./gone replaced other'
else
    ok "a program without a name executes itself # SKIP only root may open /proc/PID/map_files"
fi
same "an exec that pagewalk cannot judge" "1 unforeseen:corners" ./corners full ./corners

same "sleeps for a time that cannot be read" 1 ./corners naps

# -- vfork ------------------------------------------------------------------------------------------
same "children in vfork that fork" 1 ./corners nested

# -- the environment ---------------------------------------------------------------------------------
same "variables that act on QEMU" 2 env -i LD_X=1 MALLOC_ARENA_MAX=2 QEMU_STRACE= /usr/bin/env
same "a variable that looks hidden" "1 failed:env" env -i "$(printf '\314D_X=1')" /usr/bin/env
./corners crowd 1023 > native.out 2>&1
timeout -s KILL 60 "$pagewalk" run -q --no-save -- ./corners crowd 1023 > out 2>&1
yes "variables without a thread's stream to spare" diff native.out out

# -- namespaces: root's --------------------------------------------------------------------------------
[ "$(id -u)" = 0 ] || finish
same "a program where there is no /proc" "4 confined:env" env -i /usr/bin/unshare -m /bin/sh -c \
    'umount -l /proc; LD_LIBRARY_PATH=/nowhere MALLOC_ARENA_MAX=1 exec env'
same "vfork into another namespace of processes" "1 unseen:corners unseen:corners" ./corners elsewhere "$(command -v cat)"
# pagewalk is process 1 of a namespace; so is the shell of the one within.
inner='unshare -fp sh -c "/bin/echo inner; /bin/true; exit 3"; echo $?; /bin/true'
unshare -fpm --mount-proc sh -c "$inner" > native.out 2>&1
timeout -s KILL 60 unshare -fpm --kill-child --mount-proc "$pagewalk" run -q --no-save --json seen.json -- sh -c "$inner" > out 2>&1
yes "a namespace in which pagewalk's number is another's" diff native.out out
yes "and its processes are not taken for others" python3 "$root/test/e2e/tree_seen.py" seen.json 3 unseen:unshare
finish
