# reap.bash - completion of reap's commands, options and files. Source it, or install it as
# .../bash-completion/completions/reap.

_reap() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} cmd=${COMP_WORDS[1]-}
    local commands='run inspect profile stats plan prune verify eval sweep refine report convert quantize serve batch compare'
    local common='--json --quiet --verbose --help'
    local calib='--calib --samples-per-category --max-samples --seed --no-shuffle --skip-bad'
    local engine='--threads --ubatch-size --ubatch --n-gpu-layers --gpu-layers --device --split-mode --tensor-split
        --cpu-moe --n-cpu-moe --flash-attn --cache-type-k --cache-type-v --rpc --load-mode --no-mmap --mlock
        --chat-template --type --pretokenizer --device-norms'
    local criteria='reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 max_activation random'
    local own

    if [[ $COMP_CWORD -eq 1 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands help --help --version" -- "$cur")
        return
    fi
    # --name=value is split at the equals sign by readline
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = && $COMP_CWORD -ge 3 ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $cmd in
    run)
        own="--prune-ratio --keep-ratio --keep --fit --round-to --criterion --plan-seed --output --work --text
        --ctx --eval-ctx --prompts --max-tokens --force --again $calib $engine" ;;
    inspect) own="--tensors" ;;
    profile) own="--output --ctx --save-every --until-stable --resume --force --shard --sequences --separate-streams $calib
        $engine" ;;
    stats) own="--criterion --model --output --force --format --architecture --experts-used" ;;
    plan) own="--keep --keep-ratio --prune-ratio --fit --round-to --criterion --seed --stats --blend
        --protect-super --protect --from --output --model --force" ;;
    prune) own="--plan --output --dry-run --merge --mtp --no-provenance --force --max-shard-size
        --add-count-aliases --base-model --no-card" ;;
    verify) own="--plan --write-plan --force" ;;
    eval) own="--text --ctx --plan --against --logprobs --output --force $calib $engine" ;;
    sweep) own="--stats --text --ctx --ratios --criteria --round-to --seed --max-ppl-increase --max-kl --output --state --force $engine" ;;
    refine) own="--plan --stats --text --check --output --ctx --trials --budget --near --criterion --seed --force $engine" ;;
    report) own="--output --stats --plan --eval --against --sweep --compare --model --title --force" ;;
    convert) own="--output --type --name --pretokenizer --threads --force" ;;
    quantize) own="--output --allow-requantize --pure --threads --force" ;;
    serve) own="--port --host --type --load-timeout" ;;
    batch) own="--server --prompts --output --model --completions --parallel --repeat --brief --force --system
        --max-tokens --temperature --top-p --top-k --seed --timeout --connect-timeout --retries --retry-wait"
        ;;
    compare) own="--output --force" ;;
    help) mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur"); return ;;
    *) return ;;
    esac
    case $prev in
    --criterion | --criteria) mapfile -t COMPREPLY < <(compgen -W "$criteria" -- "$cur"); return ;;
    --mtp) mapfile -t COMPREPLY < <(compgen -W 'prune drop' -- "$cur"); return ;;
    --flash-attn | -fa) mapfile -t COMPREPLY < <(compgen -W 'on off auto' -- "$cur"); return ;;
    --split-mode | -sm) mapfile -t COMPREPLY < <(compgen -W 'none layer' -- "$cur"); return ;;
    --load-mode | -lm) mapfile -t COMPREPLY < <(compgen -W 'auto none mmap mlock' -- "$cur"); return ;;
    --cache-type-k | -ctk | --cache-type-v | -ctv)
        mapfile -t COMPREPLY < <(compgen -W 'f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' -- "$cur"); return ;;
    --work | -w) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$own $common" -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}

complete -o filenames -o bashdefault -F _reap reap
