#!/bin/bash
# machine list, machine show: what they print can be used.
. "$(dirname "$0")/cli_lib.sh.inc"

"$pagewalk" machine list > list 2> "$work/err"
yes "machine list succeeds quietly" [ $? -eq 0 -a ! -s "$work/err" ]
for name in skylake-sp golden-cove zen4 default host; do
    yes "machine list names $name" grep -q "^$name  *[A-Za-z]" list
done
# host says which preset it is, and that is one of the list.
preset=$(sed -n 's/^host .*taking \([a-z0-9-]*\).*/\1/p' list)
yes "host names a preset" grep -q "^$preset " list

for name in $(awk '{ print $1 }' list); do
    "$pagewalk" machine show "$name" > "$name.ini" 2> "$work/err"
    yes "machine show $name succeeds quietly" [ $? -eq 0 -a ! -s "$work/err" ]
    "$pagewalk" machine show "./$name.ini" > again.ini
    yes "what machine show $name prints is a machine file of the same machine" \
        cmp <(grep -v '^#' "$name.ini") again.ini
done
yes "host is the preset it names" cmp <(grep -v '^#' host.ini) "$preset.ini"
yes "machine show without a name shows the host's" cmp <("$pagewalk" machine show) host.ini
yes "every option is shown once" bash -c \
    '[ "$(sed "s/ = .*//" zen4.ini | sort | uniq -d | wc -l)" -eq 0 ] && [ "$(wc -l < zen4.ini)" -gt 80 ]'
shown() { "$pagewalk" machine show "$@" | sed -n 's/^tlb.l2.entries = //p'; }
yes "--set changes what is shown" [ "$(shown zen4 --set tlb.l2.entries=6144)" = 6144 ]
yes "the last --set wins" [ "$(shown zen4 --set tlb.l2.entries=6144 --set tlb.l2.entries=12288)" = 12288 ]
yes "presets differ in their second-level TLB" [ "$(shown zen4)" != "$(shown skylake-sp)" ]
finish
