#!/bin/bash
# Somebody of a tree of processes is killed at a random moment: a process of the guest, pagewalk itself,
# its keeper, the whole group. KILLS=200 SEED=7 test/e2e/tree_kill.sh for another or a longer campaign.
# seconds: 240
set -u
cd "$(dirname "$0")/../.." || exit 1
pagewalk=$(realpath "${PAGEWALK:-build/release/pagewalk}")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cc -O1 -pthread -o "$work/tree" test/e2e/fixtures/tree.c || exit 1
status=0
python3 test/e2e/tree_kill.py "$pagewalk" "$work/tree" "${KILLS:-40}" "${SEED:-1}" || status=1

# A fork bomb, bounded by the number of processes that its user may have, ends when its time is up: the
# program is told, then pagewalk is asked not to wait for the others.
if [ "$(id -u)" = 0 ]; then
    cat > "$work/bomb.c" <<'C'
#include <sys/resource.h>
#include <unistd.h>
int main(void)
{
    struct rlimit most = {40, 40};
    if (setrlimit(RLIMIT_NPROC, &most) != 0)
        return 2;
    for (unsigned failed = 0; failed < 100;)
        if (fork() < 0)
            failed++, usleep(1000);
    for (;;)
        pause();
}
C
    cc -O1 -o "$work/bomb" "$work/bomb.c" || exit 1
    chmod 755 "$work" "$work/bomb"
    as_nobody=(setpriv --reuid=64911 --regid=64911 --clear-groups)
    PW_BOMB=$$ HOME=/ XDG_STATE_HOME=/nowhere timeout -s KILL 60 "${as_nobody[@]}" "$pagewalk" run -- "$work/bomb" \
        < /dev/null > /dev/null 2> "$work/said" &
    run=$!
    for ((i = 0; i < 100; i++)); do
        [ "$(ps -o pid= -u 64911 | wc -l)" -ge 38 ] && break
        sleep 0.1
    done
    echo "# $(ps -o pid= -u 64911 | wc -l) processes of the bomb"
    pid=$(pgrep -u 64911 -o -x pagewalk)
    kill -TERM "$pid"; sleep 1; kill -TERM "$pid" 2>/dev/null
    wait $run; code=$?
    left=$(ps -o pid=,stat=,comm= -u 64911 | grep -vc ' Z')
    if [ $code = 143 ] && [ "$left" = 0 ] && grep -q '^pagewalk' "$work/said"; then
        echo "ok - a fork bomb ends cleanly, and its summary is there"
    else
        echo "not ok - a fork bomb ends cleanly, and its summary is there"
        echo "# status $code, $left left"; sed 's/^/# /' "$work/said" | tail -5; status=1
    fi
else
    echo "ok - a fork bomb ends cleanly # SKIP needs a user of its own"
fi
exit $status
