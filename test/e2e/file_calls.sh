#!/bin/bash
# Calls on a file reach its mappings in a run (fixtures/filecalls.c): 256 pages written 20 times with a
# call between that cleans or removes them are 20 times 256 faults, without one 256. Linux 6.18 on ext4
# counts the same, and none for a buffer given to /dev/null; where the directory is on ext4 that is tested, too.
. "$(dirname "$0")/cli_lib.sh.inc"
cc -O1 -Wall -o "$work/filecalls" "$root/test/e2e/fixtures/filecalls.c" || exit 1
modelled() { # modelled ARGUMENTS...: all faults of the run
    "$pagewalk" run -q --no-save -o /dev/null --json o.json -- "$work/filecalls" "$@" > out || return 1
    python3 -c "import json; c = json.load(open('o.json'))['counters']; print(c['minor-faults'] + c.get('major-faults', 0))"
}
start=$(modelled idle) # what a run takes besides
near() { # near N ARGUMENTS...: N faults more than that, give or take 2 of the C library
    local n=$1 got
    shift
    got=$(($(modelled "$@") - start))
    [ $((got - n)) -le 2 ] && [ $((n - got)) -le 2 ] || { echo "$*: $got faults, not $n"; return 1; }
}
natively() { # natively N ARGUMENTS...: in one of ten runs; the host's own writeback and reclaim only add faults
    local n=$1 got
    shift
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        got=$("$work/filecalls" "$@") && [ $((got - n)) -le 2 ] && [ $((n - got)) -le 2 ] && return 0
    done
    echo "$*: $got faults, not $n"
    return 1
}
each() { # each N ARGUMENTS...
    yes "$2${3:+ of a $3}: $1 faults in the model" near "$@"
    if [ "$(stat -f -c %T .)" = ext2/ext3 ]; then
        yes "$2${3:+ of a $3}: as many natively" natively "$@"
    else
        ok "$2${3:+ of a $3}: as many natively # SKIP not on ext4"
    fi
}
each 0 null
each 256 none
for call in fsync fdatasync syncfs range sync punch zero collapse; do each 5120 $call; done
each 256 fsync memfd
each 5120 punch memfd
finish
