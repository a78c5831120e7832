# What a pruned model is called by those who load it: general.name, size_label, base_model; that verify knows which of them may change.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
m=$MODELS/qwen3_moe/model.gguf
cat >p6.json <<'END'
{"schema":"reap.plan/1","n_keep":6,"keep":{"0":[0,1,3,4,6,7],"1":[1,2,3,4,5,6],"2":[0,2,4,5,6,7]}}
END
cat >p3.json <<'END'
{"schema":"reap.plan/1","n_keep":3,"keep":{"0":[1,2,5],"1":[0,3,4],"2":[0,1,2]}}
END
key() { # FILE KEY: its value, nothing if there is none
    "$EDIT" --keys "$1" | sed -n "s/^$2 = //p"
}
is() { # FILE KEY VALUE
    expect "$1: $2 is '$3', not '$(key "$1" "$2")'" test "$(key "$1" "$2")" = "$3"
}

# ---- by itself: after its parent, with what stays; again: not twice
ok prune "$m" --plan p6.json -o a.gguf
is a.gguf general.name Qwen3_Moe-REAP-6x
is a.gguf general.size_label 6x139K
is a.gguf general.base_model.count ''
ok verify "$m" a.gguf
ok verify "$m" a.gguf --plan p6.json
ok prune a.gguf --plan p3.json -o b.gguf
is b.gguf general.name Qwen3_Moe-REAP-3x
ok verify a.gguf b.gguf
ok verify "$m" b.gguf
# only such an end is one
for name in REAP-6x x-REAP-x -REAP-6x 'R-REAP-6' 'R-REAP-6x-GGUF'; do
    "$EDIT" "$m" odd.gguf set general.name str "$name" || say_bad gguf_edit
    ok prune odd.gguf --plan p6.json -o o.gguf -f
    is o.gguf general.name "$name-REAP-6x"
    ok verify odd.gguf o.gguf
done
# a model without these keys, and with one of another kind
"$EDIT" "$m" none.gguf del general.name del general.size_label || say_bad gguf_edit
ok prune none.gguf --plan p6.json -o o.gguf -f
is o.gguf general.name none-REAP-6x
is o.gguf general.size_label ''
ok verify none.gguf o.gguf
"$EDIT" "$m" odd.gguf set general.size_label u32 7 || say_bad gguf_edit
ok prune odd.gguf --plan p6.json -o o.gguf -f
is o.gguf general.size_label 7
ok verify odd.gguf o.gguf

# ---- a name of one's own
ok prune "$m" --plan p6.json -o c.gguf --name 'Mein Qwen ä 24'
is c.gguf general.name 'Mein Qwen ä 24'
ok verify "$m" c.gguf --name 'Mein Qwen ä 24'
rc 3 verify "$m" c.gguf
has .out "key 'general.name' is not 'Qwen3_Moe-REAP-6x', nor the parent's .another\? --name NAME"
rc 3 verify "$m" a.gguf --name Other
has .out "key 'general.name' is not 'Other'"
fails 2 '--name' 'is no name' -- prune -q "$m" --plan p6.json -o x.gguf --name ''
fails 2 '--name' 'is no name' -- prune -q "$m" --plan p6.json -o x.gguf --name $'a\nb'
fails 2 '--name' 'is no name' -- prune -q "$m" --plan p6.json -o x.gguf --name $'\xff'
fails 2 '--name' 'is no name' -- prune -q "$m" --plan p6.json -o x.gguf --name "$(printf 'x%.0s' {1..201})"

# ---- its parent on the hub: as llama.cpp's converter writes it
base() { # FILE NAME ORGANIZATION URL
    is "$1" general.base_model.count 1
    is "$1" general.base_model.0.name "$2"
    is "$1" general.base_model.0.organization "$3"
    is "$1" general.base_model.0.repo_url "$4"
}
ok prune "$m" --plan p6.json -o d.gguf --base-model openai/gpt-oss-20b-v1.5-iQ4
base d.gguf 'Gpt Oss 20b v1.5 iQ4' Openai https://huggingface.co/openai/gpt-oss-20b-v1.5-iQ4
ok verify "$m" d.gguf
fails 2 'base-model' 'ORG.NAME' -- prune -q "$m" --plan p6.json -o x.gguf --base-model gpt-oss
hub=models--Qwen--Qwen3-30B-A3B-GGUF/snapshots/0123abcd
mkdir -p $hub && ln -s "$m" $hub/model.gguf
ok prune $hub/model.gguf --plan p6.json -o e.gguf
base e.gguf 'Qwen3 30B A3B GGUF' Qwen https://huggingface.co/Qwen/Qwen3-30B-A3B-GGUF
ok verify "$m" e.gguf
ok prune $hub/model.gguf --plan p6.json -o f.gguf --no-provenance
is f.gguf general.base_model.count ''
# what the parent is made of gives way to the parent, where that is known
"$EDIT" "$m" based.gguf set general.base_model.count u32 2 set general.base_model.0.name str A set general.base_model.1.name str B ||
    say_bad gguf_edit
ok prune based.gguf --plan p6.json -o g.gguf
is g.gguf general.base_model.1.name B
ok verify based.gguf g.gguf
ok prune based.gguf --plan p6.json -o h.gguf --base-model a/b
base h.gguf B A https://huggingface.co/a/b
is h.gguf general.base_model.1.name ''
ok verify based.gguf h.gguf

# ---- verify sees each that is neither the parent's nor right
lie() { # WORD FILE CHANGES: of the pruned file
    "$EDIT" "$2" lie.gguf "${@:3}" || say_bad gguf_edit
    rc 3 verify "$m" lie.gguf
    has .out "$1"
}
lie "'general.size_label' has another" a.gguf set general.size_label str 8x140K
lie "'general.size_label' is missing" a.gguf del general.size_label
lie "'general.name'" a.gguf set general.name str Qwen3_Moe-REAP-5x
lie "'general.name'" a.gguf set general.name u32 6
for k in 'count u32 2' '0.name str X' '0.organization str X' '0.repo_url str https://example.org/a/b' '0.doi str x'; do
    # shellcheck disable=SC2086
    lie "general.base_model" d.gguf set general.base_model.$k
done
lie "general.base_model" d.gguf del general.base_model.0.name

# ---- the engine reads the tokens of Phi-3 by its name
"$EDIT" "$m" phi.gguf set general.name str 'My Phi-3 MoE' || say_bad gguf_edit
fails 2 '--name' 'Phi-3' -- prune -q phi.gguf --plan p6.json -o x.gguf --name Other
fails 2 '--name' 'Phi-3' -- prune -q "$m" --plan p6.json -o x.gguf --name my-phi3
ok prune phi.gguf --plan p6.json -o i.gguf --name phi3-small
is i.gguf general.name phi3-small
ln -s "$PWD/none.gguf" phi3.gguf
ok prune phi3.gguf --plan p6.json -o k.gguf
is k.gguf general.name ''
ok verify phi3.gguf k.gguf
finish
