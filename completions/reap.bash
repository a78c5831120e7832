# reap.bash - completion of reap's commands, options, their values and files. Source it, or install it as
# .../bash-completion/completions/reap. Made by scripts/docs.sh (make docs).

_reap() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} cmd=${COMP_WORDS[1]-}
    local own='' words='' operand='' kind=-f
    local commands='run inspect profile stats plan choose prune verify eval sweep refine gain report convert
        quantize serve batch compare'

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
        own='--keep --keep-ratio --prune-ratio --fit --round-to --criterion --choose-budget --refine
            --set-aside --plan-seed --stats --blend --protect-super --protect --protect-share --output --work
            --text --ctx --until-stable --eval-ctx --pass --force --prompts --max-tokens --calib-prompts
            --calib-max-tokens --again --resume --merge --mtp --name --base-model --card --no-provenance
            --max-shard-size --add-count-aliases --no-card --calib --samples-per-category --max-samples --seed
            --no-shuffle --skip-bad --join-parts --skip-media --map --threads --ubatch-size --ubatch
            --n-gpu-layers --gpu-layers --device --split-mode --tensor-split --cpu-moe --n-cpu-moe
            --flash-attn --cache-type-k --cache-type-v --rpc --load-mode --no-mmap --mlock --chat-template
            --chat-template-file --chat-template-kwargs --type --pretokenizer --device-norms --hf-repo
            --hf-file --offline --config --json --quiet --verbose --color --help'
        case $prev in
        --keep | --keep-ratio | -r | --prune-ratio | --fit | --round-to | --choose-budget | --refine | \
            --set-aside | --plan-seed | --protect-share | --ctx | --until-stable | --eval-ctx | --pass | \
            --max-tokens | --calib-max-tokens | --name | --base-model | --max-shard-size | \
            --samples-per-category | --max-samples | --seed | --map | -t | --threads | -ub | --ubatch-size | \
            --ubatch | -ngl | --n-gpu-layers | --gpu-layers | -dev | --device | -ts | --tensor-split | \
            -ncmoe | --n-cpu-moe | --rpc | --chat-template-kwargs | --pretokenizer | -hf | --hf-repo | -hff \
            | --hf-file)
            kind= ;;
        --criterion)
            words='reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 reap_sq_sum loo
                loo_mean hope max_activation random auto' ;;
        --blend)
            words='mean maxmin' ;;
        -w | --work)
            kind=-d ;;
        --mtp)
            words='prune drop' ;;
        -sm | --split-mode)
            words='none layer' ;;
        -fa | --flash-attn)
            words='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            words='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            words='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek
                deepseek-ocr deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge
                gpt-oss granite granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2
                llama2 llama2-sys llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1
                mistral-v3 mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion
                pangu-embedded phi3 phi4 rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex
                zephyr' ;;
        --type)
            words='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    inspect)
        own='--tensors --hf-repo --hf-file --offline --config --json --quiet --verbose --color --help'
        case $prev in
        -hf | --hf-repo | -hff | --hf-file)
            kind= ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    profile)
        own='--output --ctx --save-every --until-stable --set-aside --resume --force --shard --pairs
            --sequences --show-samples --separate-streams --calib --samples-per-category --max-samples --seed
            --no-shuffle --skip-bad --join-parts --skip-media --map --threads --ubatch-size --ubatch
            --n-gpu-layers --gpu-layers --device --split-mode --tensor-split --cpu-moe --n-cpu-moe
            --flash-attn --cache-type-k --cache-type-v --rpc --load-mode --no-mmap --mlock --chat-template
            --chat-template-file --chat-template-kwargs --type --pretokenizer --device-norms --hf-repo
            --hf-file --offline --config --json --quiet --verbose --color --help'
        case $prev in
        --ctx | --save-every | --until-stable | --set-aside | --shard | --sequences | --show-samples | \
            --samples-per-category | --max-samples | --seed | --map | -t | --threads | -ub | --ubatch-size | \
            --ubatch | -ngl | --n-gpu-layers | --gpu-layers | -dev | --device | -ts | --tensor-split | \
            -ncmoe | --n-cpu-moe | --rpc | --chat-template-kwargs | --pretokenizer | -hf | --hf-repo | -hff \
            | --hf-file)
            kind= ;;
        --pairs)
            words='auto on off' ;;
        -sm | --split-mode)
            words='none layer' ;;
        -fa | --flash-attn)
            words='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            words='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            words='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek
                deepseek-ocr deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge
                gpt-oss granite granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2
                llama2 llama2-sys llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1
                mistral-v3 mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion
                pangu-embedded phi3 phi4 rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex
                zephyr' ;;
        --type)
            words='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    stats)
        own='--criterion --model --output --force --format --architecture --experts-used --offline --config
            --json --quiet --verbose --color --help'
        case $prev in
        --criterion)
            words='reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 reap_sq_sum loo
                loo_mean hope max_activation random' ;;
        --format)
            words='llama-expert-profile imatrix' ;;
        --architecture | --experts-used)
            kind= ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    plan)
        own='--keep --keep-ratio --prune-ratio --fit --round-to --criterion --seed --stats --blend
            --protect-super --protect --protect-share --from --output --model --force --offline --config
            --json --quiet --verbose --color --help'
        case $prev in
        --keep | --keep-ratio | -r | --prune-ratio | --fit | --round-to | --seed | --protect-share)
            kind= ;;
        --criterion)
            words='reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 reap_sq_sum loo
                loo_mean hope max_activation random' ;;
        --blend)
            words='mean maxmin' ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    choose)
        own='--keep --keep-ratio --prune-ratio --fit --round-to --stats --output --criteria --text --ctx
            --budget --force --calib --samples-per-category --max-samples --seed --no-shuffle --skip-bad
            --join-parts --skip-media --map --threads --ubatch-size --ubatch --n-gpu-layers --gpu-layers
            --device --split-mode --tensor-split --cpu-moe --n-cpu-moe --flash-attn --cache-type-k
            --cache-type-v --rpc --load-mode --no-mmap --mlock --chat-template --chat-template-file
            --chat-template-kwargs --type --pretokenizer --device-norms --hf-repo --hf-file --offline --config
            --json --quiet --verbose --color --help'
        case $prev in
        --keep | --keep-ratio | -r | --prune-ratio | --fit | --round-to | --ctx | --budget | \
            --samples-per-category | --max-samples | --seed | --map | -t | --threads | -ub | --ubatch-size | \
            --ubatch | -ngl | --n-gpu-layers | --gpu-layers | -dev | --device | -ts | --tensor-split | \
            -ncmoe | --n-cpu-moe | --rpc | --chat-template-kwargs | --pretokenizer | -hf | --hf-repo | -hff \
            | --hf-file)
            kind= ;;
        --criteria)
            words='reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 reap_sq_sum loo
                loo_mean hope max_activation random' ;;
        -sm | --split-mode)
            words='none layer' ;;
        -fa | --flash-attn)
            words='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            words='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            words='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek
                deepseek-ocr deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge
                gpt-oss granite granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2
                llama2 llama2-sys llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1
                mistral-v3 mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion
                pangu-embedded phi3 phi4 rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex
                zephyr' ;;
        --type)
            words='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    prune)
        own='--plan --output --dry-run --gain --force --merge --mtp --name --base-model --card --no-provenance
            --max-shard-size --add-count-aliases --no-card --hf-repo --hf-file --offline --config --json
            --quiet --verbose --color --help'
        case $prev in
        --mtp)
            words='prune drop' ;;
        --name | --base-model | --max-shard-size | -hf | --hf-repo | -hff | --hf-file)
            kind= ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    verify)
        own='--plan --gain --name --write-plan --force --hf-repo --hf-file --offline --config --json --quiet
            --verbose --color --help'
        case $prev in
        --name | -hf | --hf-repo | -hff | --hf-file)
            kind= ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    eval)
        own='--text --ctx --choices --plan --against --pass --logprobs --output --force --calib
            --samples-per-category --max-samples --seed --no-shuffle --skip-bad --join-parts --skip-media
            --map --threads --ubatch-size --ubatch --n-gpu-layers --gpu-layers --device --split-mode
            --tensor-split --cpu-moe --n-cpu-moe --flash-attn --cache-type-k --cache-type-v --rpc --load-mode
            --no-mmap --mlock --chat-template --chat-template-file --chat-template-kwargs --type
            --pretokenizer --device-norms --hf-repo --hf-file --offline --config --json --quiet --verbose
            --color --help'
        case $prev in
        --ctx | --pass | --samples-per-category | --max-samples | --seed | --map | -t | --threads | -ub | \
            --ubatch-size | --ubatch | -ngl | --n-gpu-layers | --gpu-layers | -dev | --device | -ts | \
            --tensor-split | -ncmoe | --n-cpu-moe | --rpc | --chat-template-kwargs | --pretokenizer | -hf | \
            --hf-repo | -hff | --hf-file)
            kind= ;;
        -sm | --split-mode)
            words='none layer' ;;
        -fa | --flash-attn)
            words='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            words='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            words='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek
                deepseek-ocr deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge
                gpt-oss granite granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2
                llama2 llama2-sys llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1
                mistral-v3 mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion
                pangu-embedded phi3 phi4 rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex
                zephyr' ;;
        --type)
            words='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    sweep)
        own='--stats --text --ctx --ratios --criteria --round-to --seed --types --allow-requantize --fit
            --max-ppl-increase --max-kl --pass --output --state --force --threads --ubatch-size --ubatch
            --n-gpu-layers --gpu-layers --device --split-mode --tensor-split --cpu-moe --n-cpu-moe
            --flash-attn --cache-type-k --cache-type-v --rpc --load-mode --no-mmap --mlock --chat-template
            --chat-template-file --chat-template-kwargs --type --pretokenizer --device-norms --hf-repo
            --hf-file --offline --config --json --quiet --verbose --color --help'
        case $prev in
        --ctx | -r | --ratios | --round-to | --seed | --fit | --max-ppl-increase | --max-kl | --pass | -t | \
            --threads | -ub | --ubatch-size | --ubatch | -ngl | --n-gpu-layers | --gpu-layers | -dev | \
            --device | -ts | --tensor-split | -ncmoe | --n-cpu-moe | --rpc | --chat-template-kwargs | \
            --pretokenizer | -hf | --hf-repo | -hff | --hf-file)
            kind= ;;
        --criteria)
            words='reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 reap_sq_sum loo
                loo_mean hope max_activation random' ;;
        --types)
            words='F32 F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 IQ4_NL IQ4_XS
                MXFP4_MOE Q3_K_L Q3_K_M Q3_K_S IQ3_M IQ3_S Q2_K Q2_0 TQ2_0 TQ1_0 Q1_0' ;;
        -sm | --split-mode)
            words='none layer' ;;
        -fa | --flash-attn)
            words='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            words='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            words='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek
                deepseek-ocr deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge
                gpt-oss granite granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2
                llama2 llama2-sys llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1
                mistral-v3 mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion
                pangu-embedded phi3 phi4 rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex
                zephyr' ;;
        --type)
            words='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    refine)
        own='--plan --stats --text --set-aside --check --output --ctx --budget --trials --tokens --near --z
            --criterion --state --force --calib --samples-per-category --max-samples --seed --no-shuffle
            --skip-bad --join-parts --skip-media --map --threads --ubatch-size --ubatch --n-gpu-layers
            --gpu-layers --device --split-mode --tensor-split --cpu-moe --n-cpu-moe --flash-attn
            --cache-type-k --cache-type-v --rpc --load-mode --no-mmap --mlock --chat-template
            --chat-template-file --chat-template-kwargs --type --pretokenizer --device-norms --hf-repo
            --hf-file --offline --config --json --quiet --verbose --color --help'
        case $prev in
        --set-aside | --ctx | --budget | --trials | --tokens | --near | --z | --samples-per-category | \
            --max-samples | --seed | --map | -t | --threads | -ub | --ubatch-size | --ubatch | -ngl | \
            --n-gpu-layers | --gpu-layers | -dev | --device | -ts | --tensor-split | -ncmoe | --n-cpu-moe | \
            --rpc | --chat-template-kwargs | --pretokenizer | -hf | --hf-repo | -hff | --hf-file)
            kind= ;;
        --criterion)
            words='reap reap_sum ean_mean ean_sum frequency gate_mean gate_sum reap_l2 ean_l2 reap_sq_sum loo
                loo_mean hope max_activation random' ;;
        -sm | --split-mode)
            words='none layer' ;;
        -fa | --flash-attn)
            words='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            words='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            words='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek
                deepseek-ocr deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge
                gpt-oss granite granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2
                llama2 llama2-sys llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1
                mistral-v3 mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion
                pangu-embedded phi3 phi4 rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex
                zephyr' ;;
        --type)
            words='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    gain)
        own='--plan --output --set-aside --tokens --force --calib --samples-per-category --max-samples --seed
            --no-shuffle --skip-bad --join-parts --skip-media --map --threads --ubatch-size --ubatch
            --n-gpu-layers --gpu-layers --device --split-mode --tensor-split --cpu-moe --n-cpu-moe
            --flash-attn --cache-type-k --cache-type-v --rpc --load-mode --no-mmap --mlock --chat-template
            --chat-template-file --chat-template-kwargs --type --pretokenizer --device-norms --hf-repo
            --hf-file --offline --config --json --quiet --verbose --color --help'
        case $prev in
        --set-aside | --tokens | --samples-per-category | --max-samples | --seed | --map | -t | --threads | \
            -ub | --ubatch-size | --ubatch | -ngl | --n-gpu-layers | --gpu-layers | -dev | --device | -ts | \
            --tensor-split | -ncmoe | --n-cpu-moe | --rpc | --chat-template-kwargs | --pretokenizer | -hf | \
            --hf-repo | -hff | --hf-file)
            kind= ;;
        -sm | --split-mode)
            words='none layer' ;;
        -fa | --flash-attn)
            words='on off auto' ;;
        -ctk | --cache-type-k | -ctv | --cache-type-v)
            words='f32 f16 bf16 q8_0 q4_0 q4_1 iq4_nl q5_0 q5_1' ;;
        -lm | --load-mode)
            words='auto none mmap mlock mmap+mlock' ;;
        --chat-template)
            words='none bailing bailing-think bailing2 chatglm3 chatglm4 chatml command-r deepseek
                deepseek-ocr deepseek2 deepseek3 exaone-moe exaone3 exaone4 falcon3 gemma gigachat glmedge
                gpt-oss granite granite-4.0 granite-4.1 grok-2 hunyuan-dense hunyuan-moe hunyuan-vl kimi-k2
                llama2 llama2-sys llama2-sys-bos llama2-sys-strip llama3 llama4 megrez minicpm mistral-v1
                mistral-v3 mistral-v3-tekken mistral-v7 mistral-v7-tekken monarch openchat orion
                pangu-embedded phi3 phi4 rwkv-world seed_oss smolvlm solar-open vicuna vicuna-orca yandex
                zephyr' ;;
        --type)
            words='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    report)
        own='--output --stats --plan --eval --against --sweep --compare --model --title --force --offline
            --config --json --quiet --verbose --color --help'
        case $prev in
        --title)
            kind= ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    convert)
        own='--output --type --name --pretokenizer --threads --force --hf-repo --hf-file --offline --config
            --json --quiet --verbose --color --help'
        case $prev in
        --type)
            words='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --name | --pretokenizer | -t | --threads | -hf | --hf-repo | -hff | --hf-file)
            kind= ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    quantize)
        own='--output --imatrix --allow-requantize --dry-run --threads --force --pure --tensor-type
            --tensor-type-file --output-tensor-type --token-embedding-type --leave-output-tensor
            --include-weights --exclude-weights --hf-repo --hf-file --offline --config --json --quiet
            --verbose --color --help'
        case $prev in
        -t | --threads | --tensor-type | --include-weights | --exclude-weights | -hf | --hf-repo | -hff | \
            --hf-file)
            kind= ;;
        --output-tensor-type | --token-embedding-type)
            words='f32 f16 bf16 q8_0 q6_K q5_K q5_1 q5_0 q4_K q4_1 q4_0 iq4_nl iq4_xs mxfp4 nvfp4 q3_K iq3_s
                iq3_xxs q2_K iq2_s iq2_xs q2_0 iq2_xxs tq2_0 iq1_m tq1_0 iq1_s q1_0' ;;
        --color)
            words='auto always never' ;;
        esac
        operand='F32 F16 BF16 Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 IQ4_NL IQ4_XS
            MXFP4_MOE Q3_K_L Q3_K_M Q3_K_S IQ3_M IQ3_S IQ3_XS IQ3_XXS Q2_K Q2_K_S IQ2_M IQ2_S IQ2_XS Q2_0
            IQ2_XXS TQ2_0 IQ1_M TQ1_0 IQ1_S Q1_0'
        ;;
    serve)
        own='--port --host --load-timeout --type --hf-repo --hf-file --offline --config --json --quiet
            --verbose --color --help'
        case $prev in
        -p | --port | --host | --load-timeout | -hf | --hf-repo | -hff | --hf-file)
            kind= ;;
        --type)
            words='auto f32 f16 bf16 q8_0 q6_K q5_K q4_K q4_0' ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    batch)
        own='--server --prompts --output --model --completions --parallel --repeat --brief --force --system
            --max-tokens --temperature --top-p --top-k --seed --timeout --connect-timeout --retries
            --retry-wait --config --json --quiet --verbose --color --help'
        case $prev in
        -s | --server | -m | --model | --parallel | --repeat | --system | --max-tokens | --temperature | \
            --top-p | --top-k | --seed | --timeout | --connect-timeout | --retries | --retry-wait)
            kind= ;;
        --color)
            words='auto always never' ;;
        esac
        ;;
    compare)
        own='--output --force --config --json --quiet --verbose --color --help'
        case $prev in
        --color)
            words='auto always never' ;;
        esac
        ;;
    help) words=$commands ;;
    *) return ;;
    esac
    if [[ -n $words ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    elif [[ -z $kind ]]; then
        COMPREPLY=()
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$own" -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen "$kind" -- "$cur"; compgen -W "$operand" -- "$cur")
    fi
}

complete -o filenames -o bashdefault -F _reap reap
