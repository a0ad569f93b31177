#!/bin/bash
# A program that asks for NUMA placement, on a modelled machine of two nodes: the numbers follow from
# the program (fixtures/numa.c): 32 of the 64 interleaved pages and all 32 bound ones belong on node 1.
. "$(dirname "$0")/cli_lib.sh.inc"
cc -O1 -o "$work/numa" "$root/test/e2e/fixtures/numa.c" || exit 1
export XDG_STATE_HOME=$work/state
run() { "$pagewalk" run -q --json "$work/o.json" --set numa.nodes=2 "$@"; }
value() { python3 -c "import json; print(json.load(open('$work/o.json'))['vmstat']['$1'])"; }
is() { [ "$(value "$1")" -eq "$2" ] || { echo "$1 is $(value "$1"), not $2"; return 1; }; }
node1() { "$pagewalk" view node1/numastat | sed -n "s/^$1 //p"; }

run -- "$work/numa"
yes "pages of the other node are counted there" is numa_other 64
yes "nothing misses its node" is numa_miss 0
yes "interleaving gets the node it wants, 64 times" is numa_interleave 64
yes "node 1 served 64 hits" [ "$(node1 numa_hit)" -eq 64 ]
yes "32 of them by interleaving" [ "$(node1 interleave_hit)" -eq 32 ]
yes "numa_hit is the sum of numa_local and numa_other" [ "$(value numa_hit)" -eq $(($(value numa_local) + $(value numa_other))) ]
yes "numa_maps names the policies" bash -c "'$pagewalk' view numa_maps > m; grep -q ' interleave:0-1 anon=64 .*N0=32 N1=32 ' m && grep -q ' bind:1 anon=32 .*N1=32 ' m"

run -- "$work/numa" migrate
yes "migrate_pages moves all of node 1" is pgmigrate_success 64
yes "and nothing is left there" bash -c "! '$pagewalk' view numa_maps | grep -q ' N1='"

run --set numa.weights=3,1 -- "$work/numa"
yes "weights do not touch plain interleaving" is numa_other 64
run --set numa.sizes=15G,1G -- "$work/numa"
yes "nodes of unequal size" is numa_other 64

refused() { # refused PATTERN --set …: status 125 and one line that matches
    local pattern=$1
    shift
    "$pagewalk" run "$@" -- true > "$work/out" 2>&1
    [ $? -eq 125 ] && grep -q -- "$pattern" "$work/out"
}
yes "more weights than nodes are refused" refused 'numa.weights' --set numa.nodes=2 --set numa.weights=1,2,3
yes "a weight of 0 is refused" refused 'take 1 to 255' --set numa.nodes=2 --set numa.weights=1,0
yes "a bandwidth for one node of two is refused" refused 'numa.bandwidth' --set numa.nodes=2 --set numa.bandwidth=100
finish
