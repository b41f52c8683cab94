#!/usr/bin/env bash
# Arguments: every command's help, wrong flags answered with what is meant, completion, and the option reference that is up to date.
#   help.sh BITTERN
. "$(dirname "$0")/common.sh"

commands=$("$bittern" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 6 ]
check "the list of commands: $commands" $?
for command in $commands; do
    answer "help of $command" 0 "usage: bittern $command" "$command" --help
    grep -q "  $command) words='--help" <("$bittern" completion)
    check "completion of $command" $?
done
bash -n <("$bittern" completion)
check "completion is a script" $?

# Completion as a shell has it: the words behind the cursor.
complete_words() { # words of the line, the last one unfinished
    bash -c 'eval "$("$0" completion)"; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _bittern; echo "${COMPREPLY[*]}"' "$bittern" "$@"
}
[ "$(complete_words bittern exp)" = export ]
code=$?
check "completion of exp: $(complete_words bittern exp)" $code
[ "$(complete_words bittern embed --res)" = --resume ]
code=$?
check "completion of embed --res: $(complete_words bittern embed --res)" $code

answer "no command" 2 "usage: bittern COMMAND"
answer "unknown command" 2 'no command "trian"; did you mean "train"?' trian
answer "unknown flag" 2 "unknown option --jsn; did you mean --json?" eval --jsn "$scratch"
answer "unknown flag with a dash" 2 "unknown option --per-clas; did you mean --per-class?" demo x --per-clas 3
answer "flag out of range" 2 '--per-class: found "0", expected a whole number between 1 and 100000' demo x --per-class 0
answer "flag without its value" 2 "--size needs a value: pixels of a side" demo x --size
answer "value of a flag that stands alone" 2 '--json: found "tru", expected true or false' eval "$scratch" --json=tru
answer "too few operands" 2 "the arguments are missing: usage: bittern demo FOLDER" demo
answer "too many operands" 2 'argument "b" is too much; usage: bittern demo FOLDER' demo a b
answer "flag of a command with a single one" 2 "unknown option --jsno; did you mean --json?" doctor --jsno

# What programs read is one JSON object, and nothing else on standard output.
if command -v python3 >/dev/null; then
    is_json() { "$bittern" "$@" 2>/dev/null | python3 -c 'import json, sys; assert isinstance(json.load(sys.stdin), dict)'; }
    for command in "doctor --json" "inspect models --json" "config $scratch/small.yaml --json" "inspect plan $scratch/small.yaml --json"; do
        is_json $command
        check "$command is one JSON object" $?
    done
fi
answer "no run" 4 "is no run's folder: it has no config.yaml" eval "$scratch/nothing"
answer "flags end at --" 4 "cannot open --resume" train -- --resume

# libgomp prints what it was loaded with.
spin() { env "$@" OMP_DISPLAY_ENV=verbose "$bittern" doctor 2>&1 | sed -n "s/.*GOMP_SPINCOUNT = '\(.*\)'.*/\1/p" | tail -n 1; }
if [ -n "$(spin GOMP_SPINCOUNT=7)" ]; then
    found=$(env -u GOMP_SPINCOUNT -u OMP_WAIT_POLICY bash -c "$(declare -f spin); bittern=$bittern; spin")
    check "waiting threads spin briefly: $found" "$([ "$found" = 1000 ]; echo $?)"
    check "as long as the user says" "$([ "$(spin GOMP_SPINCOUNT=7)" = 7 ]; echo $?)"
    check "a policy is the user's as well" "$([ "$(env -u GOMP_SPINCOUNT bash -c "$(declare -f spin); bittern=$bittern; spin OMP_WAIT_POLICY=passive")" = 0 ]; echo $?)"
fi

diff <("$bittern" config --reference) "$root/docs/options.md" >"$scratch/diff"
code=$?
check "docs/options.md is what bittern config --reference prints: $(head -n 3 "$scratch/diff")" $code
finish
