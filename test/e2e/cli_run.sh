#!/bin/bash
# run, as its user sees it: status, streams, summary, JSON, files, layers of configuration.
. "$(dirname "$0")/cli_lib.sh.inc"
check_json() { python3 "$root/test/e2e/json_check.py" "$@"; }
field() { python3 -c "import json,sys; d=json.load(open(sys.argv[1])); print(eval('d'+sys.argv[2]))" "$@"; }
status() { # status EXPECTED COMMAND...
    local expected=$1
    shift
    "$@" > "$work/out" 2> "$work/err"
    local got=$?
    [ $got -eq "$expected" ] || { echo "status $got, not $expected"; cat "$work/err"; return 1; }
}

# -- streams and status -----------------------------------------------------------------------------
yes "the program's status is pagewalk's" status 37 "$pagewalk" run -q -- sh -c 'exit 37'
yes "stdout is the program's alone" bash -c "[ \"\$('$pagewalk' run -- echo hello 2> /dev/null)\" = hello ]"
yes "stdin is the program's" bash -c "[ \"\$(echo abc | '$pagewalk' run -q -- tr a-c x-z)\" = xyz ]"
yes "stderr is the program's with -q" bash -c "[ \"\$('$pagewalk' run -q -- sh -c 'echo e >&2' 2>&1)\" = e ]"
yes "a program whose reader leaves dies of its SIGPIPE" bash -c "'$pagewalk' run -q -- yes | head -1 > /dev/null; [ \${PIPESTATUS[0]} -eq 141 ]"
yes "options after the program are the program's" bash -c "[ \"\$('$pagewalk' run -q echo -q --json x)\" = '-q --json x' ]"
yes "-- is for pagewalk once" bash -c "[ \"\$('$pagewalk' run -q -- echo -- -v)\" = '-- -v' ]"
for name in SEGV KILL TERM ABRT; do
    number=$(kill -l $name)
    yes "a death by SIG$name is told as the shell tells it" status $((128 + number)) \
        bash -c "'$pagewalk' run -q --json died.json -- sh -c 'kill -$name \$\$'; exit \$?"
    yes "the JSON has SIG$name" [ "$(field died.json "['program']['exit']")" = "{'code': None, 'signal': $number}" ]
done
yes "no core file is left" bash -c '! ls core* 2> /dev/null'

# -- summary ----------------------------------------------------------------------------------------
"$pagewalk" run -- ls / > out 2> summary
yes "the summary has at most 25 lines" [ "$(wc -l < summary)" -le 25 -a "$(wc -l < summary)" -ge 15 ]
yes "its lines have at most 100 columns" bash -c '! grep -q "^.\{101\}" summary'
yes "it has no colour in a file" bash -c '! grep -q "$(printf "\033")" summary'
for part in '^program  *ls /: exit 0' '^machine  *[a-z0-9-]* (nearest to this CPU)' 'instructions, .* loads, .* stores' \
    'modelled cycles = .* at [0-9.]* GHz' '^cycles  *base  *[0-9.]* %' ' translation  *[0-9<.]* %' \
    ' fault  *[0-9<.]* %' 'page walks' '^walker loads .*L1 .*L2 .*L3 .*DRAM' '^page faults  *[0-9,]* minor, 0 major' \
    '^memory  .*page tables' '^costly memory' '^try next' 'pagewalk explain'; do
    yes "the summary says: $part" grep -q -- "$part" summary
done
yes "three areas are listed" [ "$(sed -n '/^costly/,/^[nt]/p' summary | grep -c '^  *[r-][w-][x-][ps] ')" -eq 3 ]
"$pagewalk" run -o kept -- true 2> "$work/err"
yes "-o takes the summary from stderr" bash -c "[ ! -s '$work/err' ] && grep -q '^program  *true: exit 0' kept"
yes "-q is silent" bash -c "[ -z \"\$('$pagewalk' run -q -- true 2>&1)\" ]"
yes "-v names machine and tools" bash -c "'$pagewalk' run -v -- true 2>&1 | grep -q '^pagewalk: emulator .*qemu.*, plugin '"
hostile=$(printf 'a\nb\033[31mc\377d')
"$pagewalk" run --json hostile.json -- true "$hostile" 2> summary
yes "hostile arguments break no line of the summary" bash -c '! grep -q "$(printf "\033")" summary && [ "$(wc -l < summary)" -le 25 ]'
yes "hostile arguments make valid JSON" check_json hostile.json true "$(printf 'a\nb\033[31mc\357\277\275d')"
if command -v script > /dev/null; then
    script -qec "TERM=xterm '$pagewalk' run -- true" /dev/null > tty < /dev/null
    yes "a terminal gets colour" grep -q "$(printf '\033\\[1mprogram')" tty
    script -qec "NO_COLOR=1 TERM=xterm '$pagewalk' run --no-progress -- true" /dev/null > tty < /dev/null
    yes "NO_COLOR is heard" bash -c '! grep -q "$(printf "\033\\[1m")" tty'
    script -qec "TERM=dumb '$pagewalk' run --no-progress -- true" /dev/null > tty < /dev/null
    yes "a dumb terminal gets no colour" bash -c '! grep -q "$(printf "\033\\[1m")" tty'
else
    echo "ok - a terminal gets colour # SKIP no script here"
fi

# -- JSON -------------------------------------------------------------------------------------------
"$pagewalk" run -q --json run.json -- ls -a / > /dev/null
yes "the JSON is a document of its schema" check_json run.json ls -a /
yes "another parser reads it too" python3 -m json.tool run.json /dev/null
yes "the exit code is in it" [ "$(field run.json "['program']['exit']['code']")" = 0 ]
"$pagewalk" run -q --json - -- printf 'no newline' > mixed
yes "--json - follows the program's output" [ "$(head -c 11 mixed)" = "no newline{" ]
tail -c +11 mixed > tail.json
yes "--json - is a whole document" check_json tail.json printf 'no newline'
mkfifo pipe
cat pipe > piped.json &
"$pagewalk" run -q --json pipe -- true
wait
yes "a fifo is written, not replaced" bash -c '[ -p pipe ]'
yes "the fifo's document is whole" check_json piped.json true
"$pagewalk" run -q --json - -- true 2> "$work/err" | :
set -- "${PIPESTATUS[@]}"
yes "a reader that leaves is an error, not a death" [ "$1" -eq 125 -a "$(wc -l < "$work/err")" -eq 1 ]
"$pagewalk" run -q --json /dev/full -- true 2> "$work/err"
yes "a full device is an error" [ $? -eq 125 -a "$(wc -l < "$work/err")" -eq 1 ]

# -- the front end alone ----------------------------------------------------------------------------
"$pagewalk" run --front-only -- sh -c 'echo out; exit 7' > "$work/out" 2> "$work/err"
yes "--front-only passes the status through" [ $? -eq 7 ]
yes "and stdout" [ "$(cat "$work/out")" = out ]
yes "it prints one line" [ "$(wc -l < "$work/err")$(grep -c '^pagewalk: [0-9]* events, [0-9]* accesses among them, [0-9.]* s, nothing modelled$' "$work/err")" = 11 ]
yes "and with -q none" bash -c "[ -z \"\$('$pagewalk' run -q --front-only -- true 2>&1)\" ]"

# -- a run that is not observed as a whole -----------------------------------------------------------
cc -O1 -pthread -o crowd "$root/test/e2e/fixtures/crowd.c" || exit 1
yes "a program of 1031 threads runs to its end" status 0 "$pagewalk" run --json many.json -- ./crowd 1030
yes "the summary says that not all were observed" [ "$(grep -c '^note  *incomplete: more than 1024 threads' "$work/err")" = 1 ]
yes "the JSON says so too" [ "$(field many.json "['incomplete']")" = threads ]
yes "another run says nothing of the kind" [ "$(field run.json "['incomplete']")" = None ]

# -- files ------------------------------------------------------------------------------------------
echo old > real.json
chmod 640 real.json
ln -s real.json link.json
"$pagewalk" run -q --json link.json -- true
yes "a symbolic link stays one" [ -L link.json ]
yes "its file is replaced" check_json real.json true
yes "its mode is kept" [ "$(stat -c %a real.json)" = 640 ]
(umask 027; "$pagewalk" run -q --json masked.json -- true)
yes "a new file heeds the umask" [ "$(stat -c %a masked.json)" = 640 ]
yes "nothing else is left behind" bash -c '! ls -A | grep -q "pagewalk"'
{ (ulimit -f 8; "$pagewalk" run -q --json real.json -- true); } 2> "$work/err"
yes "a result that does not fit leaves the earlier one" check_json real.json true
yes "and no part of the new one" bash -c '! ls -A | grep -q "pagewalk"'

cp real.json before.json
"$pagewalk" run -q --json real.json -- sleep 30 &
victim=$!
sleep 1
kill -9 $victim
wait $victim 2> /dev/null
yes "pagewalk killed in the middle leaves the earlier result" cmp real.json before.json
yes "and no file of its own" bash -c '! ls -A | grep -q "pagewalk"'

# -- layers of configuration --------------------------------------------------------------------------
seed() { "$pagewalk" run -q --json seed.json "$@" -- true && field seed.json "['machine']['seed']"; }
echo 'seed = 11' > mine.ini
yes "built-in value" [ "$(seed --machine default)" = 1 ]
yes "the machine file is over the built-in value" [ "$(seed --machine mine.ini)" = 11 ]
mkdir -p "$XDG_CONFIG_HOME/pagewalk"
echo 'seed = 12' > "$XDG_CONFIG_HOME/pagewalk/config"
yes "the file of the user is over the machine file" [ "$(seed --machine mine.ini)" = 12 ]
export PAGEWALK_SET="cpu.cores=1  seed=13"
yes "PAGEWALK_SET is over the file of the user" [ "$(seed --machine mine.ini)" = 13 ]
yes "--set is over PAGEWALK_SET" [ "$(seed --machine mine.ini --set seed=14)" = 14 ]
yes "the last --set wins" [ "$(seed --set seed=14 -s seed=15)" = 15 ]
unset PAGEWALK_SET
mv "$XDG_CONFIG_HOME" "$HOME/.config"
unset XDG_CONFIG_HOME
yes "without XDG_CONFIG_HOME the file is in ~/.config" [ "$(seed --machine mine.ini)" = 12 ]
rm -r "$HOME/.config"
for name in skylake-sp golden-cove zen4; do
    "$pagewalk" run -q --json m.json --machine $name -- true
    yes "--machine $name is the machine" [ "$(field m.json "['machine']['name']")" = $name ]
    yes "--machine $name gives a whole document" check_json m.json true
done
finish
