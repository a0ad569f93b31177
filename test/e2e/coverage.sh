#!/bin/sh
# tools/coverage: its last line names the files with too few lines and fails, but for those of its list.
set -u
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0
bad=0
check() { # WHAT STATUS TABLE TEXT: the verdict on TABLE exits so and says TEXT
    n=$((n + 1))
    printf '%s\n' "$3" >"$dir/table"
    said=$(tools/coverage --verdict "$dir/table" 2>&1)
    if [ $? -eq "$2" ] && [ -z "${said##*"$4"*}" ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1: $said"
        bad=1
    fi
}
check 'enough everywhere passes' 0 'vma.c 97.0 % of 100 lines' '1 files of src/mm, at least 90 %'
check 'a file below 90 fails and is named' 1 'vma.c 89.9 % of 100 lines' 'TOO FEW: vma.c 89.9'
check 'a file of the list may stay below' 0 'pkey.c 63.6 % of 44 lines' 'why): pkey.c 63.6'
check 'but not below its own floor' 1 'pkey.c 12.0 % of 44 lines' 'TOO FEW: pkey.c 12.0'
check 'no table fails' 1 '' 'no file'
echo "1..$n"
exit $bad
