#!/usr/bin/env bash
# battery.sh - every command over the small models of tests/data, as a list of hashes: what a redesign must leave alone.
#
#   tests/battery.sh [--keep DIR] [--only WORD] [REAP] >list      (REAP: the program, default build/reap)
#
# One line per output, "NAME  HASH": NAME.out and NAME.err are what a call printed (the exit status is the last line of NAME.err),
# NAME.FILE a file that it wrote, NAME.FILE.list a model. Two lists of two programs are compared with diff; with --keep the outputs themselves are left in
# DIR, so that `diff -r` shows what differs. What may differ between two runs of one program is taken out by the rules of `plain`. --only: the
# parts that are called so (see the end of this file). Not part of make test: it knows no right and wrong, only before and after.
set -u
keep='' only=''
while [[ ${1-} = --* ]]; do
    case $1 in
    --keep) keep=$(realpath -m "$2") ;;
    --only) only=$2 ;;
    *) echo "usage: tests/battery.sh [--keep DIR] [--only WORD] [REAP]" >&2; exit 2 ;;
    esac
    shift 2
done
SRC=$(realpath "$(dirname "$0")/..")
REAP=$(realpath "${1:-$SRC/build/reap}")
BIN=${BIN:-$(dirname "$REAP")}
export SRC REAP BIN GOMP_SPINCOUNT=2000 GLIBC_TUNABLES=glibc.malloc.hugetlb=0
[[ -x $REAP ]] || { echo "battery.sh: no program '$REAP'" >&2; exit 2; }
. "$SRC/tests/cli/lib.bash"
cd "$T" || exit 1
export REAP_CACHE=$T/cache
unset REAP_API_KEY OPENAI_API_KEY REAP_LLAMA_SERVER http_proxy HTTP_PROXY all_proxy ALL_PROXY
K=$T/kept
mkdir "$K"
# Names without the place of the repository.
ln -s "$SRC/tests/data/families" fam
ln -s "$SRC/tests/data/structural" forms
ln -s "$SRC/tests/data/perplexity" ppl
ln -s "$SRC/examples" ex
ln -s "$SRC/models" models
Q=fam/qwen3_moe
tiny=models/tinymoe-Q8_0.gguf
families=$(cd fam && echo */ | tr -d /)

# ---- what is kept

# Times, rates, ports, places and the keys made of times; the program's version.
plain() {
    sed -E -e "s#$T#@T#g; s#$SRC#@SRC#g" -e 's#127\.0\.0\.1:[0-9]+#127.0.0.1:PORT#g' \
        -e 's/"([a-z_]*seconds|[a-z_]*per_second|created|started|ended|time|date)": [-0-9.e+]+/"\1": TIME/g' \
        -e 's/"(created|started|ended|time|date)": "[^"]*"/"\1": TIME/g' \
        -e 's/"(key|files)": "([0-9a-f]{64}|(file|folder) [^"]*)"/"\1": KEY/g' \
        -e 's/\b[0-9]+([.,][0-9]+)* (s|ms|min|h)\b/N s/g; s#[0-9.,]+ ([kMG]i?B/s|tokens/s|tok/s|token/s)#N \1#g'
}

# A model: name, size and hash of each file, then the JSON files and the card as text.
listing() { # PATH
    if [[ -d $1 ]]; then
        (
            cd "$1" || exit
            find . -type f | sort | while read -r f; do
                case $f in
                *.json | *.md) printf '%s %s\n' "$f" "$(plain <"$f" | sha256sum | cut -c1-64)" ;;
                *) printf '%s %s %s\n' "$f" "$(stat -c %s "$f")" "$(sha256sum <"$f" | cut -c1-64)" ;;
                esac
            done
            for f in config.json reap.json README.md; do
                [[ ! -f $f ]] || { echo "---- $f"; plain <$f; }
            done
        )
    else
        printf '%s %s\n' "$(stat -c %s "$1")" "$(sha256sum <"$1" | cut -c1-64)"
    fi
}

b() { # NAME ARGS...: one call
    local name=$1 got
    shift
    "$REAP" "$@" >.bo 2>.be </dev/null
    got=$?
    [[ ! -s .bo ]] || plain <.bo >"$K/$name.out"
    { plain <.be; echo "exit status $got"; } >"$K/$name.err"
    return $got
}

both() { # NAME ARGS...: as text, and once more as JSON (of what may be repeated)
    local name=$1
    shift
    b "$name" "$@"
    b "$name.json" "$@" --json
}

f() { # NAME FILE...: what a call wrote
    local name=$1 file
    shift
    for file; do
        if [[ ! -e $file ]]; then
            echo 'not there' >"$K/$name.${file##*/}"
        elif [[ -d $file || $file = *.gguf ]]; then
            listing "$file" >"$K/$name.${file##*/}.list"
        else
            plain <"$file" >"$K/$name.${file##*/}"
        fi
    done
}

edit() { "$EDIT" "$@" >&2; }

# ---- the parts

part_usage() {
    local c commands
    commands=$("$REAP" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p')
    b help --help
    b version --version
    b nothing
    b unknown prun
    b empty ''
    for c in $commands; do
        b "help-$c" "$c" --help
        b "noarg-$c" "$c"
        b "badopt-$c" "$c" "$Q/model.gguf" --no-such-option
        b "badshort-$c" "$c" -Z
        b "three-$c" "$c" one two three
        b "noval-$c" "$c" x -o
    done
    local p=(plan s.json -o p.json) v n=0
    for v in 0.8x '' 1e1 3.0 +3 99999999999999999999 nan 0 -1 65537; do b "keep-$((n++))" "${p[@]}" --keep "$v"; done
    for v in 1.5 -0.1 nan '' 25% 0,25; do b "ratio-$((n++))" "${p[@]}" --prune-ratio "$v"; done
    for v in '' x 12Q -1G 12GiBx nan; do b "fit-$((n++))" "${p[@]}" --fit "$v"; done
    b excl-1 "${p[@]}"
    b excl-2 "${p[@]}" --keep 3 --prune-ratio 0.5
    b excl-3 "${p[@]}" --fit 1G --keep 3
    b excl-4 plan --from x --criterion reap -o y
    b excl-5 plan s.json --from x -o y
    b excl-6 profile "$Q/model.gguf" --calib x -o y --resume --force
    b excl-7 eval "$Q/model.gguf" --text x --logprobs y
    b excl-8 profile "$Q/model.gguf" --calib x -o y --shard 1/2 --until-stable 0.25
    b miss-1 plan s.json --keep 3
    b miss-2 profile "$Q/model.gguf" --calib x
    b miss-3 profile "$Q/model.gguf" -o y
    b miss-4 run "$Q/model.gguf" --calib x
    b miss-5 run "$Q/model.gguf" -o y
    b miss-6 prune "$Q/model.gguf" -o y
    b miss-7 prune "$Q/model.gguf" --plan y
    b miss-8 sweep "$Q/model.gguf" --text ppl/text.txt
    b miss-9 refine "$Q/model.gguf" --plan x --stats y -o z
    b miss-10 report --title x
    b miss-11 report -o x.html
    b miss-12 batch --prompts x -o y
    b miss-13 batch --server http://x -o y
    b miss-14 compare x
    b miss-15 convert x
    b miss-16 quantize x q8_0
    b miss-17 eval "$Q/model.gguf"
    for v in "--flash-attn perhaps" "--load-mode perhaps" "--split-mode perhaps" "-ctk f17" "--device no-such" "--type q9" "--chat-template no-such" \
        "--ctx 0" "--threads two" "--seed -1" "--shard 4/3" "--shard x" "--until-stable 2" "--tensor-split x" "--pretokenizer no-such" "--n-gpu-layers x"; do
        # shellcheck disable=SC2086
        b "engine-$((n++))" profile "$Q/model.gguf" --calib "$Q/texts.jsonl" -o y.json $v
        rm -f y.json
    done
    b choice-1 "${p[@]}" --keep 3 --criterion luck
    b choice-2 stats ex/stats.json --criterion luck
    b choice-3 run "$Q/model.gguf" --calib "$Q/texts.jsonl" -o y --criterion luck
    b choice-4 plan ex/stats.json --stats s.json --keep 3 --blend x -o y
    b choice-5 prune fam/glm4_moe/model.gguf --plan fam/glm4_moe/plan.json --mtp keep -o y
    b choice-6 stats import imatrix.gguf --model "$tiny" --format x -o y
    b choice-7 convert "$Q/hf" --type q9 -o y
    b choice-8 quantize "$Q/model.gguf" q9 -o y
    b choice-9 refine "$Q/model.gguf" --plan x --stats ex/stats.json --calib ppl/text.txt --criterion best -o y
    b choice-10 refine "$Q/model.gguf" --plan x --stats y --calib z --budget soon -o y
    b choice-11 sweep "$Q/model.gguf" --stats y --text z --criteria reap,luck
    b choice-12 sweep "$Q/model.gguf" --stats y --text z --ratios 0.5,x
    b choice-13 sweep "$Q/model.gguf" --stats y --text z --max-ppl-increase x
    b serve-1 serve nothere.gguf
    b serve-2 serve "$tiny" -- --port 8080
    b serve-3 serve "$tiny" --port 65536
    b serve-4 serve "$tiny" b
    rm -rf y.work
}

part_inspect() {
    local m
    for m in $families; do
        both "gguf-$m" inspect "fam/$m/model.gguf"
        both "hf-$m" inspect "fam/$m/hf"
        b "tensors-$m" inspect "fam/$m/model.gguf" --tensors
        b "hftensors-$m" inspect "fam/$m/hf" --tensors
    done
    for m in forms/*/config.json; do
        m=${m%/config.json}
        both "form-${m#*/}" inspect "$m"
    done
    b form-tensors inspect forms/qwen3.5-moe-nvfp4 --tensors --json
    for m in forms/bad/*/; do
        m=${m%/}
        b "bad-${m##*/}" inspect "$m"
    done
    both tiny inspect "$tiny"
}

# Every storage form and family as a folder: pruned, verified, converted.
one_folder() { # NAME MODEL PLAN
    local n=$1 m=$2 plan=$3
    b "$n.prune" prune "$m" --plan "$plan" -o out --json && f "$n" out
    b "$n.verify" verify "$m" out --plan "$plan"
    b "$n.find" verify "$m" out --write-plan found.json --json && f "$n" found.json
    b "$n.convert" convert "$m" -o out.gguf --name m && f "$n" out.gguf
    b "$n.convert-pruned" convert out -o p.gguf --name m && f "$n" p.gguf
    rm -rf out out.gguf p.gguf found.json
}

part_folders() {
    local m
    for m in forms/*/pruned; do
        m=${m%/pruned}
        one_folder "${m#*/}" "$m" "$m/pruned/plan.json"
    done
    for m in $families; do one_folder "f-$m" "fam/$m/hf" "fam/$m/plan.json"; done
    for m in forms/bad/*/; do
        m=${m%/}
        b "bad-${m##*/}.prune" prune "$m" --plan "$m/plan.json" -o out
        b "bad-${m##*/}.convert" convert "$m" -o out.gguf
        rm -rf out out.gguf
    done
    for m in dense llama4-128 unknown-fused; do
        [[ ! -d forms/$m ]] || b "refused-$m" prune "forms/$m" --plan "$Q/plan.json" -o out
    done
    # options
    m=forms/mixtral
    local plan=$m/pruned/plan.json
    both dry prune $m --plan $plan -o out --dry-run
    b shards prune $m --plan $plan -o shards --max-shard-size 10K && f shards shards
    b aliases prune $m --plan $plan -o aliases --add-count-aliases && f aliases aliases
    b noprov prune $m --plan $plan -o noprov --no-provenance --no-card && f noprov noprov
    b base prune $m --plan $plan -o base --base-model me/mine && f base base
    b onto prune $m --plan $plan -o base
    b force prune $m --plan $plan -o base --force && f force base
    mkdir mine && echo x >mine/x
    b mine prune $m --plan $plan -o mine --force
    b self prune base --plan $plan -o base --force
    b merge prune forms/deepseek-v3-fp8 --plan forms/deepseek-v3-fp8/pruned/plan.json -o merged --merge && f merge merged
    for m in deepseek-v3-fp8 glm4-moe bailing-moe-v2 qwen3-next-mtp nemotron-h qwen3.5-moe-nvfp4; do
        b "mtp-$m" prune forms/$m --plan forms/$m/pruned/plan.json -o mtp-$m --mtp drop && f mtp mtp-$m
        b "mtp-$m.verify" verify forms/$m mtp-$m --plan forms/$m/pruned/plan.json
    done
    b mtp-none prune "$Q/hf" --plan "$Q/plan.json" -o no --mtp drop
    for m in f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0; do b "type-$m" convert "$Q/hf" -o t-$m.gguf --type $m --json && f type t-$m.gguf; done
    b pretok convert "$Q/hf" -o x.gguf --pretokenizer no-such
    b there convert "$Q/hf" -o t-f16.gguf
    b onto-config convert "$Q/hf" -o "$Q/hf/config.json" --force
    rm -rf shards aliases noprov base mine merged mtp-* t-*.gguf
}

# Every family as a GGUF file: profiled, planned, pruned, verified, evaluated with the plan as a mask and pruned.
part_gguf() {
    local m
    for m in $families; do
        b "$m.profile" profile fam/$m/model.gguf --calib fam/$m/texts.jsonl -t 1 -o $m.json --json && f "$m" $m.json
        b "$m.stats" stats $m.json
        b "$m.plan" plan $m.json --prune-ratio 0.34 --model fam/$m/model.gguf -o $m.plan.json && f "$m" $m.plan.json
        b "$m.prune" prune fam/$m/model.gguf --plan $m.plan.json -o $m.gguf && f "$m" $m.gguf
        both "$m.verify" verify fam/$m/model.gguf $m.gguf --plan $m.plan.json
        b "$m.find" verify fam/$m/model.gguf $m.gguf --write-plan found.json && f "$m" found.json
        b "$m.mask" eval fam/$m/model.gguf --plan $m.plan.json --calib fam/$m/texts.jsonl -t 1 -o e.json --logprobs l.jsonl && f "$m" e.json l.jsonl
        b "$m.eval" eval $m.gguf --calib fam/$m/texts.jsonl -t 1 --json
        rm -f found.json e.json l.jsonl $m.gguf
    done
    b hf.profile profile "$Q/hf" --calib "$Q/texts.jsonl" -t 1 -o hf.json && f hf hf.json
    b hf.q8 profile "$Q/hf" --type q8_0 --calib "$Q/texts.jsonl" -t 1 -o q8.json && f hf q8.json
    b hf.eval eval fam/gpt_oss_mxfp4/hf --calib fam/gpt_oss_mxfp4/texts.jsonl -t 1 --json
    # split
    edit --split 3 "$Q/model.gguf" m
    both split.inspect inspect m-00001-of-00003.gguf
    b split.second inspect m-00002-of-00003.gguf
    b split.prune prune m-00001-of-00003.gguf --plan "$Q/plan.json" -o o.gguf --json && f split o-0000?-of-00003.gguf
    b split.verify verify m-00001-of-00003.gguf o-00001-of-00003.gguf --plan "$Q/plan.json"
    b split.merge prune m-00001-of-00003.gguf --plan "$Q/plan.json" -o o.gguf --merge && f split o.gguf
    b split.profile profile m-00001-of-00003.gguf --calib "$Q/texts.jsonl" -t 1 -o sp.json && f split sp.json
    mv m-00002-of-00003.gguf hidden
    b split.missing inspect m-00001-of-00003.gguf
    rm -f m-0* o* hidden
    # options of prune
    m=fam/glm4_moe
    b mtp.drop prune $m/model.gguf --plan $m/plan.json -o d.gguf --mtp drop && f mtp d.gguf
    b mtp.verify verify $m/model.gguf d.gguf --plan $m/plan.json
    b noprov prune "$Q/model.gguf" --plan "$Q/plan.json" -o n.gguf --no-provenance && f noprov n.gguf
    both dry prune "$Q/model.gguf" --plan "$Q/plan.json" -o dry.gguf --dry-run
    b there prune "$Q/model.gguf" --plan "$Q/plan.json" -o n.gguf
    b onto prune "$Q/model.gguf" --plan "$Q/plan.json" -o "$Q/model.gguf" --force
    edit n.gguf x.gguf flip blk.1.attn_q.weight 5000 set general.name str Other
    both differs verify "$Q/model.gguf" x.gguf --plan "$Q/plan.json"
    b differs.find verify "$Q/model.gguf" x.gguf
    b other verify fam/mixtral/model.gguf n.gguf
    b quantize quantize "$Q/model.gguf" q8_0 -o q8.gguf -t 1 && f quantize q8.gguf
    b quantize.mix quantize "$Q/model.gguf" q4_K_M -o q4.gguf -t 1 --json && f quantize q4.gguf
    b quantize.pure quantize "$Q/model.gguf" q4_0 --pure -o q40.gguf -t 1 && f quantize q40.gguf
    b quantize.again quantize q8.gguf q4_0 -o q9.gguf -t 1
    b quantize.allow quantize q8.gguf q4_0 -o q9.gguf -t 1 --allow-requantize && f quantize q9.gguf
    rm -f ./*.gguf
}

part_text() {
    local i
    for i in messages plain prompts text tokens; do
        b "src-$i" profile "$tiny" --calib "$(compgen -G "ex/calibration/$i.*")" -t 1 -o src.json --json && f "$i" src.json
        rm -f src.json
    done
    b folder profile "$tiny" --calib ex/calibration/by-category -t 1 -o folder.json --samples-per-category 2 --ctx 64 && f folder folder.json
    b max profile "$tiny" --calib ex/calibration/by-category -t 1 -o max.json --max-samples 3 --seed 7 && f max max.json
    b limits profile "$Q/model.gguf" --calib "$Q/texts.jsonl:2" --calib "$Q/texts.jsonl:3" -t 1 -o limits.json --no-shuffle && f limits limits.json
    b streams profile "$Q/model.gguf" --calib "$Q/texts.jsonl" -t 1 -o streams.json --separate-streams --sequences 3 && f streams streams.json
    b shard profile "$Q/model.gguf" --calib "$Q/texts.jsonl" --ctx 32 -t 1 -o shard.json --shard 2/3 && f shard shard.json
    b again profile "$Q/model.gguf" --calib "$Q/texts.jsonl" --ctx 32 -t 1 -o shard.json --shard 2/3
    b resume profile "$Q/model.gguf" --calib "$Q/texts.jsonl" --ctx 32 -t 1 -o shard.json --shard 2/3 --resume
    b resume-other profile "$Q/model.gguf" --calib "$Q/texts.jsonl" --ctx 64 -t 1 -o shard.json --shard 2/3 --resume
    b onto profile "$Q/model.gguf" --calib "$Q/texts.jsonl" -t 1 -o "$Q/texts.jsonl" --force
    b stable profile "$tiny" --calib ppl/text.txt --ctx 128 -t 1 --until-stable 0.9 -o stable.json && f stable stable.json
    # rows that are wrong
    i=0
    while IFS= read -r row; do
        i=$((i + 1))
        { sed -n 1,2p "$Q/texts.jsonl"; printf '%s\n' "$row"; sed -n 3p "$Q/texts.jsonl"; } >row.jsonl
        b "row-$i" profile "$Q/model.gguf" --calib row.jsonl -t 1 -o row.json
        b "skip-$i" profile "$Q/model.gguf" --calib row.jsonl -t 1 -o row.json --skip-bad --json
        rm -f row.json
    done <<'END'
{"text": "a b c"
{"text": "a", "text": "b"}
{"words": "a b c"}
["text"]
{"text": ""}
{"text": 3}
{"text": "\ud800"}
{"text": "a", "prompt": "b"}
{"text": "a", "response": "b"}
{"prompt": ""}
{"prompt": ["a"]}
{"messages": []}
{"messages": [{"content": "a"}]}
{"messages": [{"role": "user"}]}
{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}
{"tokens": []}
{"tokens": [1, 2.5]}
{"tokens": [1, -2]}
{"tokens": "1 2 3"}
{"tokens": [1, 2, 640]}
END
    : >empty.txt
    mkdir none mixed mixed/a mixed/b
    sed -n 1,3p "$Q/texts.jsonl" >mixed/a/rows.jsonl
    echo 'plain words' >mixed/b/text.txt
    head -c 300 "$Q/model.gguf" >mixed/b/model.bin
    b mixed profile "$Q/model.gguf" --calib mixed -t 1 -o mixed.json --json && f mixed mixed.json
    b no-file profile "$Q/model.gguf" --calib missing.jsonl -o x.json
    b no-row profile "$Q/model.gguf" --calib empty.txt -o x.json
    b no-text profile "$Q/model.gguf" --calib none -o x.json
    b binary profile "$Q/model.gguf" --calib "$Q/model.gguf" -o x.json
    b limit0 profile "$Q/model.gguf" --calib "$Q/texts.jsonl:0" -o x.json
    # eval
    both eval.text eval "$Q/model.gguf" --text ppl/text.txt --ctx 64 -t 1 -o ev.json --force
    f eval ev.json
    head -c 3000 ppl/text.txt >one.txt
    head -c 6000 ppl/text.txt | tail -c 3000 >two.txt
    both eval.against eval "$Q/model.gguf" --plan "$Q/plan.json" --against "$Q/model.gguf" --text one.txt --text two.txt --ctx 64 -t 1 -o ag.json --force
    f eval ag.json
    b eval.folder eval "$Q/hf" --plan "$Q/plan.json" --against "$Q/model.gguf" --text one.txt --ctx 64 -t 1 --json
    b eval.vocab eval "$Q/model.gguf" --against fam/gpt_oss/model.gguf --text one.txt --ctx 64
    b eval.short eval "$Q/model.gguf" --text empty.txt
    b eval.tiny eval "$Q/model.gguf" --text one.txt --ctx 4096
    b eval.plan eval "$Q/model.gguf" --plan fam/gpt_oss/plan.json --text one.txt --ctx 64
    rm -rf mixed none
}

part_plans() {
    local S=ex/stats.json c n=0 v
    both stats.show stats $S
    both stats.sizes stats $S --model "$tiny"
    both stats.criterion stats $S --criterion frequency
    for c in code prose; do b "profile.$c" profile "$tiny" --calib ex/calibration/by-category/$c -t 1 -o $c.json && f profile $c.json; done
    both stats.two stats code.json prose.json --model "$tiny"
    b merge stats merge code.json prose.json -o merged.json --json && f merge merged.json
    b merge.twice stats merge code.json ./code.json -o x.json
    for v in 1 2 3; do b "shard$v" profile "$tiny" --calib ex/calibration/by-category -t 1 -o p$v.json --shard $v/3; done
    b merge.shards stats merge p3.json p1.json p2.json -o all.json && f merge all.json
    b merge.missing stats merge p3.json p1.json -o x.json
    b stats.shard stats p1.json
    b export stats export $S -o exported.json --json && f export exported.json
    b import stats import exported.json --model "$tiny" -o imported.json --json && f import imported.json
    both import.stats stats imported.json
    cp "$SRC/tests/data/import/imatrix.gguf" .
    b import.imatrix stats import imatrix.gguf --architecture qwen3moe --experts-used 2 -o im.json && f import im.json
    b import.plan plan im.json --keep 4 --criterion frequency -o imp.json && f import imp.json
    b import.needs plan im.json --keep 4 --criterion reap -o imx.json
    for c in reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 max_activation random weighted_ean_sum expert_frequency \
        weighted_frequency_sum weighted_expert_frequency_sum max_activations; do
        b "criterion-$c" plan $S --keep 16 --criterion "$c" -o "c-$c.json" --json && f criterion "c-$c.json"
    done
    plan() { # ARGS
        n=$((n + 1))
        b "plan-$n" plan "$@" -o "pl$n.json" && f plan "pl$n.json"
    }
    plan $S --keep 24
    plan $S --keep-ratio 0.3
    plan $S --prune-ratio 0.3 --round-to 8
    plan $S --fit 5M --model "$tiny"
    plan $S --fit 1k --model "$tiny"
    plan $S --fit 5M
    plan $S --keep 3
    plan $S --keep 33
    plan $S --keep 12 --round-to 5
    plan $S --keep 8 --criterion random --seed 3
    plan code.json --stats prose.json --keep 16 --model "$tiny"
    plan --stats code.json:4 --stats prose.json:1 --keep 16
    plan code.json --stats prose.json --blend maxmin --keep 16
    plan code.json --stats prose.json:2 --blend maxmin --keep 16
    plan code.json --stats ./code.json --keep 16
    plan --stats code.json:0 --keep 16
    plan $S --keep 8 --protect-super
    printf '3: 1 2 3\n' >protect.txt
    printf '{"3": [1, 2], "4": [30]}' >protect.json
    plan $S --keep 8 --protect protect.txt
    plan $S --keep 8 --protect protect.json
    printf '3: a\n' >bad.txt
    plan $S --keep 8 --protect bad.txt
    printf '9: 1\n' >bad.txt
    plan $S --keep 8 --protect bad.txt
    printf '{"n_expert": 8, "keep": {"0": [7, 1, 2, 3], "1": [0, 1, 2, 3], "2": [4, 5, 6, 7]}}' >keep.json
    printf '{"0": [7, 1, 2, 3, 0, 4, 5, 6]}\n{"1": [0, 1, 2, 3, 4, 5, 6, 7]}\n{"2": [4, 5, 6, 7, 3, 2, 1, 0]}\n' >rank.jsonl
    plan --from keep.json --model "$Q/model.gguf"
    plan --from keep.json
    plan --from rank.jsonl --prune-ratio 0.5 --model "$Q/model.gguf"
    plan --from rank.jsonl --keep 4
    plan --from rank.jsonl --keep 1 --model "$Q/model.gguf"
    plan --from keep.json --keep 3
    sed 's/7, 1/1, 1/' keep.json >bad.json
    plan --from bad.json --model "$Q/model.gguf"
    sed 's/7, 1, //' keep.json >bad.json
    plan --from bad.json
    plan $S --keep 8 --model "$Q/model.gguf"
    # plans that are wrong
    hand_plan "$Q/model.gguf" 4 good.json
    b kept prune "$Q/model.gguf" --plan good.json -o kept.gguf
    n=0
    while read -r v; do
        n=$((n + 1))
        # shellcheck disable=SC2086
        "$JSON" set good.json $v >bad.json
        b "bad-plan-$n" prune "$Q/model.gguf" --plan bad.json -o out.gguf
        b "bad-plan-$n.verify" verify "$Q/model.gguf" kept.gguf --plan bad.json
        b "bad-plan-$n.folder" prune "$Q/hf" --plan bad.json -o out
        b "bad-plan-$n.eval" eval "$Q/model.gguf" --plan bad.json --calib "$Q/texts.jsonl" -t 1
        rm -rf out out.gguf
    done <<'END'
schema "reap.plan/2"
schema -
keep -
keep {}
keep [[0,1]]
n_keep -
n_keep 0
n_keep 65537
n_keep 4.0
n_keep "4"
n_keep null
keep/7 [0,1,2,3]
keep/1 -
keep/01 [0,1,2,3]
keep/x [0,1,2,3]
keep/1 {}
keep/1 null
keep/1 [0,1,1,3]
keep/1 [0,1,2,8]
keep/1 [0,1,2,4294967295]
keep/1 [0,1,2,-1]
keep/1 [0,1,2,3.0]
keep/1 [0,2,1,3]
keep/1 [0,1,2]
n_keep 5
n_keep 1 keep/0 [0] keep/1 [0] keep/2 [0]
model -
model null
model/router_hash null
model/router_hash "00"
model/n_experts 16
model/n_experts "8"
model/architecture "llama"
END
    b groups prune fam/deepseek_v3/model.gguf --plan good.json -o out.gguf
    printf '{"schema":"reap.plan/1","n_keep":6,"keep":{"1":[0,1,2,3,4,5],"2":[0,1,2,3,4,5]}}' >bad.json
    b groups.6 prune fam/deepseek_v3/model.gguf --plan bad.json -o out.gguf
    b groups.6f prune fam/deepseek_v3/hf --plan bad.json -o out
    # statistics that are wrong
    b q.profile profile "$Q/model.gguf" --calib "$Q/texts.jsonl" -t 1 -o q.json
    n=0
    while read -r v; do
        n=$((n + 1))
        # shellcheck disable=SC2086
        "$JSON" set q.json $v >bad.json
        b "bad-stats-$n" stats bad.json
        b "bad-stats-$n.plan" plan bad.json --keep 4 -o x.json
        b "bad-stats-$n.resume" profile "$Q/model.gguf" --calib "$Q/texts.jsonl" -t 1 -o bad.json --resume
        rm -f x.json
    done <<'END'
schema "reap.stats/2"
schema -
model -
layers -
layers {}
layers []
layers/1 3
layers/1/halves -
layers/1/halves/odd -
layers/2/halves/even/reap_sum -
layers/2/total_tokens -
layers/2/n_experts_used 9
layers/2/count/7 -
model/n_experts 7
model/n_experts 100000
layers/0/halves/even/ean_sum/3 "x"
layers/0/halves/even/count/3 1.5
layers/0/halves/even/count/3 -1
layers/1/count/3 5
layers/1/reap_sum/3 123456.5
layers/1/total_tokens 5
progress {"batches_done":1,"batches":2}
model/name "x\u001b[31mred"
calibration -
END
    rm -f kept.gguf
}

# Models that are wrong: each command says the same.
part_models() {
    local n=0 v m c
    while IFS='|' read -r m v; do
        n=$((n + 1))
        rm -f x.gguf
        # shellcheck disable=SC2086
        edit fam/$m/model.gguf x.gguf $v
        b "gguf-$n" inspect x.gguf
        b "gguf-$n.prune" prune x.gguf --plan fam/$m/plan.json -o out.gguf
        case $((n % 4)) in
        0) b "gguf-$n.profile" profile x.gguf --calib fam/$m/texts.jsonl -t 1 -o x.json ;;
        1) b "gguf-$n.eval" eval x.gguf --calib fam/$m/texts.jsonl -t 1 ;;
        2) b "gguf-$n.run" run x.gguf --calib fam/$m/texts.jsonl -t 1 -o out.gguf ;;
        3) b "gguf-$n.verify" verify x.gguf fam/$m/model.gguf ;;
        esac
        rm -rf out.gguf* x.json
    done <<'END'
qwen3_moe|set qwen3moe.expert_count u32 16
qwen3_moe|set qwen3moe.expert_count u32 4294967295
qwen3_moe|set qwen3moe.expert_count str eight
qwen3_moe|set qwen3moe.expert_count u32s 8,8,8
qwen3_moe|dim blk.1.ffn_up_exps.weight 3 7
qwen3_moe|dim blk.2.ffn_gate_inp.weight 2 9
qwen3_moe|dim blk.1.ffn_up_exps.weight 4 2
glm4_moe|dim blk.1.exp_probs_b.bias 1 7
gpt_oss|dim blk.1.ffn_up_exps.bias 2 11
qwen3_moe|set qwen3moe.expert_used_count u32 9
qwen3_moe|set qwen3moe.expert_used_count u32 0
qwen3_moe|del qwen3moe.expert_used_count
qwen3_moe|del qwen3moe.block_count
qwen3_moe|set qwen3moe.block_count u32 2
qwen3_moe|set qwen3moe.block_count u32 100000
deepseek_v3|set deepseek2.expert_group_count u32 5
deepseek_v3|set deepseek2.expert_group_count u32 12
deepseek_v3|set deepseek2.expert_group_used_count u32 4
deepseek_v3|set deepseek2.expert_group_used_count u32 1
qwen3_moe|drop blk.1.ffn_gate_inp.weight
qwen3_moe|drop blk.1.ffn_down_exps.weight
qwen3_moe|drop blk.1.ffn_gate_exps.weight
qwen3_moe|add blk.1.ffn_side_exps.weight f32 64,32,8
qwen3_moe|add blk.0.attn_q.weight f32 64
qwen3_moe|add blk.7.attn_q.weight f32 64
qwen3_moe|align 3
qwen3_moe|set general.architecture str llama set llama.block_count u32 3
qwen3_moe|set general.architecture str nosucharch
qwen3_moe|set general.architecture str qwen9moe set qwen9moe.expert_count u32 8
qwen3_moe|set general.architecture u32 3
qwen3_moe|del general.architecture
qwen3_moe|add blk.0.ffn_gate_tid2eid.weight i32 2,640
qwen3_moe|add blk.0.ffn_up_chexps.weight f32 64,16,4
llama4|set llama4.block_count u32 3
qwen3_moe|f32 blk.1.ffn_gate_inp.weight 70 nan
qwen3_moe|f32 blk.1.ffn_down_exps.weight 70 inf
qwen3_moe|dim blk.0.attn_q.weight 2 32
qwen3_moe|del tokenizer.ggml.tokens
qwen3_moe|version 2
END
    local a=(set llama4.expert_count u32 128) il t
    for il in 1 3; do
        a+=(dim blk.$il.ffn_gate_inp.weight 2 128)
        for t in up gate down; do a+=(dim blk.$il.ffn_${t}_exps.weight 3 128); done
    done
    edit fam/llama4/model.gguf maverick.gguf "${a[@]}"
    hand_plan maverick.gguf 64 mav.json
    both maverick inspect maverick.gguf
    for c in "prune maverick.gguf --plan mav.json -o o.gguf --force" "prune maverick.gguf --plan mav.json -o o.gguf --dry-run" \
        "profile maverick.gguf --calib ppl/text.txt -o o.json" "run maverick.gguf --calib ppl/text.txt -o o.gguf" \
        "eval maverick.gguf --plan mav.json --text ppl/text.txt" "verify maverick.gguf maverick.gguf" "plan ex/stats.json --keep 8 --model maverick.gguf -o o.json" \
        "sweep maverick.gguf --stats ex/stats.json --text ppl/text.txt" "refine maverick.gguf --plan mav.json --stats ex/stats.json --calib ppl/text.txt -o o.json"; do
        # shellcheck disable=SC2086
        b "maverick-${c%% *}-$((n++))" $c
    done
    : >empty.gguf
    printf 'GGUF' >magic.gguf
    head -c 5000 "$Q/model.gguf" >header.gguf
    head -c 500000 "$Q/model.gguf" >cut.gguf
    mkdir folder
    for c in "inspect missing.gguf" "inspect empty.gguf" "inspect magic.gguf" "inspect header.gguf" "inspect cut.gguf" "inspect folder" "inspect $Q/texts.jsonl" \
        "profile missing.gguf --calib x -o y" "eval cut.gguf --text ppl/text.txt" "convert cut.gguf -o x.gguf" "convert folder -o x.gguf" \
        "quantize cut.gguf q8_0 -o x.gguf" "quantize $Q/hf q8_0 -o x.gguf" "verify cut.gguf cut.gguf" "run cut.gguf --calib ppl/text.txt -o y" \
        "sweep cut.gguf --stats ex/stats.json --text ppl/text.txt" "report nothing -o x.html" "stats nothing.json" "compare nothing.json nothing.json"; do
        # shellcheck disable=SC2086
        b "file-$((n++))" $c
    done
    rm -rf folder ./*.gguf
}

part_jobs() {
    local m=$Q/model.gguf q=(-t 1 --ctx 64)
    head -c 2500 ppl/text.txt >dev.txt
    head -c 5000 ppl/text.txt | tail -c 2500 >held.txt
    b profile profile "$m" --calib "$Q/texts.jsonl" -t 1 -o s.json
    both sweep sweep "$m" --stats s.json --text dev.txt "${q[@]}" --criteria reap,frequency,random --ratios 0.25,0.5
    b sweep.kl sweep "$m" --stats s.json --text dev.txt "${q[@]}" --max-kl 0.6 -o chosen.json && f sweep chosen.json
    b sweep.none sweep "$m" --stats s.json --text dev.txt "${q[@]}" --max-kl 0 -o none.json
    f sweep none.json.state
    b sweep.go sweep "$m" --stats s.json --text dev.txt "${q[@]}" --max-kl 5 -o none.json
    f sweep none.json
    b sweep.ppl sweep "$m" --stats s.json --text dev.txt "${q[@]}" --max-ppl-increase 2% --json
    b sweep.other sweep fam/mixtral/model.gguf --stats s.json --text dev.txt "${q[@]}"
    b plan plan s.json --keep 5 -o p.json
    b refine refine "$m" --plan p.json --stats s.json --calib dev.txt --check held.txt "${q[@]}" --trials 6 -o r.json --json && f refine r.json
    b refine.seed refine "$m" --plan p.json --stats s.json --calib dev.txt "${q[@]}" --trials 4 --seed 3 --near 2 -o r2.json && f refine r2.json
    b refine.check refine "$m" --plan p.json --stats s.json --calib dev.txt --check dev.txt -o r3.json
    b refine.onto refine "$m" --plan p.json --stats s.json --calib dev.txt -o p.json -f
    plan_all() { hand_plan "$m" 8 all.json; }
    plan_all
    b refine.all refine "$m" --plan all.json --stats s.json --calib dev.txt -o r3.json
    # the whole job
    local run=(run "$m" --calib "$Q/texts.jsonl" -t 1 --ctx 64 --text dev.txt --text held.txt --eval-ctx 64 -o job.gguf)
    b run "${run[@]}" && f run job.gguf job.gguf.work/{stats,plan,eval-before,eval-after,run}.json job.gguf.work/report.html
    both run.again "${run[@]}"
    b run.keep "${run[@]}" --keep 5 --criterion frequency --json && f run-keep job.gguf job.gguf.work/plan.json job.gguf.work/report.html
    rm job.gguf.work/plan.json
    b run.lost "${run[@]}" --keep 5 --criterion frequency
    rm job.gguf
    b run.made "${run[@]}" --keep 5 --criterion frequency
    echo mine >job.gguf
    b run.mine "${run[@]}" --keep 5 --criterion frequency
    b run.force "${run[@]}" --keep 5 --criterion frequency --force
    b run.anew "${run[@]}" --keep 5 --again
    b run.folder run fam/gpt_oss_mxfp4/hf --calib fam/gpt_oss_mxfp4/texts.jsonl -t 1 --text dev.txt --eval-ctx 64 -o small --json
    f run.folder small small.work/{stats,plan,eval-before,eval-after}.json small.work/report.html
    b run.fit run "$m" --calib "$Q/texts.jsonl" -t 1 --fit 950k -o fit.gguf && f run.fit fit.gguf
    b run.big run "$m" --calib "$Q/texts.jsonl" -t 1 --keep 9 -o big.gguf
    b run.few run "$m" --calib "$Q/texts.jsonl" -t 1 --keep 1 -o big.gguf
    b run.short run "$m" --calib "$Q/texts.jsonl" -t 1 --text keep.txt -o big.gguf
    b run.onto run "$m" --calib "$Q/texts.jsonl" -t 1 -o "$m" --force
    b run.stdin run "$m" --calib - -o big.gguf
    # pages
    b sweep.tiny sweep "$tiny" --stats ex/stats.json --text held.txt --ratios 0.25,0.5 -t 1 --ctx 128 --json && cp .bo sw.json
    b ev1 eval "$tiny" --text held.txt --ctx 128 -t 1 -o ev1.json
    b ev2 eval "$tiny" --plan ex/plan.json --text held.txt --ctx 128 -t 1 -o ev2.json
    b ev3 eval "$tiny" --plan ex/plan.json --against "$tiny" --text held.txt --ctx 128 -t 1 -o ev3.json
    b report.full report --stats ex/stats.json --plan ex/plan.json --eval ev1.json --eval ev2.json --sweep sw.json --model "$tiny" -o full.html --json && f report full.html
    b report.stats report --stats ex/stats.json -o stats.html && f report stats.html
    b report.plan report --plan ex/plan.json -o plan.html && f report plan.html
    b report.against report --stats ex/stats.json --plan ex/plan.json --eval ev1.json --against ev3.json -o ag.html && f report ag.html
    b report.title report --stats ex/stats.json --title 'A <b>title</b>' -o title.html && f report title.html
    b report.work report job.gguf.work -o work.html && f report work.html
    b report.there report --stats ex/stats.json -o title.html
    b report.input report --stats s.json -o s.json --force
    b report.schema report --stats ex/plan.json -o x.html
    b report.eval report --stats ex/stats.json --eval ex/plan.json -o x.html
    b report.sweep report --stats ex/stats.json --sweep ev1.json -o x.html
    b report.other report --stats s.json --plan ex/plan.json -o x.html
    b report.forced report --stats s.json --plan ex/plan.json -o x.html --force
    b report.three report --stats ex/stats.json --eval ev1.json --eval ev2.json --eval ev2.json -o x.html
    printf '{"schema":"reap.plan/1","n_keep":1,"keep":{"0":[1],"1":[1]}}\n' >few.json
    b report.few report --stats ex/stats.json --plan few.json -o x.html
    rm -rf small small.work job.gguf* fit.gguf*
}

part_server() {
    local tool=$BIN/bad_server s url pid
    [[ -x $tool ]] || { echo "battery.sh: no $tool, the part 'server' is left out" >&2; return; }
    "$tool" "$T/port" "$T/server-log" </dev/null 2>/dev/null &
    pid=$!
    wait_for 20 test -s "$T/port" || return
    url=http://127.0.0.1:$(cat "$T/port")
    mkdir -p three/math three/code
    echo 'What is 1+1?' >three/math/add.txt
    echo 'What is 2*3?' >three/math/mul.txt
    echo 'Write hello world.' >three/code/hello.md
    echo '{"prompt":"hi"}' >one.jsonl
    cat >rows.jsonl <<'END'
{"id":"r1","prompt":"p1","category":"c","temperature":0.7,"max_tokens":3,"stop":["x"],"other":1}
{"id":2,"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"part"}]}],"parameters":{"min_p":0.1}}
{"prompt":"p3","system":"own"}
END
    for s in good odd whole reasoning nodone empty slow escape 400 401 302 notjson html types nochoices error 500 cut short nothing 500-once 429-long; do
        rm -f run.json
        b "$s" batch --server "$url/$s" --prompts one.jsonl -o run.json --retry-wait 0.01 --retries 2
        f "$s" run.json
    done
    for s in three rows.jsonl; do
        b "many-$s" batch --server "$url/good" --prompts $s -o "$s.answers.json" --repeat 2 --system Short. --json && f many "$s.answers.json"
        b "again-$s" batch --server "$url/good" --prompts $s -o "$s.answers.json" --repeat 2 --system Short. --brief
    done
    b other batch --server "$url/good" --prompts three -o three.answers.json --temperature 1
    b bare batch --server "$url/good" --prompts three -o bare.json --completions --top-p 0.9 --top-k 5 --max-tokens 9 --brief
    f bare bare.json
    sed -E 's#127\.0\.0\.1:[0-9]+#PORT#g' "$T/server-log" | sort | plain >"$K/requests.log"
    kill $pid
    wait $pid 2>/dev/null
    b gone-no-file batch --server "$url/good" --prompts no.such -o x.json
    b gone-empty batch --server "$url/good" --prompts empty -o x.json
    local n=0 r
    while IFS= read -r r; do
        n=$((n + 1))
        printf '%s\n' "$r" >row.jsonl
        b "row-$n" batch --server "$url/good" --prompts row.jsonl -o x.json
    done <<'END'
{"text":"x"}
{"prompt":5}
{"prompt":""}
{"messages":[]}
{"messages":[{"role":"user"}]}
{"messages":["x"]}
{"prompt":"x","parameters":{"stream":false}}
{"prompt":"x","parameters":[]}
{"prompt":"x","id":[]}
[]
{"prompt":
END
    answer() { # ID TEXT FINISH
        printf '{"id":"%s","category":"c","repeat":0,"key":"k","prompt_sha256":"s","messages":[{"role":"user","content":"Q %s"}],"status":"ok","response":"%s","finish_reason":"%s","completion_tokens":10,"tokens_per_second":20.0,"first_token_seconds":0.5}' \
            "$1" "$1" "$2" "$3"
    }
    answers() {
        local IFS=,
        printf '{"schema":"reap.batch/1","model":{"id":"m"},"parameters":{},"results":[%s]}\n' "$*"
    }
    answers "$(answer one 'a b c d' stop)" "$(answer two 'a b c d' stop)" "$(answer three 'p q' stop)" "$(answer gone z stop)" >b.json
    answers "$(answer two 'a x c d' stop)" "$(answer one 'a b c d' stop)" "$(answer three "$(printf 'and so on %.0s' 1 2 3 4 5 6 7 8 9 10)" length)" >p.json
    both compare compare b.json p.json
    b compare.file compare b.json p.json -o c.json && f compare c.json
    b compare.there compare b.json p.json -o c.json
    b compare.onto compare b.json p.json -o b.json --force
    b compare.schema compare ex/plan.json p.json
    answers "$(answer other z stop)" >q.json
    b compare.none compare b.json q.json
    b report.compare report --stats ex/stats.json --plan ex/plan.json --compare c.json -o c.html && f report c.html
    b report.batches report --stats ex/stats.json --plan ex/plan.json --compare b.json --compare p.json -o b.html && f report b.html
}

for part in usage inspect folders gguf text plans models jobs server; do
    [[ -z $only || $only = "$part" ]] || continue
    began=$SECONDS
    mkdir -p "$K/$part"
    K=$K/$part
    "part_$part"
    K=${K%/*}
    printf '%s: %d outputs, %d s\n' "$part" "$(find "$K/$part" -type f | wc -l)" $((SECONDS - began)) >&2
done
(cd "$K" && find . -type f -printf '%P\0' | sort -z | xargs -0 sha256sum | awk '{ print $2, "", substr($1, 1, 16) }')
if [[ $keep ]]; then
    rm -rf "$keep"
    cp -r "$K" "$keep"
fi
