# Checkpoints that are large: 100,000 tensors; interrupted at work, and with little memory.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/checkpoint.bash"
M=$FORMS/mixtral
plan=$M/pruned/plan.json
. "$SRC/tests/cli/interrupt.bash"
ok prune "$M" --plan "$plan" -o out

# ---- many tensors
"$TOOL" make many --tensors 100000 --experts 128 --hidden 8 --ffn 4 --shards 3
keep_first many 64 half.json
ok inspect many --json
json .out n_tensors
ok prune many --plan half.json -o fewer
n=$(find fewer -name '*.safetensors' -exec head -c 8 {} \; | wc -c)
expect 'three files again' test "$n" = 24
ok verify many fewer --plan half.json
ok inspect fewer --json
layers=$("$JSON" get .out model/n_layers)
expect 'their number' test "$("$JSON" get .out n_tensors)" = $((layers * (9 + 3 * 64) + 3))
rm -rf many fewer

# ---- interrupted: nothing is left
free=$(df --output=avail -k "$T" | tail -1)
if ((free > 2000000)); then
    "$TOOL" make big --layers 4 --experts 32 --hidden 1024 --ffn 1024 --shards 2 --sparse 1
    keep_first big 16 half.json
    rm -rf new
    for s in INT TERM HUP; do
        start new.reap-part "$REAP" prune big --plan half.json -o new --quiet
        end $s
        expect "SIG$s: exit status 130, not $got" test $got = 130
        one_line interrupted
        expect "SIG$s: nothing left: $(compgen -G 'new*')" test -z "$(compgen -G 'new*')"
    done
    # over an older output: that one stays whole
    cp -r out new
    start new.reap-part "$REAP" prune big --plan half.json -o new --force --quiet
    end INT
    expect "SIGINT over an older output: exit status 130, not $got" test $got = 130
    compare "$M/pruned" new
    rm -rf new
    if memory_can_be_limited; then # weights are not gathered in memory
        expect '800 MB pruned with 64 MiB of memory' prlimit --data=67108864 "$REAP" prune big --plan half.json -o new
    else
        left_out 'memory while pruning: no prlimit, or a sanitizer or an emulator with memory of its own'
    fi
    rm -rf new big
else
    left_out "interruptions: need 2 GB of disk under $T, $((free / 1024)) MB are free"
fi

no_parts
expect 'no file with a name of ours is left' test -z "$(find . -maxdepth 1 -name '.reap*' -o -maxdepth 1 -name '*.reap-*')"
untouched
finish
