#!/bin/bash
# not in make check: `make check-kernel-global` runs it. While it runs the whole host has swap.
# 200 MiB on a modelled machine of 64 MiB, and on the running kernel in a memory cgroup.
#
# The program of memory_short.sh, which looks at every byte, runs once modelled and three times natively,
# in a cgroup with as much memory as the modelled machine has for pages (its MemTotal), with a swap
# file of 256 MiB, on what the kernel takes for an SSD and for a rotating disk. Faults, pages read and pages
# written (the median) must be within 5 %. Reclaim of a cgroup has no kswapd and no watermarks: equal is more
# than can be asked.
. "$(dirname "$0")/cli_lib.sh.inc"
swap=/var/tmp/pagewalk-workset.swap group=/sys/fs/cgroup/memory/pagewalk-workset disk='' was=''

skip() { echo "ok - the running kernel swaps as much as the model # SKIP $1"; exit 0; }
restore() {
    swapoff $swap 2> "$work/said"
    rm -f $swap
    rmdir $group 2> "$work/said"
    [ -z "$was" ] || echo "$was" > "$disk"
    rm -rf "$work"
}
[ "$(id -u)" -eq 0 ] || skip "only root may swapon"
exec 9>> /var/tmp/pagewalk-global.lock
flock 9
[ "$(wc -l < /proc/swaps)" -eq 1 ] || skip "the host has swap already"
disk=/sys/dev/block/$(stat -c %Hd:%Ld /var/tmp)/queue/rotational
[ -w "$disk" ] || skip "the disk of /var/tmp does not let itself be called an SSD"
[ -d /sys/fs/cgroup/memory ] || skip "no memory cgroup (version 1)"

cc -O2 -o "$work/workset" "$root/test/e2e/fixtures/workset.c" || exit 1
for device in ssd disk; do
    "$pagewalk" run -q --set phys.size=64M --set swap.size=256M --set swap.device=$device --save $device \
        -- "$work/workset" 200 2 || exit 1
done
modelled() { "$pagewalk" view --from $device "$1" | awk -v key="$2" '$1 == key { print $2 }'; }

trap restore EXIT
was=$(cat "$disk")
(umask 077 && dd if=/dev/zero of=$swap bs=1M count=256 status=none) && mkswap -q $swap || exit 1
mkdir $group && echo "$(modelled meminfo MemTotal:)K" > $group/memory.limit_in_bytes || exit 1
keys=(pgmajfault pswpin pswpout)
counts() { for key in "${keys[@]}"; do awk -v key="$key" '$1 == key { print $2 }' /proc/vmstat; done; }
for device in ssd disk; do
    [ $device = disk ] && echo 1 > "$disk" || echo 0 > "$disk"
    swapon $swap || exit 1
    for i in 1 2 3; do
        counts > before
        yes "the program finds every byte on the running kernel ($device, $i)" \
            bash -c "echo \$\$ > $group/cgroup.procs && exec '$work/workset' 200 2"
        counts | paste before - | awk '{ print $2 - $1 }' > "native.$i"
    done
    swapoff $swap
    for i in 0 1 2; do
        real=$(for run in 1 2 3; do sed -n $((i + 1))p "native.$run"; done | sort -n | sed -n 2p)
        model=$(modelled vmstat "${keys[$i]}")
        yes "$device: ${keys[$i]} natively $real, modelled $model: within 5 %" \
            test $(((model - real) * 20)) -le "$real" -a $(((real - model) * 20)) -le "$real"
    done
done
finish
