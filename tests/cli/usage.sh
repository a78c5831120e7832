# The command line itself: commands, options, numbers, help, version, results that cannot be written.
. "$(dirname "$0")/lib.bash"
M=$MODELS/qwen3_moe/model.gguf
commands='inspect profile stats plan prune verify eval run'
cd "$T" || exit 1

# ---- help and version
for c in '' $commands; do
    for form in "$c --help" "$c -h" "help $c"; do
        # shellcheck disable=SC2086
        ok $form
        has .out "^usage: reap ${c:-COMMAND}"
        [[ -s .err ]] && say_bad "$form writes to stderr"
        [[ -z $c ]] || has .out '^Example' "^  reap $c "
        lacks .out $'\x1b' $'\t'
        f=${form# }
        cp .out "help.${f// /_}"
    done
done
for c in $commands; do
    has help.--help "^  $c "   # the list of commands is whole
    expect "reap help $c is reap $c --help" cmp "help.help_$c" "help.${c}_--help"
    # what the usage line promises is among the options
    for o in $(sed -n 1p "help.${c}_--help" | grep -oE -- '--[a-z-]+' | sort -u); do # a usage line may have none
        has "help.${c}_--help" "^  (-[a-z], )?$o( |$)"
    done
done
ok --version
has .out '^reap [0-9]+\.[0-9]+'
expect '--version is one line' test "$(wc -l <.out)" = 1
cp .out version
for form in -V version '-q --version' '--color never -V'; do
    # shellcheck disable=SC2086
    ok $form
    expect "$form is --version" cmp .out version
done
ok --help
has .out '--version' '--color'
ok prune --plan x --help        # help wins over what is wrong with the rest
# set for the width that COLUMNS says, 80 columns where there is no terminal
for c in '' $commands; do
    for width in 60 80 100; do
        # shellcheck disable=SC2086
        COLUMNS=$width "$REAP" $c --help | sed '/^Example/,$d' >help.wide
        expect "$c --help fits into $width columns" test "$(wc -L <help.wide)" -lt "$width"
    done
    (unset COLUMNS && "$REAP" ${c:+"$c"} --help) >help.plain
    expect "$c --help has 80 columns" cmp help.plain <(COLUMNS=80 "$REAP" ${c:+"$c"} --help)
done
rm -f help.*

# ---- no command, an unknown one
rc 2
has .err '^usage: reap COMMAND'
[[ -s .out ]] && say_bad 'usage of an error on stdout'
fails 2 "'prun'" 'not a command' 'did you mean prune' 'help' -- prun
fails 2 "'profiel'" 'did you mean profile' -- help profiel
fails 2 "'--vesion'" 'did you mean --version' -- --vesion
fails 2 "'sell' is not a command; reap --help" -- sell
fails 2 "''" -- ''
fails 2 'not a command' -- --keep 3
fails 2 "'foo' is not a command" -- help foo
fails 2 "'foo' is not a command" -- --help foo
fails 2 "'foo' is not a command" -- foo --json
fails 2 "'-m': the model stands without one" 'usage: reap eval MODEL' -- eval -m "$M" --text x
# options of all commands before the command
ok -q --json inspect "$M"
json .out 'command="inspect"'
# heads of tables are bold where colours are, and nothing else is; what a model says asks for none
ok -q inspect "$M"
cp .out plain
n_checks=$((n_checks + 1))
"$REAP" --color always -q inspect "$M" >.out
[[ $(grep -c $'\x1b' .out) = 1 ]] || say_bad 'not one line is bold'
has .out $'^\x1b\\[1m  pruned   experts     size\x1b\\[0m$'
expect 'colours change nothing else' cmp plain <(sed $'s/\x1b\\[[0-9;]*m//g' .out)
ok -h plan
has .out '^usage: reap plan'
fails 2 "'maybe'" 'auto, always, never' -- --color maybe inspect "$M"
fails 2 '--color needs a value' -- inspect "$M" --color
fails 2 'not a command' -- $'in\x1b[31mspect'
lacks .err $'\x1b'

# ---- options
for c in $commands; do
    fails 2 "unknown option '--no-such-option'" -- "$c" "$M" --no-such-option
    fails 2 "unknown option '-Z'" -- "$c" -Z "$M"
    [[ $c = plan ]] || # its statistics may be named by an option
        fails 2 'operand' "usage: reap $c" -- "$c"
    [[ $c = stats ]] || # takes any number of files
        fails 2 "unexpected operand '(two|three)'" "usage: reap $c" -- "$c" "$M" two three
done
mapfile -t all < <("$REAP" --dump-options | awk -F'\t' '$1 == "command" { print $2 }')
expect 'the program names its commands' test ${#all[@]} -ge 16
for c in "${all[@]}"; do # each of them takes its own defaults
    fails 2 "unknown option '--no-such-option'" "reap $c --help" -- "$c" --no-such-option
done
fails 2 "unknown option '--jsonx'" -- inspect "$M" --jsonx
fails 2 "unknown option '--jso'" 'did you mean --json' 'reap inspect --help' -- inspect "$M" --jso # told, not guessed
fails 2 "unknown option '--pruneratio'" 'did you mean --prune-ratio' -- plan s.json --pruneratio 0.5
fails 2 '--json takes no value' -- inspect "$M" --json=yes
fails 2 '--output needs a value' -- plan s.json --keep 3 -o
fails 2 '--plan needs a value' -- prune "$M" -o x --plan
fails 2 '--ctx needs a value' -- profile "$M" --calib x -o y --ctx
ok inspect -- "$M"
fails 2 "'--json'" -- inspect -- --json     # behind --, it is a file
ok inspect --json --quiet "$M"              # in any order

# ---- numbers: whole or refused, and inside their range
p=(plan s.json -o p.json)
for v in 0.8x x '' ' 3' '3 ' 1e1 0x10 3.0 +3 1,000 99999999999999999999 nan; do
    fails 2 '--keep:' "'$(sed 's/[+.]/\\&/g' <<<"$v")'" 'whole number' -- "${p[@]}" --keep "$v"
done
for v in 0 -1 65537; do
    fails 2 '--keep' "$v" 'out of range' '1 to 65536' -- "${p[@]}" --keep "$v"
    fails 2 '--keep' "$v" 'out of range' -- "${p[@]}" --keep="$v"
done
for v in 1.5 -0.1 2 1e9; do
    fails 2 '--prune-ratio' "$v" 'out of range' '0 to 1' -- "${p[@]}" --prune-ratio "$v"
    fails 2 '--keep-ratio' "$v" 'out of range' -- "${p[@]}" --keep-ratio "$v"
done
for v in 0.25x nan inf -inf '' % 25%% 0x0.8 1e 0,25 1/4; do
    fails 2 '--prune-ratio' 'not a number' -- "${p[@]}" --prune-ratio "$v"
done
for o in --prune-ratio --keep-ratio; do # a share is written either way; a number above 1 is asked about
    fails 2 "$o: 25 is out of range" 'did you mean 25% or 0.25' -- "${p[@]}" "$o" 25
    fails 2 "$o: 101% is out of range" -- "${p[@]}" "$o" 101%
done
fails 2 '--ratios: 25 is out of range' 'did you mean 25% or 0.25' -- sweep "$M" --stats s --text t --ratios 0.5,25
fails 2 '--max-ppl-increase: 2 is 200%' 'did you mean 2% or 0.02' -- sweep "$M" --stats s --text t --max-ppl-increase 2
fails 2 'such as 0.97 or 97%' -- sweep "$M" --stats s --text t --pass 'top1>=97'
for v in '' x 12Q 9.5.1G -1G 1e99G 12GiBx 0x10 nan; do
    fails 2 '--fit' 'not a size' -- "${p[@]}" --fit "$v"
done
fails 2 '--ctx' '0' 'out of range' -- profile "$M" --calib x -o y --ctx 0
fails 2 '--threads' "'two'" -- profile "$M" --calib x -o y --threads two
fails 2 '--ctx' 'out of range' -- eval "$M" --text x --ctx 3
fails 2 '--seed' 'out of range' -- profile "$M" --calib x -o y --seed -1

# ---- what belongs together, and what excludes each other
fails 2 'one of' '--keep' '--prune-ratio' -- "${p[@]}"
fails 2 'one of' '--keep and --prune-ratio exclude each other' -- "${p[@]}" --keep 3 --prune-ratio 0.5
fails 2 'one of' -- "${p[@]}" --keep-ratio 0.5 --prune-ratio 0.5
fails 2 'one of' -- "${p[@]}" --fit 1G --keep 3
fails 2 'one of' -- run "$M" --calib "$M" -o y --keep 3 --prune-ratio 0.5
fails 2 '--output is missing' -- plan s.json --keep 3
fails 2 '--output is missing' -- profile "$M" --calib x
fails 2 '--calib is missing' -- profile "$M" -o y
fails 2 '--output is missing' -- run "$M" --calib x
fails 2 '--calib is missing' -- run "$M" -o y
fails 2 '--plan is missing' -- prune "$M" -o y
fails 2 '--output is missing' -- prune "$M" --plan y
fails 2 'nothing to evaluate' '--text' -- eval "$M"
fails 2 '--logprobs needs --calib' -- eval "$M" --text x --logprobs y
fails 2 '--resume and --force' -- profile "$M" --calib x -o y --resume --force
fails 2 "'luck' is not known" -- "${p[@]}" --keep 3 --criterion luck
fails 2 "'luck' is not known" -- stats s.json --criterion luck
fails 2 "'luck' is not known" -- run "$M" --calib "$TEXT/prose/story.txt" -o y --criterion luck
fails 2 'cache-type-k' "'f17'" 'did you mean f16' -- profile "$M" --calib "$TEXT/prose/story.txt" -o y -ctk f17
fails 2 'flash-attn' "'perhaps'" -- profile "$M" --calib "$TEXT/prose/story.txt" -o y -fa perhaps
fails 2 'perhaps' -- profile "$M" --calib "$TEXT/prose/story.txt" -o y --load-mode perhaps
fails 2 'perhaps' -- profile "$M" --calib "$TEXT/prose/story.txt" -o y --split-mode perhaps
fails 2 "'mmap.mlok' is not known" 'did you mean mmap.mlock' -- profile "$M" --calib "$TEXT/prose/story.txt" -o y --load-mode mmap+mlok
fails 2 'no-such-device' -- profile "$M" --calib "$TEXT/prose/story.txt" -o y --device no-such-device
echo '{"messages":[{"role":"user","content":"a b c"}]}' >chat.jsonl
fails 2 'no-such-template' -- profile "$M" --calib chat.jsonl -o y --chat-template no-such-template
rm -rf y.work

# ---- a result that cannot be written is a failure, not a success
ok profile "$M" --calib "$MODELS/qwen3_moe/texts.jsonl" -t 1 -o s.json --quiet
ok plan s.json --prune-ratio 25% -o percent.json
ok plan s.json --prune-ratio 0.25 -o number.json
expect '25% is 0.25' cmp percent.json number.json
hand_plan "$M" 6 p.json
ok prune "$M" --plan p.json -o w.gguf
cp "$M" m.gguf # names without blanks: the lines below are split into words
texts=$MODELS/qwen3_moe/texts.jsonl
cp "$texts" t.jsonl
n=0
while read -r line; do
    n=$((n + 1))
    read -ra a <<<"${line//@/$n}"
    if [[ -e /dev/full ]]; then
        n_checks=$((n_checks + 1))
        "$REAP" "${a[@]}" >/dev/full 2>.err </dev/null
        got=$?
        [[ $got = 1 ]] || say_bad "/dev/full: exit status $got, expected 1: $line"
        : >.out
        grep '^reap: ' .err | grep -v 'choice is not settled' >.e2
        mv .e2 .err
        one_line 'cannot write to standard output' 'No space left'
    fi
    "$REAP" "${a[@]//out/closed}" >&- 2>.err </dev/null
    got=$?
    n_checks=$((n_checks + 1))
    [[ $got = 1 ]] || say_bad "stdout closed: exit status $got, expected 1: $line"
    has .err '^reap: cannot write to standard output: '
done <<END
--version
--help
prune --help
inspect m.gguf
inspect m.gguf --json --tensors
stats s.json
plan s.json --keep 4 -o out@.json
prune m.gguf --plan p.json -o out@.gguf
prune m.gguf --plan p.json -o out@.gguf --dry-run
verify m.gguf w.gguf
profile m.gguf --calib t.jsonl -t 1 -o out@.json
eval m.gguf --calib t.jsonl -t 1
END
# no descriptor of ours lands on a closed 0, 1 or 2: a message there would end up inside the file
for closed in '<&-' '>&-' '2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
    rm -f c.gguf
    eval "\"\$REAP\" prune \"\$M\" --plan p.json -o c.gguf >closed.log 2>&1 $closed"
    expect "prune with $closed writes the same bytes" cmp w.gguf c.gguf
done

# ---- a pipe whose reader has gone (| head): the status says so as that of other tools does, and nothing else
for a in inspect stats; do
    mkfifo gone
    exec 7<>gone 8>gone 9<gone 7>&- 9<&- # a writer without a reader
    rm gone
    "$REAP" $a "$([[ $a = inspect ]] && echo "$M" || echo s.json)" >&8 2>pipe.err
    expect "$a into a closed pipe gives 141" test $? = 141
    expect "$a into a closed pipe is silent" test ! -s pipe.err
    "$REAP" $a missing --json >&8 2>pipe.err
    expect "$a: an error stays one" test $? = 2
    expect "$a: and is told" grep -q '^reap: .*missing' pipe.err
    exec 8>&-
done

# ---- --json of every command is one object with version, command and warnings
json_cmd() {
    local c=$1
    ok "$@" --json
    json .out "command=\"$c\"" warnings "reap=\"$("$REAP" --version | cut -d' ' -f2)\""
}
rm -f out*.json
json_cmd inspect "$M"
json .out 'model/n_experts=8' 'model/n_experts_used=2' n_files=1 refused=null
json_cmd profile "$M" --calib "$texts" -t 1 -o j.json
json .out n_tokens 'stats="j.json"' never_routed
json_cmd stats s.json
json .out layers/0/halves_agree/4 complete=true
json_cmd plan s.json --keep 4 -o jp.json
json .out n_keep=4 n_experts=8
json_cmd prune "$M" --plan p.json -o j.gguf
json .out 'files/0="j.gguf"' n_keep=6 dry_run=false
json_cmd verify "$M" j.gguf
json .out ok=true plan_found=true n_differences=0
json_cmd eval "$M" --calib "$texts" -t 1
json .out total/n_scored texts/0/ppl
json_cmd run "$M" --calib "$texts" -t 1 -o jr.gguf --keep 6
json .out n_keep=6 'output="jr.gguf"'
rc 3 verify "$M" w.gguf --plan jp.json --json      # a failed check is still one object
json .out command='"verify"' ok=false
hand_plan "$M" 6 np.json
"$JSON" set np.json model - >np2.json
ok prune "$M" --plan np2.json -o np.gguf --json --quiet
[[ -s .err ]] && say_bad '--quiet leaves something on stderr'
# what is wrong goes to stderr only, with --json as well
fails 2 'cannot open' -- inspect missing.gguf --json

# ---- -v: the engine's lines from "info" on; -vv and -v -v: those for its developers, too
for v in -v -vv '-v -v'; do
    rm -f v.json
    # shellcheck disable=SC2086
    ok profile "$M" --calib "$texts" -t 1 -o v.json $v
    cp .err "lines.${v// /_}"
done
has lines.-v '^print_info: '
lacks lines.-v '^create_tensor: ' '^llama_graph_n_input_tensors'
has lines.-vv '^print_info: ' '^create_tensor: '
expect '-v -v is -vv' test "$(wc -l <lines.-vv)" = "$(wc -l <lines.-v_-v)"
fails 2 "unknown option '-vq'" -- inspect "$M" -vq

# ---- no terminal: no escape sequences and no carriage returns; a locale with a decimal comma changes nothing
ok run "$M" --calib "$texts" -t 1 -o tr.gguf --keep 6 --text "$TEXT/prose/story.txt" --eval-ctx 32
lacks .err $'\x1b' $'\r'
lacks .out $'\x1b' $'\r'
for l in de_DE.UTF-8 de_DE.utf8 fr_FR.UTF-8; do
    LC_ALL=$l LANG=$l "$REAP" plan s.json --prune-ratio 0.5 -o "l-$l.json" >/dev/null 2>&1
    "$REAP" plan s.json --prune-ratio 0.5 -o "c-$l.json" >/dev/null 2>&1
    expect "locale $l" cmp "l-$l.json" "c-$l.json"
done
no_parts
finish
