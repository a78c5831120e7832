#!/usr/bin/env bash
# Models by name and by folders of the hub's cache, as huggingface_hub lays them out: no network is needed, and none is asked.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
CK=$MODELS/qwen3_moe/hf
Q=$MODELS/qwen3_moe/model.gguf
export HF_HUB_CACHE=$T/hub
REV=0123456789abcdef0123456789abcdef01234567

# into CACHE ORG REPO FILE NAME: FILE as NAME in the snapshot
into() {
    local root=$1/models--$2--$3 sum
    sum=$(sha256sum "$4" | cut -d' ' -f1)
    mkdir -p "$root"/{blobs,refs} "$root/snapshots/$REV/$(dirname "$5")"
    cp "$4" "$root/blobs/$sum"
    ln -s "$T/$root/blobs/$sum" "$root/snapshots/$REV/$5"
    printf %s "$REV" >"$root/refs/main"
}
checkpoint() { # CACHE ORG REPO
    local f
    for f in "$CK"/*.*; do
        into "$1" "$2" "$3" "$f" "${f##*/}"
    done
}
checkpoint hub org qwen-tiny
root=hub/models--org--qwen-tiny

# ---- the same model by its name, by the folder of the cache, by each folder in it
ok inspect "$CK" --json
sed -n '/"n_experts"/p;/"bytes"/p' .out >want
for m in org/qwen-tiny "-hf org/qwen-tiny" "--hf-repo=org/qwen-tiny" $root $root/ $root/snapshots $root/snapshots/ $root/snapshots/$REV $root/refs/..; do
    ok inspect $m --json
    sed -n '/"n_experts"/p;/"bytes"/p' .out >got
    expect "$m is the model" cmp want got
    has .out '"name": "qwen-tiny"'
done
(cd $root/snapshots && "$REAP" inspect . >"$T/.out" 2>&1)
has .out '^model +qwen-tiny$'
ok inspect org/qwen-tiny
has .err "^org/qwen-tiny is .*/hub/models--org--qwen-tiny/snapshots/$REV$"

# ---- its name in all that is made of it
cat >c.jsonl <<<'{"text": "The quick brown fox jumps over the lazy dog, and the dog does not mind at all."}'
ok profile org/qwen-tiny -c c.jsonl -o stats.json
has stats.json '"name": "qwen-tiny"'
ok plan stats.json --keep 6 --model org/qwen-tiny -o plan.json
ok convert $root -o c.gguf
ok inspect c.gguf
has .out '^model +qwen-tiny$'
ok prune org/qwen-tiny --plan plan.json -o pruned
has pruned/README.md '^base_model: org/qwen-tiny$'
ok verify org/qwen-tiny pruned --plan plan.json
ok eval pruned --against org/qwen-tiny --text "$SRC/models/README.md" --ctx 32

# ---- which snapshot
cp -r $root hub/models--org--two
mv hub/models--org--two/refs/main hub/models--org--two/main
ok inspect org/two
has .out '^model +two$'
cp -r hub/models--org--two/snapshots/{$REV,second}
fails 2 'names no snapshot' "$REV, second" -- inspect hub/models--org--two
fails 2 "'org/two' is neither" -- inspect org/two
printf 'second\n' >hub/models--org--two/refs/main
ok inspect hub/models--org--two
printf '../../models--org--qwen-tiny/snapshots/%s' $REV >hub/models--org--two/refs/main
fails 2 'names no snapshot' -- inspect hub/models--org--two

# ---- GGUF files: as llama.cpp chooses
for f in mmproj-F16.gguf imatrix.gguf b-Q8_0.gguf c-Q4_K_M.gguf sub/a-q5_k_m.gguf; do
    cp "$Q" x.gguf
    printf %s "$f" >>x.gguf
    into hub org g x.gguf "$f"
done
chosen() { # FILE ARGS
    local want=$1
    shift
    ok inspect "$@"
    has .err "/snapshots/$REV/$want$"
}
chosen c-Q4_K_M.gguf org/g
chosen b-Q8_0.gguf org/g:Q8_0
chosen b-Q8_0.gguf org/g:q8_0
chosen sub/a-q5_k_m.gguf -hf org/g:Q5_K_M
chosen b-Q8_0.gguf -hf org/g:Q5_K_M --hf-file b-Q8_0.gguf
chosen b-Q8_0.gguf -hf org/g -hff b-Q8_0.gguf
fails 2 'org/g:Q2_K. is neither' "'hf download org/g --include \"[*]Q2_K[*]\"' gets it" -- inspect org/g:Q2_K
fails 2 'hf download org/g none.gguf' -- inspect -hf org/g -hff none.gguf
fails 2 "hf download org/g 'a b.gguf''" -- inspect -hf org/g -hff 'a b.gguf'
rm hub/models--org--g/snapshots/$REV/c-Q4_K_M.gguf
chosen b-Q8_0.gguf org/g
rm hub/models--org--g/snapshots/$REV/b-Q8_0.gguf
chosen sub/a-q5_k_m.gguf org/g
# in several parts: all or none
"$EDIT" --split 2 "$Q" part || say_bad 'not split'
for f in part-*.gguf; do
    into hub org parts "$f" "m-Q4_K_M${f#part}"
done
chosen m-Q4_K_M-00001-of-00002.gguf org/parts
rm hub/models--org--parts/snapshots/$REV/m-Q4_K_M-00002-of-00002.gguf
fails 2 "without 'm-Q4_K_M-00002-of-00002.gguf'" -- inspect org/parts

# ---- half of a checkpoint
checkpoint hub org half
rm hub/models--org--half/blobs/"$(sha256sum "$CK/model-00002-of-00003.safetensors" | cut -d' ' -f1)"
fails 2 "without 'model-00002-of-00003.safetensors', and HF_HUB_OFFLINE forbids a connection: 'hf download org/half' gets it" -- inspect org/half

# ---- where caches are
unset HF_HUB_CACHE
HUGGINGFACE_HUB_CACHE=$T/hub ok inspect org/qwen-tiny
mkdir -p home/.cache/huggingface empty
ln -s "$T/hub" home/.cache/huggingface/hub
HF_HOME=$T/home/.cache/huggingface ok inspect org/qwen-tiny
XDG_CACHE_HOME=$T/home/.cache ok inspect org/qwen-tiny
HOME=$T/home ok inspect org/qwen-tiny
LLAMA_CACHE=$T/hub HF_HUB_CACHE=$T/empty ok inspect org/qwen-tiny
HF_HUB_CACHE=$T/empty fails 2 "neither a local path nor in the hub's cache .*/empty" "hf download org/qwen-tiny" -- inspect org/qwen-tiny
export HF_HUB_CACHE=$T/hub

# ---- local paths win, and what looks like one is no name
mkdir -p org
ln -s "$CK" org/qwen-tiny
ok inspect org/qwen-tiny
[[ ! -s .err ]] || say_bad 'a local path was looked for elsewhere'
ok inspect -hf org/qwen-tiny
has .err 'snapshots'
fails 2 "cannot open 'org/none': No such file" 'hf org/none' -- inspect org/none
fails 2 "No such file" -- inspect nobody/none.gguf
for odd in a/b/c a/.. x:Q8_0 ../b a--b/c; do
    fails 2 'No such file' -- inspect "$odd"
    fails 2 'expected ORG/REPO' -- inspect -hf "$odd"
done
fails 2 'expected ORG/REPO' -- inspect -hf org/qwen-tiny:
fails 2 'expected ORG/REPO' -- inspect -hf 'org/x:../y'
fails 2 "hf-file 'x.gguf' is for a model of the hub" -- inspect "$Q" --hf-file x.gguf
fails 2 'unexpected operand' -- inspect -hf org/qwen-tiny "$Q"

finish
