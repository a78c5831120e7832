#!/usr/bin/env bash
# Files that are given for a model and are something else: what they are, and what to give.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
Q=$MODELS/qwen3_moe/model.gguf
CK=$MODELS/qwen3_moe/hf

# ---- by their beginning, whatever they are called
mkdir d
weights=("$CK"/*.safetensors)
cp "${weights[0]}" d/model.safetensors
cp d/model.safetensors d/called.gguf
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12\n' 0 >d/lfs.gguf
cp "$CK/config.json" d/config.json
printf 'PK\003\004and more' >d/pytorch_model.bin
printf '\200\002}q\001.' >d/old.bin
printf '<!DOCTYPE html><html>' >d/page.gguf
printf 'tjgg\003\000\000\000' >d/old.ggml
for command in inspect 'profile -o s.json -c none.txt' serve; do
    fails 2 "'d/model.safetensors' is a safetensors file" "give the folder .* 'd'" -- $command d/model.safetensors
    fails 2 "is a pointer of Git LFS" "git lfs pull" -- $command d/lfs.gguf
done
fails 2 'is a safetensors file' -- inspect d/called.gguf
fails 2 'is a JSON file' "by its folder, such as 'd'" -- inspect d/config.json
fails 2 'is a JSON file' -- prune d/config.json --plan p.json -o out
fails 2 'pickled weights' 'convert it to safetensors' -- inspect d/pytorch_model.bin
fails 2 'pickled weights' -- inspect d/old.bin
fails 2 'is a web page' '/resolve/' -- inspect d/page.gguf
fails 2 'before GGUF' -- inspect d/old.ggml
printf '\n <!doctype HTML>' >d/page2.gguf
fails 2 'is a web page' -- inspect d/page2.gguf
printf '\xef\xbb\xbf\r\n{"a": 1}' >d/bom.json
fails 2 'is a JSON file' -- inspect d/bom.json
printf '[\n 1]' >d/list.json
fails 2 'is a JSON file' -- inspect d/list.json
: >d/empty.gguf
fails 2 "'d/empty.gguf' is empty" -- inspect d/empty.gguf
for magic in '\x1f\x8b\x08' 'BZh91AY' '\xfd7zXZ' '\x28\xb5\x2f\xfd' '7z\xbc\xaf'; do
    printf "$magic and more" >d/packed.gguf
    fails 2 'is compressed: unpack it' -- inspect d/packed.gguf
done
printf '\x93NUMPY and more' >d/x.npy
fails 2 'arrays of NumPy' -- inspect d/x.npy
printf 'FROM ./m.gguf\n' >d/Modelfile
fails 2 'is a Modelfile' 'that FROM names' -- inspect d/Modelfile

# ---- by what a GGUF file says of itself
"$EDIT" "$Q" lora.gguf set general.type str adapter || say_bad 'no lora.gguf'
"$EDIT" "$Q" mmproj.gguf set general.type str mmproj || say_bad 'no mmproj.gguf'
"$EDIT" "$Q" imatrix.gguf set general.type str imatrix del general.architecture || say_bad 'no imatrix.gguf'
"$EDIT" "$Q" clip.gguf set general.architecture str clip || say_bad 'no clip.gguf'
"$EDIT" "$Q" control.gguf set general.architecture str controlvector || say_bad 'no control.gguf'
"$EDIT" "$Q" model.gguf set general.type str model || say_bad 'no model.gguf'
for command in inspect serve; do
    fails 2 'lora.gguf: is an adapter' 'give the model' -- $command lora.gguf
    fails 2 'mmproj.gguf: is a projector' 'give the model' -- $command mmproj.gguf
    fails 2 'imatrix.gguf: is an importance matrix' 'reap stats import' -- $command imatrix.gguf
    fails 2 'clip.gguf: is a projector' -- $command clip.gguf
done
fails 2 'is a control vector' -- inspect control.gguf
ok inspect model.gguf

finish
