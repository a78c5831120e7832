# Folders that come from elsewhere: where their links may lead, what cannot be looked at, what is no file; checkpoints, prompts, texts.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/checkpoint.bash"
. "$SRC/tests/cli/batch.bash"
M=$FORMS/mixtral
plan=$M/pruned/plan.json

mkdir private
echo SECRET-KEY >private/id
chmod 600 private/id
secret() { ! grep -rqa SECRET-KEY "$@"; }

# ---- other files of a checkpoint: inside of it, over links to links and to folders, and nowhere else
cp -r "$M" ck
rm -rf ck/pruned ck/README.md
mkdir ck/docs
echo own >ck/docs/own.txt
ln -s docs/own.txt ck/first.txt
ln -s first.txt ck/second.txt
ln -s docs ck/more
ln ck/docs/own.txt ck/hard.txt
ln -s "$T/private/id" ck/notes.txt
ln -s ../private ck/extra
ln -s .. ck/up
ln -s second.txt ck/docs/chain.txt
ln -sf ../../private/id ck/docs/chain.txt
ok prune ck --plan "$plan" -o out
has .err "warning: ck/notes.txt: a link that leads out of the folder, to '$T/private/id'; left out" 'ck/extra: a link' 'ck/up: a link' 'docs/chain.txt: a link'
expect 'nothing from outside is in the output' secret out
absent out/notes.txt out/extra out/up out/docs/chain.txt
for f in first.txt second.txt more/own.txt docs/own.txt hard.txt; do
    expect "$f is copied as a file" cmp ck/docs/own.txt "out/$f"
done
expect 'no links' test -z "$(find out -type l)"
lacks .err 'the output lacks'
# what the model needs is said once more, together, with what to do
mv ck/tokenizer_config.json ck/generation_config.json private/
ln -s ../private/tokenizer_config.json ../private/generation_config.json ck/
ok prune ck --plan "$plan" -o out2
has .err "warning: the output lacks files that the model needs, because they are links out of 'ck': generation_config.json, tokenizer_config.json; if they are its own, copy them to 'out2' \(cp -L\)\$"
cp -L ck/generation_config.json ck/tokenizer_config.json out2/
for f in generation_config.json tokenizer_config.json; do
    expect "$f behind cp" cmp "out2/$f" "$M/$f"
done
mv private/*.json ck/
rm -rf out2
rm -rf out ck/notes.txt ck/extra ck/up ck/docs/chain.txt ck/more

# ---- a link back to a folder above it, or round about
ln -s . ck/loop
fails 2 'ck/loop' 'link back' -- prune ck --plan "$plan" -o out --quiet
rm ck/loop
mkdir ck/a ck/b
ln -s ../b ck/a/x
ln -s ../a ck/b/y
fails 2 'ck/a/x/y' 'link back' -- prune ck --plan "$plan" -o out --quiet
rm -rf ck/a ck/b
ln -s self ck/self
fails 2 'ck/self' 'symbolic links' -- prune ck --plan "$plan" -o out --quiet
rm ck/self

# ---- what cannot be looked at is an error that names it; what is no file is named and left out
for f in special_tokens_map.json chat_template.jinja README.md docs/gone.txt; do
    ln -sf ../blobs/gone "ck/$f"
    fails 2 "ck/$f" "is a link to '../blobs/gone', which does not exist|No such file" -- prune ck --plan "$plan" -o out --quiet
    rm "ck/$f"
done
mkfifo ck/pipe
ok prune ck --plan "$plan" -o out
has .err 'warning: ck/pipe: not a regular file; left out'
absent out/pipe
rm -rf out ck/pipe

# ---- what is not copied for its weights is named by its place in the folder
mkdir -p ck/docs/original
: >ck/docs/original/pytorch_model.bin
ok prune ck/ --plan "$plan" -o out
has .err "note: 'docs' is not copied: it holds weights"
rm -rf out ck/docs/original
: >ck/pytorch_model.bin
ok prune ck/ --plan "$plan" -o out
has .err "note: 'pytorch_model.bin' is not copied"
rm -rf out ck/pytorch_model.bin

# ---- rights are not widened
chmod 600 ck/docs/own.txt
chmod 700 ck/docs
ok prune ck --plan "$plan" -o out
expect 'a file of its owner alone stays that' test "$(stat -c %a out/docs/own.txt out/docs | tr '\n' ' ')" = '600 700 '
rm -rf out
if [[ $(id -u) = 0 ]] && command -v setpriv >/dev/null && setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null; then
    as() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
elif [[ $(id -u) != 0 ]]; then
    as() { "$@"; }
fi
cp "$REAP" reap-copy
cp -r ck ck2
cp "$plan" plan.json
mkdir free
chmod 755 "$T" reap-copy
chmod 777 free
chmod -R a+rX ck2
if declare -F as >/dev/null && as ./reap-copy --version >/dev/null 2>&1; then
    chmod 444 ck2/docs                                      # its names can be read, what they are cannot
    as ./reap-copy prune ck2 --plan plan.json -o free/out --quiet >.out 2>.err </dev/null
    expect 'a folder that may not be searched: status 2' test $? = 2
    one_line 'ck2/docs/own.txt' '[Pp]ermission'
    chmod 755 ck2/docs
    chmod 000 ck2/tokenizer_config.json ck2/docs/own.txt
    as ./reap-copy prune ck2 --plan plan.json -o free/out --quiet >.out 2>.err </dev/null
    expect 'a file that may not be read: status 2' test $? = 2
    one_line 'ck2/docs/own.txt|ck2/tokenizer_config.json' '[Pp]ermission'
    expect 'nothing is written' test -z "$(ls -A free)"
    chmod 444 ck2                                           # its files may be there or not: nobody can say
    as ./reap-copy inspect ck2 --quiet >.out 2>.err </dev/null
    expect 'a checkpoint that may not be searched: status 2' test $? = 2
    one_line 'cannot look at .ck2/config.json' '[Pp]ermission'
    chmod 755 ck2
    cp -r "$M" ck3
    mkdir ck3/hidden
    mv ck3/chat_template.jinja ck3/hidden/ 2>/dev/null || echo x >ck3/hidden/chat_template.jinja
    chmod -R a+rX ck3
    chmod 000 ck3/hidden
    ln -s hidden/chat_template.jinja ck3/chat_template.jinja
    as ./reap-copy prune ck3 --plan plan.json -o free/out --quiet >.out 2>.err </dev/null
    expect 'a link into a folder that may not be searched: status 2' test $? = 2
    one_line 'ck3/chat_template.jinja' '[Pp]ermission'
    chmod 755 ck3/hidden
else
    left_out 'no right to search: there is no way to be another user'
fi
rm -rf ck2 ck3 free reap-copy

# ---- a hub's cache: links into its blobs, by any path to the snapshot; no further, and `blobs` is no link
mkdir -p hub/models--o--m/{blobs,snapshots/abc}
(cd ck && find . -type f | while read -r f; do
    sum=$(sha256sum "$f" | cut -c1-40)
    cp "$f" "$T/hub/models--o--m/blobs/$sum"
    mkdir -p "$T/hub/models--o--m/snapshots/abc/$(dirname "$f")"
    ln -s "$T/hub/models--o--m/blobs/$sum" "$T/hub/models--o--m/snapshots/abc/$f"
done)
ln -s "$T/hub/models--o--m/snapshots/abc" named
ln -s "$T/private/id" hub/models--o--m/snapshots/abc/key.txt
ln -s ../../refs hub/models--o--m/snapshots/abc/refs
mkdir hub/models--o--m/refs
echo SECRET-KEY >hub/models--o--m/refs/main
for name in hub/models--o--m/snapshots/abc named hub/models--o--m/snapshots/../snapshots/abc/; do
    ok prune "$name" --plan "$plan" -o out
    has .err 'key.txt: a link' 'refs: a link'
    compare "$M/pruned" out
    expect 'the other files of the snapshot' cmp ck/docs/own.txt out/docs/own.txt
    expect 'nothing but blobs' secret out
    rm -rf out
done
mkdir -p trap/snapshots
cp -r ck trap/snapshots/abc
ln -s "$T/private" trap/blobs
ln -s ../../blobs/id trap/snapshots/abc/x.txt
ok prune trap/snapshots/abc --plan "$plan" -o out
has .err 'x.txt: a link'
expect 'blobs that are a link are none' secret out
rm -rf out trap named

# ---- files that are read by their name: any text would do for these, so they are held to the same
cp -r "$MODELS/qwen3_moe/hf" mo
ln -sf "$T/private/id" mo/chat_template.jinja
fails 2 'mo/chat_template.jinja' 'leads out of the folder' "$T/private/id" -- convert mo -o mo.gguf --quiet
rm mo/chat_template.jinja
mkdir mo/additional_chat_templates
ln -s "$T/private/id" mo/additional_chat_templates/x.jinja
fails 2 'additional_chat_templates/x.jinja' 'leads out' -- convert mo -o mo.gguf --quiet
rm -r mo/additional_chat_templates
mkdir templates
cp private/id templates/x.jinja
ln -s ../templates mo/additional_chat_templates
ok convert mo -o mo.gguf
has .err 'warning: mo/additional_chat_templates: a link that leads out'
expect 'nothing from outside is in the file' secret mo.gguf
rm mo/additional_chat_templates mo.gguf
cp -r ck card
ln -sf "$T/private/id" card/README.md
ok prune card --plan "$plan" -o out
has .err 'warning: card/README.md: a link that leads out'
expect 'the card is of ours alone' secret out
expect 'there is one' test -s out/README.md
rm -rf out
ln -sf "$T/private/id.json" card/quantize_config.json
echo '{"auths":"SECRET-KEY"}' >private/id.json
fails 2 'card/quantize_config.json' 'leads out' -- prune card --plan "$plan" -o out --quiet
rm -rf card

# ---- weights, their index and config.json say what they are, and may lie on another disk
mkdir disk
cp -r ck far
for f in far/*.safetensors far/config.json far/*.index.json; do
    [[ -e $f ]] || continue
    mv "$f" disk/
    ln -s "$T/disk/${f##*/}" "$f"
done
ok prune far --plan "$plan" -o out
compare "$M/pruned" out
expect 'copies' test -z "$(find out -type l)"
rm -rf out
weights=$(basename "$(find far -maxdepth 1 -name '*.safetensors' | head -1)")
ln -sf "$T/private/id" "far/$weights"
fails 2 "$weights" -- prune far --plan "$plan" -o out --quiet
lacks .err SECRET
rm -rf far disk

# ---- texts and prompts of a folder go by the same rule
mkdir -p texts/sub
echo 'a text' >texts/a.txt
ln -s a.txt texts/b.txt
ln -s "$T/private/id" texts/key.txt
ln -s ../../private texts/sub/private
ok profile "$TINY" --calib texts --show-samples 5
has .err 'texts/key.txt: a link that leads out' 'texts/sub/private: a link'
lacks .out SECRET
expect 'the link within is read' test "$(grep -c 'a text' .out)" = 2
mkfifo texts/pipe
ok profile "$TINY" --calib texts --show-samples 5
has .err 'texts/pipe: not a regular file'
rm texts/pipe
ok batch --server "$url/good" --prompts texts -o answers.json
has .err 'texts/key.txt: a link that leads out' 'texts/sub/private: a link'
expect 'the server was not told' secret answers.json
expect 'nor asked for it' test "$(asked)" = 2
ln -s gone texts/gone.txt
fails 2 'texts/gone.txt' 'does not exist' -- batch --server "$url/good" --prompts texts -o more.json --quiet
fails 2 'texts/gone.txt' 'does not exist' -- profile "$TINY" --calib texts --show-samples 5
stop_server
no_parts
untouched
finish
