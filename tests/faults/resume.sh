# Runs that are killed outright at random moments, and begun again until they end, give the bytes of a run that nobody disturbed.
# KILLS: of each command (default 200); SEED: of the moments.
. "$SRC/tests/cli/lib.bash"
. "$SRC/tests/cli/batch.bash"
kills=${KILLS:-200}
RANDOM=${SEED:-1}
export SOURCE_DATE_EPOCH=0
M=$MODELS/qwen3_moe

cp "$M/model.gguf" m.gguf
cp "$M/plan.json" plan.json
for i in 1 2 3 4; do cat "$M/texts.jsonl"; done >texts.jsonl
printf 'a few words that make a text, again and again: %.0s' $(seq 80) >held.txt
for i in $(seq 12); do echo "{\"id\":\"p$i\",\"prompt\":\"prompt $i\"}"; done >prompts.jsonl
"$REAP" profile m.gguf -c texts.jsonl -t 1 -o stats.json -q 2>/dev/null

# What no two runs have alike.
plain() { # FILE
    sed -E 's/"[a-z_]*(seconds|per_second|created|started|ended)": [^,]*,?//' "$1" | grep -avE '"(key|files)": "'
}

milliseconds() { # COMMAND...
    local a b
    a=$(date +%s%N)
    ("$@") >.out 2>.err </dev/null || { say_bad "exit status $?: $*"; show .err; }
    b=$(date +%s%N)
    echo $(((b - a) / 1000000 + 1))
}

# One round: the command, killed again and again, until it ends by itself or was killed often enough; then undisturbed.
killed=0
round() { # MILLISECONDS LIMIT COMMAND...
    local most=$1 limit=$2 n=0 pid got
    shift 2
    while ((n < limit)); do
        "$@" >.out 2>.err </dev/null &
        pid=$!
        sleep "$(printf '0.%03d' $((RANDOM % (most + most / 4 + 2))))"
        kill -KILL $pid 2>/dev/null
        { wait $pid; } 2>/dev/null
        got=$?
        ((got == 137)) || return $got
        n=$((n + 1)) killed=$((killed + 1))
    done
    ("$@") >.out 2>.err </dev/null
}

# NAME OUTPUTS COMMAND...: rounds until there were enough kills. Outputs are files in the folder of the round.
survives() {
    local name=$1 outs=$2 ms f got before bad_before=$bad
    shift 2
    rm -rf want got
    mkdir want
    cd want || exit 1
    ms=$(milliseconds "$@")
    cd ..
    killed=0
    while ((killed < kills)); do
        before=$killed
        rm -rf got
        mkdir got
        cd got || exit 1
        round "$ms" 8 "$@"
        got=$?
        cd ..
        n_checks=$((n_checks + 1))
        # Killed when the output was there, and before what it was made from was removed: complete, refused, and said so.
        if ((got == 2)) && grep -q 'exists; --force replaces it' got/.err; then
            rm -f got/o.json.state
            got=0
        fi
        ((got == 0)) || { say_bad "$name: exit status $got behind $((killed - before)) kills"; show got/.err; }
        for f in $outs; do
            cmp -s <(plain "want/$f") <(plain "got/$f") || say_bad "$name: $f is not what it is undisturbed, behind $((killed - before)) kills"
        done
        expect "$name: nothing is left" test "$(ls -A got)" = "$(ls -A want)"
        ((bad - bad_before < 5)) || break # and no end
    done
    echo "$name: $killed kills, $ms ms undisturbed"
}

R=$REAP
one=(-t 1 -q)
going_on() { # profile goes on by an option, from a file that is there, or is put back when a kill fell between two renames
    local more=()
    [[ ! -e o.json && ! -e o.json.reap-old ]] || more=(--resume)
    exec "$R" profile ../m.gguf -c ../texts.jsonl --ctx 64 --sequences 1 --save-every 0.0001 -o o.json "${one[@]}" "${more[@]}"
}
survives profile o.json going_on
survives sweep o.json "$R" sweep ../m.gguf -s ../stats.json --text ../held.txt --ctx 64 -r 0.25,0.5,0.75 --criteria reap,frequency --max-kl 9 -o o.json "${one[@]}"
survives refine o.json "$R" refine ../m.gguf -p ../plan.json -s ../stats.json --text ../held.txt --ctx 64 --trials 6 -o o.json "${one[@]}"
survives batch o.json "$R" batch --server "$url/good" --prompts ../prompts.jsonl --parallel 2 -o o.json -q
survives run 'o.gguf o.gguf.work/stats.json o.gguf.work/plan.json o.gguf.work/eval-after.json' \
    "$R" run ../m.gguf -c ../texts.jsonl --text ../held.txt --eval-ctx 64 -o o.gguf "${one[@]}"
finish
