#!/usr/bin/env bash
# Models of the hub, downloaded into its cache, from a server that speaks its interface and misbehaves on purpose.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
SERVER=$BIN/hub_server
[[ -x $SERVER ]] || skip "no hub_server"
CK=$MODELS/qwen3_moe/hf
Q=$MODELS/qwen3_moe/model.gguf
REV=0123456789abcdef0123456789abcdef01234567
unset HF_HUB_OFFLINE http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
export HF_HUB_CACHE=$T/hub HOME=$T/home
mkdir home

# ---- the models: a checkpoint with what is not wanted of it, and GGUF files
mkdir -p srv/good/ck/original srv/good/g/sub
cp "$CK"/*.* srv/good/ck/
printf 'base\n' >srv/good/ck/README.md
head -c 5000 /dev/zero >srv/good/ck/original/consolidated.00.pth
head -c 5000 /dev/zero >srv/good/ck/pytorch_model.bin
head -c 5000 /dev/zero >srv/good/ck/consolidated.safetensors
cp "$Q" "srv/good/g/sub/m a-Q4_K_M.gguf"
cp "$Q" srv/good/g/m-Q8_0.gguf
cp "$Q" srv/good/g/mmproj-F16.gguf
for org in cut norange wrong gated private liesmall lieslarge huge outside badsize badhash40 badjson pages slow busy nosha endless \
    scheme round elsewhere dead expired forbidden; do
    ln -s good srv/$org
done

D=$(mktemp -d "${TMPDIR:-/tmp}/reap-hub.XXXXXX") || exit 1 # what the servers write
servers=()
serve() { # NAME VARIABLES...: a server at $(cat NAME.port), that logs to NAME.log
    local name=$1
    shift
    env "$@" "$SERVER" "$D/$name.port" "$D/$name.log" "$T/srv" &
    servers+=($!)
    wait_for 10 test -s "$D/$name.port" || { say_bad 'the server does not start'; finish; }
}
trap '[[ $BASHPID != $$ ]] || { kill "${servers[@]}" 2>/dev/null; rm -rf "$D"; cleanup; }' EXIT
serve cdn
serve hub "OTHER=http://localhost:$(<"$D/cdn.port")"
export HF_ENDPOINT=http://127.0.0.1:$(<"$D/hub.port")

fresh() {
    rm -rf hub
    : >"$D/hub.log"
    : >"$D/cdn.log"
}
# The last line of what is said holds the words; notes may stand in front of it, and folders of the cache may stay.
failing() { # RC WORDS... -- ARGS...
    local want=$1 words=()
    shift
    while [[ $1 != -- ]]; do
        words+=("$1")
        shift
    done
    shift
    rc "$want" "$@"
    tail -n 1 .err >.last
    mv .last .err
    one_line "${words[@]}"
}
root() { # ORG REPO
    echo "hub/models--$1--$2"
}
nothing_stays() { # no file but locks and what is unfinished
    n_checks=$((n_checks + 1))
    [[ -z $(find hub -name refs -o -path '*/snapshots/*' -name '*.safetensors' 2>/dev/null) ]] || say_bad "a model is left"
    [[ ! -e evil.json && ! -e hub/evil.json ]] || say_bad 'a file was written outside'
}

# ---- Mistral's own layout: its config and its files, with an index or without
O=$SRC/tests/data/structural/mistral-own-fp8
mkdir srv/good/own srv/good/plain
cp "$O"/*.* srv/good/own/
cp "$O"/params.json "$O"/*.safetensors srv/good/plain/
for name in own plain; do
    ok inspect good/$name
    has .out "^checkpoint +Mistral's own layout"
    for f in srv/good/$name/*.*; do
        expect "$name/${f##*/} is the hub's" cmp "$f" "$(root good $name)/snapshots/$REV/${f##*/}"
    done
    ok inspect good/$name --offline
done
fresh

# ---- a checkpoint: what is needed of it, in the hub's layout
ok inspect good/ck
has .err 'downloading .* in 11 files of good/ck into .*/hub/models--good--ck$' "^good/ck is .*/snapshots/$REV$"
s=$(root good ck)/snapshots/$REV
expect 'the revision' test "$(<"$(root good ck)/refs/main")" = $REV
for f in "$CK"/*.* srv/good/ck/README.md; do
    expect "${f##*/} is the hub's" cmp "$f" "$s/${f##*/}"
done
absent $s/original $s/pytorch_model.bin $s/consolidated.safetensors
f=$(readlink $s/model-00001-of-00003.safetensors)
expect 'a link that can be moved' test "$f" = "../../blobs/$(sha256sum <"$CK/model-00001-of-00003.safetensors" | cut -d' ' -f1)"
expect 'a small file by its git hash' test "$(readlink $s/README.md)" = "../../blobs/$(git hash-object srv/good/ck/README.md 2>/dev/null || echo df967b96a579e45a18b8251732d16804b2e56a55)"
expect 'nothing unfinished' test -z "$(find hub -name '*.incomplete')"
# from the cache without a request, also moved, also when the server is gone
: >"$D/hub.log"
mv hub moved
HF_HUB_CACHE=$T/moved ok inspect good/ck
HF_HUB_CACHE=$T/moved HF_ENDPOINT=http://127.0.0.1:9 ok inspect good/ck
HF_HUB_CACHE=$T/moved ok inspect good/ck --offline
expect 'no request' test ! -s "$D/hub.log"
# half of it gone: only that is loaded
rm -rf hub
mv moved hub
rm "$s/model-00002-of-00003.safetensors" "$(root good ck)/blobs/$(sha256sum <"$CK/model-00002-of-00003.safetensors" | cut -d' ' -f1)"
failing 2 "without 'model-00002-of-00003.safetensors'" '--offline forbids' -- inspect good/ck --offline
ok inspect good/ck
has .err 'in 1 file of'
expect 'one file' test "$(grep -c resolve "$D/hub.log")" = 1

# ---- GGUF: one file of the repository
fresh
ok inspect good/g
expect 'Q4_K_M' cmp "$Q" "$(root good g)/snapshots/$REV/sub/m a-Q4_K_M.gguf"
has "$D/hub.log" 'resolve/.*/sub/m%20a-Q4_K_M.gguf'
expect 'one file' test "$(grep -c resolve "$D/hub.log")" = 1
ok inspect good/g:q8_0
expect 'Q8_0' cmp "$Q" "$(root good g)/snapshots/$REV/m-Q8_0.gguf"
fresh
ok inspect -hf good/g --hf-file m-Q8_0.gguf
failing 2 "no file 'x.gguf'" 'm-Q8_0.gguf' -- inspect -hf good/g -hff x.gguf
failing 2 "no GGUF file with 'Q2_K'" 'm-Q8_0.gguf, sub/m a-Q4_K_M.gguf' -- inspect good/g:Q2_K

# ---- the token: to the hub, never to the host that it sends us to, never shown
fresh
export HF_TOKEN=hf_secret
ok inspect gated/g -v
has "$D/hub.log" 'resolve.* token$'
has "$D/cdn.log" '/cdn/'
lacks "$D/cdn.log" 'token$' 'other$'
lacks .err hf_secret
lacks .out hf_secret
refuse 'the token is kept' grep -r hf_secret hub
fresh
ok inspect private/g
unset HF_TOKEN
mkdir -p home/.cache/huggingface
printf 'hf_secret\n' >home/.cache/huggingface/token
fresh
ok inspect gated/g
HF_TOKEN=hf_wrong rc 2 inspect private/ck
rm home/.cache/huggingface/token
fresh
failing 2 "'gated/ck' is gated: accept its terms at $HF_ENDPOINT/gated/ck, then set HF_TOKEN" -- inspect gated/ck
lacks .err hf_secret
failing 2 "has no model 'private/ck', or it is private: then set HF_TOKEN" -- inspect private/ck
failing 2 "has no model 'nobody/none'" -- inspect nobody/none
HF_TOKEN=$'hf_\nsecret' failing 2 'token of the hub .* is not one word' -- inspect gated/ck
nothing_stays

# ---- connections that break: it goes on where it was
fresh
ok inspect cut/ck
has .err 'cut/ck is'
has "$D/cdn.log" 'from [1-9][0-9]* -$'
expect 'whole' cmp "$CK/model-00001-of-00003.safetensors" "$(root cut ck)/snapshots/$REV/model-00001-of-00003.safetensors"
fresh
ok inspect norange/g
expect 'whole' cmp "$Q" "$(root norange g)/snapshots/$REV/sub/m a-Q4_K_M.gguf"
fresh
ok inspect busy/g
ok inspect expired/g
failing 1 'the host that .* sends us to answers with status 403' -- inspect forbidden/g
# what another program has left, right and wrong
fresh
sum=$(sha256sum <"$Q" | cut -d' ' -f1)
mkdir -p "$(root good g)/blobs"
head -c 1234 "$Q" >"$(root good g)/blobs/$sum.incomplete"
ok inspect good/g
has "$D/cdn.log" 'from 1234 -'
fresh
mkdir -p "$(root good g)/blobs"
head -c 1234 /dev/zero >"$(root good g)/blobs/$sum.incomplete"
ok inspect good/g
has "$D/cdn.log" 'from 1234 -' 'from 0 -'
fresh
mkdir -p "$(root good g)/blobs"
cat "$Q" "$Q" >"$(root good g)/blobs/$sum.incomplete"
ok inspect good/g
# one that never brings anything ends
failing 1 'm a-Q4_K_M.gguf: ' -- inspect dead/g

# ---- answers that cannot be right
fresh
for case in 'wrong the SHA-256 of what came' 'liesmall sends more than the' 'lieslarge the server has [0-9]+ bytes of it, its list says' 'huge free, the output needs' \
    "outside '../../../evil.json' is no name of a file" "badsize the size of 'x.json'" 'badhash40 is not 40 hexadecimal' \
    'badjson column' 'nosha 40 hexadecimal' 'endless more than 64 MiB' 'scheme address that is not http' 'round more than 8 times' \
    'elsewhere another part of the file'; do
    failing 1 "${case#* }" -- inspect "${case%% *}/g"
    nothing_stays
done
expect 'a wrong file is not kept' test -z "$(find hub -path '*wrong*' -name '*.incomplete')"
ok inspect pages/ck
has "$D/hub.log" 'cursor=x'

# ---- no network
fresh
HF_ENDPOINT=http://127.0.0.1:9 failing 1 "'good/g' is neither a local path nor in the hub's cache" 'cannot be reached' "'hf download good/g'" -- inspect good/g
HF_ENDPOINT=ftp://x failing 2 'HF_ENDPOINT is not the address' -- inspect good/g
HF_ENDPOINT=http://user:pass@127.0.0.1 failing 2 'HF_ENDPOINT is not the address' -- inspect good/g
lacks .err pass
HF_HUB_OFFLINE=1 failing 2 'HF_HUB_OFFLINE forbids a connection' -- inspect good/g
expect 'no request' test ! -s "$D/hub.log"

# ---- interrupted, and again
fresh
"${heeds_int[@]}" "$REAP" inspect slow/g >.out 2>.err &
pid=$!
wait_for 10 eval '[[ $(stat -c %s hub/models--slow--g/blobs/*.incomplete 2>/dev/null) -gt 8000 ]]' || say_bad 'no download'
kill -INT $pid
wait $pid
expect "130, and not $?" test $? = 130
has .err "^reap: interrupted; .* of the .* of 'sub/m a-Q4_K_M.gguf' are loaded, the same command goes on from there$"
absent hub/models--slow--g/refs
ok inspect slow/g
has "$D/cdn.log" 'from [1-9][0-9]* -$'
expect 'whole' cmp "$Q" "$(root slow g)/snapshots/$REV/sub/m a-Q4_K_M.gguf"

# ---- two at once: one loads, one waits
fresh
"$REAP" inspect slow/g >a.out 2>a.err &
wait_for 10 eval '[[ -s $(echo hub/models--slow--g/blobs/*.incomplete) ]]' || say_bad 'no download'
ok inspect slow/g
has .err 'another program downloads'
expect 'both' wait $!
expect 'loaded once' test "$(grep -c /cdn/ "$D/cdn.log")" = 1

# a lock whose file was replaced meanwhile holds nobody back: that of the new file does
fresh
if command -v flock >/dev/null; then
    mkdir -p hub/.locks/models--good--g "$(root good g)/blobs"
    lock=hub/.locks/models--good--g/$sum.lock
    exec 8>"$lock"
    flock 8
    "$REAP" inspect good/g 8>&- >a.out 2>a.err &
    wait_for 10 grep -q 'another program downloads' a.err || say_bad 'it does not wait'
    exec 9>"$lock.new"
    flock 9
    mv "$lock.new" "$lock" # at once: between rm and making it anew the program may make it
    exec 8>&-
    sleep 0.5
    expect 'nothing is loaded without the lock' test -z "$(ls -A "$(root good g)/blobs")"
    exec 9>&-
    expect 'it goes on' wait $!
    expect 'whole' cmp "$Q" "$(root good g)/snapshots/$REV/sub/m a-Q4_K_M.gguf"
    # two that get there together name the revision one after the other
    fresh
    mkdir -p hub/.locks/models--good--g
    exec 8>hub/.locks/models--good--g/main.lock
    flock 8
    "$REAP" inspect good/g 8>&- >a.out 2>a.err &
    wait_for 10 test -e "$(root good g)/snapshots/$REV/sub/m a-Q4_K_M.gguf" || say_bad 'no download'
    sleep 0.2
    absent "$(root good g)/refs/main"
    exec 8>&-
    expect 'it goes on' wait $!
    expect 'the revision' test "$(<"$(root good g)/refs/main")" = "$REV"
    lacks a.err waiting
else
    left_out 'a lock whose file was replaced: no flock here'
fi

# ---- a full disk, a folder without the right
if mkdir full && mount -t tmpfs -o size=64k none full 2>/dev/null; then
    HF_HUB_CACHE=$T/full failing 1 'free, the output needs' -- inspect good/g
    umount full
else
    left_out 'a full disk: no mount here'
fi

finish
