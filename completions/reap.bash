# reap.bash - completion of reap's commands, options, their values and files. Source it, or install it as
# .../bash-completion/completions/reap. Made by scripts/docs.sh (make docs).

# Files with these endings, and folders; where there are none of either, all files (a model need not end in .gguf).
_reap_files() { # ENDINGS
    local e found
    found=$(for e in $1; do [[ $e == / ]] || compgen -f -X "!*.$e" -- "$cur"; done; compgen -d -- "$cur")
    if [[ -n $found ]]; then
        sort -u <<<"$found"
    elif [[ $1 != / ]]; then
        compgen -f -- "$cur"
    fi
}

# "@ENDINGS WORDS": files and words ("@": any files); "-": nothing that is known; else words.
_reap_what() { # WHAT
    case $1 in
    -) ;;
    @) compgen -f -- "$cur" ;;
    @*)
        _reap_files "$(for w in ${1#@}; do case $w in gguf | dat | json | jinja | /) echo "$w" ;; esac; done)"
        compgen -W "$(for w in ${1#@}; do case $w in gguf | dat | json | jinja | /) ;; *) echo "$w" ;; esac; done)" -- "$cur" ;;
    *) compgen -W "$1" -- "$cur" ;;
    esac
}

_reap() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} cmd=${COMP_WORDS[1]-}
    local own='' valued='' what='' operands=() more='' i n=0 w
    local commands='run doctor inspect families profile stats plan choose prune verify eval sweep refine gain
        report convert quantize serve batch compare'

    if [[ $COMP_CWORD -eq 1 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands help version --help --version" -- "$cur")
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
        own='--keep --keep-ratio --prune-ratio --fit --round-to --criterion --choose-budget --refine
            --set-aside --plan-seed --stats --blend --protect-super --protect --protect-share --output --work
            --quantize --allow-requantize --text --ctx --until-stable --eval-ctx --pass --force --prompts
            --max-tokens --calib-prompts --calib-max-tokens --dry-run --again --resume --merge --mtp --name
            --base-model --card --no-provenance --max-shard-size --add-count-aliases --no-card --calib
            --samples-per-category --max-samples --seed --no-shuffle --skip-bad --join-parts --skip-media
            --map --threads --ubatch-size --ubatch --n-gpu-layers --gpu-layers --device --split-mode
            --tensor-split --cpu-moe --n-cpu-moe --flash-attn --cache-type-k --cache-type-v --rpc
            --rpc-silence --load-mode --no-mmap --mlock --chat-template --chat-template-file
            --chat-template-kwargs --type --pretokenizer --device-norms --hf-repo --hf-file --offline --config
            --json --quiet --verbose --color --help'
        valued='--keep --keep-ratio -r --prune-ratio --fit --round-to --criterion --choose-budget --refine
            --set-aside --plan-seed --stats --blend --protect --protect-share -o --output -w --work --quantize
            --text --ctx --until-stable --eval-ctx --pass --prompts --max-tokens --calib-prompts
            --calib-max-tokens --mtp --name --base-model --max-shard-size -c --calib --samples-per-category
            --max-samples --seed --map -t --threads -ub --ubatch-size --ubatch -ngl --n-gpu-layers
            --gpu-layers -dev --device -sm --split-mode -ts --tensor-split -ncmoe --n-cpu-moe -fa --flash-attn
            -ctk --cache-type-k -ctv --cache-type-v --rpc --rpc-silence -lm --load-mode --chat-template
            --chat-template-file --chat-template-kwargs --type --pretokenizer -hf --hf-repo -hff --hf-file
            --config --color'
        case $prev in
        --keep | --keep-ratio | -r | --prune-ratio | --fit | --round-to | --choose-budget | --refine | \
            --set-aside | --plan-seed | --protect-share | --ctx | --until-stable | --eval-ctx | --pass | \
            --max-tokens | --calib-max-tokens | --name | --base-model | --max-shard-size | \
            --samples-per-category | --max-samples | --seed | --map | -t | --threads | -ub | --ubatch-size | \
            --ubatch | -ngl | --n-gpu-layers | --gpu-layers | -dev | --device | -ts | --tensor-split | \
            -ncmoe | --n-cpu-moe | --rpc | --rpc-silence | --chat-template-kwargs | --pretokenizer | -hf | \
            --hf-repo | -hff | --hf-file)
            what='-' ;;
        --criterion)
            what='reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 reap_sq_sum loo
                loo_mean hope max_activation random auto' ;;
        --stats | --protect | --config)
            what='@json' ;;
        --blend)
            what='mean maxmin' ;;
        -o | --output | --text | --prompts | --calib-prompts | -c | --calib)
            what='@' ;;
        -w | --work)
            what='@/' ;;
        --quantize)
            what='F32 F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 IQ4_NL IQ4_XS
                MXFP4_MOE Q3_K_L Q3_K_M Q3_K_S IQ3_M IQ3_S IQ3_XS IQ3_XXS Q2_K Q2_K_S IQ2_M IQ2_S IQ2_XS Q2_0
                IQ2_XXS TQ2_0 IQ1_M TQ1_0 IQ1_S Q1_0' ;;
        --mtp)
            what='prune drop keep' ;;
        -sm | --split-mode)
            what='none layer' ;;
        -fa | --flash-attn)
            what='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            what='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            what='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            what='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek deepseek-ocr
                deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge gpt-oss granite
                granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2 llama2 llama2-sys
                llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1 mistral-v3
                mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion pangu-embedded phi3 phi4
                rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex zephyr' ;;
        --chat-template-file)
            what='@jinja' ;;
        --type)
            what='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@gguf')
        ;;
    doctor)
        own='--threads --ubatch-size --ubatch --n-gpu-layers --gpu-layers --device --split-mode --tensor-split
            --cpu-moe --n-cpu-moe --flash-attn --cache-type-k --cache-type-v --rpc --rpc-silence --load-mode
            --no-mmap --mlock --chat-template --chat-template-file --chat-template-kwargs --type
            --pretokenizer --device-norms --hf-repo --hf-file --offline --config --json --quiet --verbose
            --color --help'
        valued='-t --threads -ub --ubatch-size --ubatch -ngl --n-gpu-layers --gpu-layers -dev --device -sm
            --split-mode -ts --tensor-split -ncmoe --n-cpu-moe -fa --flash-attn -ctk --cache-type-k -ctv
            --cache-type-v --rpc --rpc-silence -lm --load-mode --chat-template --chat-template-file
            --chat-template-kwargs --type --pretokenizer -hf --hf-repo -hff --hf-file --config --color'
        case $prev in
        -t | --threads | -ub | --ubatch-size | --ubatch | -ngl | --n-gpu-layers | --gpu-layers | -dev | \
            --device | -ts | --tensor-split | -ncmoe | --n-cpu-moe | --rpc | --rpc-silence | \
            --chat-template-kwargs | --pretokenizer | -hf | --hf-repo | -hff | --hf-file)
            what='-' ;;
        -sm | --split-mode)
            what='none layer' ;;
        -fa | --flash-attn)
            what='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            what='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            what='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            what='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek deepseek-ocr
                deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge gpt-oss granite
                granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2 llama2 llama2-sys
                llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1 mistral-v3
                mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion pangu-embedded phi3 phi4
                rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex zephyr' ;;
        --chat-template-file)
            what='@jinja' ;;
        --type)
            what='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --config)
            what='@json' ;;
        --color)
            what='auto always never' ;;
        esac
        ;;
    inspect)
        own='--tensors --hf-repo --hf-file --offline --config --json --quiet --verbose --color --help'
        valued='-hf --hf-repo -hff --hf-file --config --color'
        case $prev in
        -hf | --hf-repo | -hff | --hf-file)
            what='-' ;;
        --config)
            what='@json' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@gguf')
        ;;
    families)
        own='--config --json --quiet --verbose --color --help'
        valued='--config --color'
        case $prev in
        --config)
            what='@json' ;;
        --color)
            what='auto always never' ;;
        esac
        ;;
    profile)
        own='--output --imatrix --ctx --save-every --until-stable --set-aside --resume --force --shard --pairs
            --sequences --show-samples --separate-streams --calib --samples-per-category --max-samples --seed
            --no-shuffle --skip-bad --join-parts --skip-media --map --threads --ubatch-size --ubatch
            --n-gpu-layers --gpu-layers --device --split-mode --tensor-split --cpu-moe --n-cpu-moe
            --flash-attn --cache-type-k --cache-type-v --rpc --rpc-silence --load-mode --no-mmap --mlock
            --chat-template --chat-template-file --chat-template-kwargs --type --pretokenizer --device-norms
            --hf-repo --hf-file --offline --config --json --quiet --verbose --color --help'
        valued='-o --output --imatrix --ctx --save-every --until-stable --set-aside --shard --pairs
            --sequences --show-samples -c --calib --samples-per-category --max-samples --seed --map -t
            --threads -ub --ubatch-size --ubatch -ngl --n-gpu-layers --gpu-layers -dev --device -sm
            --split-mode -ts --tensor-split -ncmoe --n-cpu-moe -fa --flash-attn -ctk --cache-type-k -ctv
            --cache-type-v --rpc --rpc-silence -lm --load-mode --chat-template --chat-template-file
            --chat-template-kwargs --type --pretokenizer -hf --hf-repo -hff --hf-file --config --color'
        case $prev in
        -o | --output | -c | --calib)
            what='@' ;;
        --imatrix)
            what='@gguf dat' ;;
        --ctx | --save-every | --until-stable | --set-aside | --shard | --sequences | --show-samples | \
            --samples-per-category | --max-samples | --seed | --map | -t | --threads | -ub | --ubatch-size | \
            --ubatch | -ngl | --n-gpu-layers | --gpu-layers | -dev | --device | -ts | --tensor-split | \
            -ncmoe | --n-cpu-moe | --rpc | --rpc-silence | --chat-template-kwargs | --pretokenizer | -hf | \
            --hf-repo | -hff | --hf-file)
            what='-' ;;
        --pairs)
            what='auto on off' ;;
        -sm | --split-mode)
            what='none layer' ;;
        -fa | --flash-attn)
            what='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            what='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            what='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            what='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek deepseek-ocr
                deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge gpt-oss granite
                granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2 llama2 llama2-sys
                llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1 mistral-v3
                mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion pangu-embedded phi3 phi4
                rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex zephyr' ;;
        --chat-template-file)
            what='@jinja' ;;
        --type)
            what='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --config)
            what='@json' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@gguf')
        ;;
    stats)
        own='--criterion --model --hot --output --force --format --architecture --experts-used --offline
            --config --json --quiet --verbose --color --help'
        valued='--criterion -m --model --hot -o --output --format --architecture --experts-used --config
            --color'
        case $prev in
        --criterion)
            what='reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 reap_sq_sum loo
                loo_mean hope max_activation random' ;;
        -m | --model)
            what='@gguf' ;;
        --hot | --architecture | --experts-used)
            what='-' ;;
        -o | --output)
            what='@' ;;
        --format)
            what='llama-expert-profile imatrix text llama.cpp json csv' ;;
        --config)
            what='@json' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@json merge import export')
        more=1
        ;;
    plan)
        own='--keep --keep-ratio --prune-ratio --fit --round-to --criterion --seed --stats --blend
            --protect-super --protect --protect-share --from --output --model --force --offline --config
            --json --quiet --verbose --color --help'
        valued='--keep --keep-ratio -r --prune-ratio --fit --round-to --criterion --seed --stats --blend
            --protect --protect-share --from -o --output -m --model --config --color'
        case $prev in
        --keep | --keep-ratio | -r | --prune-ratio | --fit | --round-to | --seed | --protect-share)
            what='-' ;;
        --criterion)
            what='reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 reap_sq_sum loo
                loo_mean hope max_activation random' ;;
        --stats | --protect | --from | --config)
            what='@json' ;;
        --blend)
            what='mean maxmin' ;;
        -o | --output)
            what='@' ;;
        -m | --model)
            what='@gguf' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@json')
        ;;
    choose)
        own='--keep --keep-ratio --prune-ratio --fit --round-to --stats --output --criteria --text --ctx
            --budget --force --calib --samples-per-category --max-samples --seed --no-shuffle --skip-bad
            --join-parts --skip-media --map --threads --ubatch-size --ubatch --n-gpu-layers --gpu-layers
            --device --split-mode --tensor-split --cpu-moe --n-cpu-moe --flash-attn --cache-type-k
            --cache-type-v --rpc --rpc-silence --load-mode --no-mmap --mlock --chat-template
            --chat-template-file --chat-template-kwargs --type --pretokenizer --device-norms --hf-repo
            --hf-file --offline --config --json --quiet --verbose --color --help'
        valued='--keep --keep-ratio -r --prune-ratio --fit --round-to -s --stats -o --output --criteria --text
            --ctx --budget -c --calib --samples-per-category --max-samples --seed --map -t --threads -ub
            --ubatch-size --ubatch -ngl --n-gpu-layers --gpu-layers -dev --device -sm --split-mode -ts
            --tensor-split -ncmoe --n-cpu-moe -fa --flash-attn -ctk --cache-type-k -ctv --cache-type-v --rpc
            --rpc-silence -lm --load-mode --chat-template --chat-template-file --chat-template-kwargs --type
            --pretokenizer -hf --hf-repo -hff --hf-file --config --color'
        case $prev in
        --keep | --keep-ratio | -r | --prune-ratio | --fit | --round-to | --ctx | --budget | \
            --samples-per-category | --max-samples | --seed | --map | -t | --threads | -ub | --ubatch-size | \
            --ubatch | -ngl | --n-gpu-layers | --gpu-layers | -dev | --device | -ts | --tensor-split | \
            -ncmoe | --n-cpu-moe | --rpc | --rpc-silence | --chat-template-kwargs | --pretokenizer | -hf | \
            --hf-repo | -hff | --hf-file)
            what='-' ;;
        -s | --stats | --config)
            what='@json' ;;
        -o | --output | --text | -c | --calib)
            what='@' ;;
        --criteria)
            what='reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 reap_sq_sum loo
                loo_mean hope max_activation random' ;;
        -sm | --split-mode)
            what='none layer' ;;
        -fa | --flash-attn)
            what='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            what='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            what='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            what='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek deepseek-ocr
                deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge gpt-oss granite
                granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2 llama2 llama2-sys
                llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1 mistral-v3
                mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion pangu-embedded phi3 phi4
                rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex zephyr' ;;
        --chat-template-file)
            what='@jinja' ;;
        --type)
            what='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@gguf')
        ;;
    prune)
        own='--plan --output --dry-run --gain --force --merge --mtp --name --base-model --card --no-provenance
            --max-shard-size --add-count-aliases --no-card --hf-repo --hf-file --offline --config --json
            --quiet --verbose --color --help'
        valued='-p --plan -o --output --gain --mtp --name --base-model --max-shard-size -hf --hf-repo -hff
            --hf-file --config --color'
        case $prev in
        -p | --plan | --gain | --config)
            what='@json' ;;
        -o | --output)
            what='@' ;;
        --mtp)
            what='prune drop keep' ;;
        --name | --base-model | --max-shard-size | -hf | --hf-repo | -hff | --hf-file)
            what='-' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@gguf')
        ;;
    verify)
        own='--plan --gain --name --write-plan --force --hf-repo --hf-file --offline --config --json --quiet
            --verbose --color --help'
        valued='-p --plan --gain --name --write-plan -hf --hf-repo -hff --hf-file --config --color'
        case $prev in
        -p | --plan | --gain | --write-plan | --config)
            what='@json' ;;
        --name | -hf | --hf-repo | -hff | --hf-file)
            what='-' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@gguf')
        operands+=('@gguf')
        ;;
    eval)
        own='--text --ctx --choices --plan --against --pass --logprobs --output --force --calib
            --samples-per-category --max-samples --seed --no-shuffle --skip-bad --join-parts --skip-media
            --map --threads --ubatch-size --ubatch --n-gpu-layers --gpu-layers --device --split-mode
            --tensor-split --cpu-moe --n-cpu-moe --flash-attn --cache-type-k --cache-type-v --rpc
            --rpc-silence --load-mode --no-mmap --mlock --chat-template --chat-template-file
            --chat-template-kwargs --type --pretokenizer --device-norms --hf-repo --hf-file --offline --config
            --json --quiet --verbose --color --help'
        valued='--text --ctx --choices -p --plan --against --pass --logprobs -o --output -c --calib
            --samples-per-category --max-samples --seed --map -t --threads -ub --ubatch-size --ubatch -ngl
            --n-gpu-layers --gpu-layers -dev --device -sm --split-mode -ts --tensor-split -ncmoe --n-cpu-moe
            -fa --flash-attn -ctk --cache-type-k -ctv --cache-type-v --rpc --rpc-silence -lm --load-mode
            --chat-template --chat-template-file --chat-template-kwargs --type --pretokenizer -hf --hf-repo
            -hff --hf-file --config --color'
        case $prev in
        --text | --choices | --logprobs | -o | --output | -c | --calib)
            what='@' ;;
        --ctx | --pass | --samples-per-category | --max-samples | --seed | --map | -t | --threads | -ub | \
            --ubatch-size | --ubatch | -ngl | --n-gpu-layers | --gpu-layers | -dev | --device | -ts | \
            --tensor-split | -ncmoe | --n-cpu-moe | --rpc | --rpc-silence | --chat-template-kwargs | \
            --pretokenizer | -hf | --hf-repo | -hff | --hf-file)
            what='-' ;;
        -p | --plan | --config)
            what='@json' ;;
        --against)
            what='@gguf' ;;
        -sm | --split-mode)
            what='none layer' ;;
        -fa | --flash-attn)
            what='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            what='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            what='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            what='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek deepseek-ocr
                deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge gpt-oss granite
                granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2 llama2 llama2-sys
                llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1 mistral-v3
                mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion pangu-embedded phi3 phi4
                rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex zephyr' ;;
        --chat-template-file)
            what='@jinja' ;;
        --type)
            what='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@gguf')
        ;;
    sweep)
        own='--stats --text --ctx --ratios --criteria --round-to --seed --types --allow-requantize --fit
            --max-ppl-increase --max-kl --pass --output --state --force --threads --ubatch-size --ubatch
            --n-gpu-layers --gpu-layers --device --split-mode --tensor-split --cpu-moe --n-cpu-moe
            --flash-attn --cache-type-k --cache-type-v --rpc --rpc-silence --load-mode --no-mmap --mlock
            --chat-template --chat-template-file --chat-template-kwargs --type --pretokenizer --device-norms
            --hf-repo --hf-file --offline --config --json --quiet --verbose --color --help'
        valued='-s --stats --text --ctx -r --ratios --criteria --round-to --seed --types --fit
            --max-ppl-increase --max-kl --pass -o --output --state -t --threads -ub --ubatch-size --ubatch
            -ngl --n-gpu-layers --gpu-layers -dev --device -sm --split-mode -ts --tensor-split -ncmoe
            --n-cpu-moe -fa --flash-attn -ctk --cache-type-k -ctv --cache-type-v --rpc --rpc-silence -lm
            --load-mode --chat-template --chat-template-file --chat-template-kwargs --type --pretokenizer -hf
            --hf-repo -hff --hf-file --config --color'
        case $prev in
        -s | --stats | --state | --config)
            what='@json' ;;
        --text | -o | --output)
            what='@' ;;
        --ctx | -r | --ratios | --round-to | --seed | --fit | --max-ppl-increase | --max-kl | --pass | -t | \
            --threads | -ub | --ubatch-size | --ubatch | -ngl | --n-gpu-layers | --gpu-layers | -dev | \
            --device | -ts | --tensor-split | -ncmoe | --n-cpu-moe | --rpc | --rpc-silence | \
            --chat-template-kwargs | --pretokenizer | -hf | --hf-repo | -hff | --hf-file)
            what='-' ;;
        --criteria)
            what='reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 reap_sq_sum loo
                loo_mean hope max_activation random' ;;
        --types)
            what='F32 F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 IQ4_NL IQ4_XS
                MXFP4_MOE Q3_K_L Q3_K_M Q3_K_S IQ3_M IQ3_S Q2_K Q2_0 TQ2_0 TQ1_0 Q1_0' ;;
        -sm | --split-mode)
            what='none layer' ;;
        -fa | --flash-attn)
            what='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            what='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            what='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            what='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek deepseek-ocr
                deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge gpt-oss granite
                granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2 llama2 llama2-sys
                llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1 mistral-v3
                mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion pangu-embedded phi3 phi4
                rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex zephyr' ;;
        --chat-template-file)
            what='@jinja' ;;
        --type)
            what='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@gguf')
        ;;
    refine)
        own='--plan --stats --text --set-aside --check --output --ctx --budget --trials --tokens --near --z
            --criterion --state --force --calib --samples-per-category --max-samples --seed --no-shuffle
            --skip-bad --join-parts --skip-media --map --threads --ubatch-size --ubatch --n-gpu-layers
            --gpu-layers --device --split-mode --tensor-split --cpu-moe --n-cpu-moe --flash-attn
            --cache-type-k --cache-type-v --rpc --rpc-silence --load-mode --no-mmap --mlock --chat-template
            --chat-template-file --chat-template-kwargs --type --pretokenizer --device-norms --hf-repo
            --hf-file --offline --config --json --quiet --verbose --color --help'
        valued='-p --plan -s --stats --text --set-aside --check -o --output --ctx --budget --trials --tokens
            --near --z --criterion --state -c --calib --samples-per-category --max-samples --seed --map -t
            --threads -ub --ubatch-size --ubatch -ngl --n-gpu-layers --gpu-layers -dev --device -sm
            --split-mode -ts --tensor-split -ncmoe --n-cpu-moe -fa --flash-attn -ctk --cache-type-k -ctv
            --cache-type-v --rpc --rpc-silence -lm --load-mode --chat-template --chat-template-file
            --chat-template-kwargs --type --pretokenizer -hf --hf-repo -hff --hf-file --config --color'
        case $prev in
        -p | --plan | -s | --stats | --state | --config)
            what='@json' ;;
        --text | --check | -o | --output | -c | --calib)
            what='@' ;;
        --set-aside | --ctx | --budget | --trials | --tokens | --near | --z | --samples-per-category | \
            --max-samples | --seed | --map | -t | --threads | -ub | --ubatch-size | --ubatch | -ngl | \
            --n-gpu-layers | --gpu-layers | -dev | --device | -ts | --tensor-split | -ncmoe | --n-cpu-moe | \
            --rpc | --rpc-silence | --chat-template-kwargs | --pretokenizer | -hf | --hf-repo | -hff | \
            --hf-file)
            what='-' ;;
        --criterion)
            what='reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 reap_sq_sum loo
                loo_mean hope max_activation random' ;;
        -sm | --split-mode)
            what='none layer' ;;
        -fa | --flash-attn)
            what='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            what='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            what='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            what='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek deepseek-ocr
                deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge gpt-oss granite
                granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2 llama2 llama2-sys
                llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1 mistral-v3
                mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion pangu-embedded phi3 phi4
                rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex zephyr' ;;
        --chat-template-file)
            what='@jinja' ;;
        --type)
            what='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@gguf')
        ;;
    gain)
        own='--plan --output --set-aside --tokens --force --calib --samples-per-category --max-samples --seed
            --no-shuffle --skip-bad --join-parts --skip-media --map --threads --ubatch-size --ubatch
            --n-gpu-layers --gpu-layers --device --split-mode --tensor-split --cpu-moe --n-cpu-moe
            --flash-attn --cache-type-k --cache-type-v --rpc --rpc-silence --load-mode --no-mmap --mlock
            --chat-template --chat-template-file --chat-template-kwargs --type --pretokenizer --device-norms
            --hf-repo --hf-file --offline --config --json --quiet --verbose --color --help'
        valued='-p --plan -o --output --set-aside --tokens -c --calib --samples-per-category --max-samples
            --seed --map -t --threads -ub --ubatch-size --ubatch -ngl --n-gpu-layers --gpu-layers -dev
            --device -sm --split-mode -ts --tensor-split -ncmoe --n-cpu-moe -fa --flash-attn -ctk
            --cache-type-k -ctv --cache-type-v --rpc --rpc-silence -lm --load-mode --chat-template
            --chat-template-file --chat-template-kwargs --type --pretokenizer -hf --hf-repo -hff --hf-file
            --config --color'
        case $prev in
        -p | --plan | --config)
            what='@json' ;;
        -o | --output | -c | --calib)
            what='@' ;;
        --set-aside | --tokens | --samples-per-category | --max-samples | --seed | --map | -t | --threads | \
            -ub | --ubatch-size | --ubatch | -ngl | --n-gpu-layers | --gpu-layers | -dev | --device | -ts | \
            --tensor-split | -ncmoe | --n-cpu-moe | --rpc | --rpc-silence | --chat-template-kwargs | \
            --pretokenizer | -hf | --hf-repo | -hff | --hf-file)
            what='-' ;;
        -sm | --split-mode)
            what='none layer' ;;
        -fa | --flash-attn)
            what='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            what='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            what='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            what='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek deepseek-ocr
                deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge gpt-oss granite
                granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2 llama2 llama2-sys
                llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1 mistral-v3
                mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion pangu-embedded phi3 phi4
                rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex zephyr' ;;
        --chat-template-file)
            what='@jinja' ;;
        --type)
            what='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@gguf')
        ;;
    report)
        own='--output --stats --plan --eval --against --sweep --compare --model --title --force --offline
            --config --json --quiet --verbose --color --help'
        valued='-o --output --stats -p --plan --eval --against --sweep --compare -m --model --title --config
            --color'
        case $prev in
        -o | --output)
            what='@' ;;
        --stats | -p | --plan | --eval | --sweep | --compare | --config)
            what='@json' ;;
        --against | -m | --model)
            what='@gguf' ;;
        --title)
            what='-' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@/')
        ;;
    convert)
        own='--output --type --name --pretokenizer --threads --force --hf-repo --hf-file --offline --config
            --json --quiet --verbose --color --help'
        valued='-o --output --type --name --pretokenizer -t --threads -hf --hf-repo -hff --hf-file --config
            --color'
        case $prev in
        -o | --output)
            what='@' ;;
        --type)
            what='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --name | --pretokenizer | -t | --threads | -hf | --hf-repo | -hff | --hf-file)
            what='-' ;;
        --config)
            what='@json' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@/')
        ;;
    quantize)
        own='--output --imatrix --allow-requantize --dry-run --threads --force --pure --tensor-type
            --tensor-type-file --output-tensor-type --token-embedding-type --leave-output-tensor
            --include-weights --exclude-weights --hf-repo --hf-file --offline --config --json --quiet
            --verbose --color --help'
        valued='-o --output --imatrix -t --threads --tensor-type --tensor-type-file --output-tensor-type
            --token-embedding-type --include-weights --exclude-weights -hf --hf-repo -hff --hf-file --config
            --color'
        case $prev in
        -o | --output | --tensor-type-file)
            what='@' ;;
        --imatrix)
            what='@gguf dat' ;;
        -t | --threads | --tensor-type | --include-weights | --exclude-weights | -hf | --hf-repo | -hff | \
            --hf-file)
            what='-' ;;
        --output-tensor-type | --token-embedding-type)
            what='f32 f16 bf16 q8_0 q6_K q5_K q5_1 q5_0 q4_K q4_1 q4_0 iq4_nl iq4_xs mxfp4 nvfp4 q3_K iq3_s
                iq3_xxs q2_K iq2_s iq2_xs q2_0 iq2_xxs tq2_0 iq1_m tq1_0 iq1_s q1_0' ;;
        --config)
            what='@json' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@gguf')
        operands+=('F32 F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 IQ4_NL IQ4_XS
            MXFP4_MOE Q3_K_L Q3_K_M Q3_K_S IQ3_M IQ3_S IQ3_XS IQ3_XXS Q2_K Q2_K_S IQ2_M IQ2_S IQ2_XS Q2_0
            IQ2_XXS TQ2_0 IQ1_M TQ1_0 IQ1_S Q1_0')
        ;;
    serve)
        own='--port --host --load-timeout --type --hf-repo --hf-file --offline --config --json --quiet
            --verbose --color --help'
        valued='-p --port --host --load-timeout --type -hf --hf-repo -hff --hf-file --config --color'
        case $prev in
        -p | --port | --host | --load-timeout | -hf | --hf-repo | -hff | --hf-file)
            what='-' ;;
        --type)
            what='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --config)
            what='@json' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@gguf')
        more=1
        ;;
    batch)
        own='--server --prompts --output --model --completions --parallel --repeat --brief --force --system
            --max-tokens --temperature --top-p --top-k --seed --timeout --connect-timeout --retries
            --retry-wait --config --json --quiet --verbose --color --help'
        valued='-s --server -p --prompts -o --output -m --model --parallel --repeat --system --max-tokens
            --temperature --top-p --top-k --seed --timeout --connect-timeout --retries --retry-wait --config
            --color'
        case $prev in
        -s | --server | -m | --model | --parallel | --repeat | --system | --max-tokens | --temperature | \
            --top-p | --top-k | --seed | --timeout | --connect-timeout | --retries | --retry-wait)
            what='-' ;;
        -p | --prompts | -o | --output)
            what='@' ;;
        --config)
            what='@json' ;;
        --color)
            what='auto always never' ;;
        esac
        ;;
    compare)
        own='--output --force --config --json --quiet --verbose --color --help'
        valued='-o --output --config --color'
        case $prev in
        -o | --output)
            what='@' ;;
        --config)
            what='@json' ;;
        --color)
            what='auto always never' ;;
        esac
        operands+=('@json')
        operands+=('@json')
        ;;
    help) what=$commands ;;
    *) return ;;
    esac
    if [[ -n $what ]]; then
        mapfile -t COMPREPLY < <(_reap_what "$what")
        return
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$own" -- "$cur")
        return
    fi
    # which operand it is
    for ((i = 2; i < COMP_CWORD; i++)); do
        w=${COMP_WORDS[i]}
        if [[ $w == -* ]]; then
            [[ ${COMP_WORDS[i + 1]} != = ]] || ((i++))
            [[ " ${valued//$'\n'/ } " != *" $w "* ]] || ((i++))
        else
            ((n++))
        fi
    done
    if ((n >= ${#operands[@]} && ${#operands[@]})) && [[ -n $more ]]; then
        n=$((${#operands[@]} - 1))
    fi
    mapfile -t COMPREPLY < <(_reap_what "${operands[n]--}")
}

complete -o filenames -o bashdefault -F _reap reap
