#!/bin/bash
# Help, version and the manual page: on stdout, status 0, and saying what the tables hold.
. "$(dirname "$0")/cli_lib.sh.inc"

verbs="run machine explain doctor man help"
says() { "$pagewalk" "${@:2}" 2> "$work/err" | grep -q -- "$1" && [ ! -s "$work/err" ]; }

yes "help lists every verb" bash -c "for v in $verbs; do '$pagewalk' help | grep -q \"^  \$v \" || exit 1; done"
yes "--help and help are the same" cmp <("$pagewalk" help) <("$pagewalk" --help)
yes "-h is help too" cmp <("$pagewalk" help) <("$pagewalk" -h)
yes "--version tells the version" says '^pagewalk [0-9]*\.[0-9]*\.[0-9]*$' --version
for verb in $verbs; do
    yes "$verb --help shows its usage" says "^usage: pagewalk $verb" "$verb" --help
    yes "$verb -h is the same" cmp <("$pagewalk" "$verb" --help) <("$pagewalk" "$verb" -h)
    yes "help $verb is the same" cmp <("$pagewalk" "$verb" --help) <("$pagewalk" help "$verb")
    yes "help of $verb fits 80 columns" bash -c "! '$pagewalk' help $verb | grep -q '.\{83\}'"
done
for option in --machine --set --json --output --quiet --no-progress --verbose; do
    yes "run --help names $option" says "  .*$option" run --help
done
yes "--help wins over a missing program" says "^usage: pagewalk run" run --json x --help
yes "--help after the program belongs to the program" says "^Usage: .*ls" run -q -- ls --help

"$pagewalk" man > page.1 2> "$work/err"
yes "man begins with its title" grep -q '^\.TH PAGEWALK 1' page.1
for verb in $verbs; do yes "man has a section on $verb" grep -q "^\.SS pagewalk $verb" page.1; done
# Every option and every counter that explain knows stands in the page.
"$pagewalk" explain | awk '{ print $1 }' | sort > names
sed -n 's/^\.B \([^ ]*\).*/\1/p' page.1 | sort > paged
yes "man has every counter and option" bash -c '[ -s names ] && [ -z "$(comm -23 names paged)" ]'
if command -v groff > /dev/null; then
    groff -man -Tutf8 -ww -z page.1 > "$work/said" 2>&1
    yes "the manual page is clean roff" bash -c "[ ! -s '$work/said' ]"
else
    echo "ok - the manual page is clean roff # SKIP no groff here"
fi
finish
