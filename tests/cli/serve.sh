#!/usr/bin/env bash
# reap serve: llama-server as a child: found, started, healthy, stopped, never left behind; then batch and compare against the real thing.
# llama-server comes from the engine's cache; where it is not built yet this builds it (about 6 minutes on two cores).
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
unset REAP_API_KEY OPENAI_API_KEY http_proxy HTTP_PROXY all_proxy ALL_PROXY
[[ -f $TINY ]] || skip "no $TINY"

# ---- what needs no llama-server: a stand-in, found by REAP_LLAMA_SERVER
cat >fake <<'X'
#!/bin/sh
echo "$@" >"$FAKE_DIR/args"
echo "$LLAMA_ARG_CORS_ORIGINS $LLAMA_ARG_OFFLINE" >"$FAKE_DIR/env"
echo "${GOMP_SPINCOUNT-none} ${GLIBC_TUNABLES-none}" >"$FAKE_DIR/memory"
echo $$ >"$FAKE_DIR/pid"
case $FAKE in
die) echo 'loading'; echo 'error: the model is no good' >&2; printf 'cleaning \033[31mup\n'; exit 7 ;;
kill) kill -9 $$ ;;
silent) exit 1 ;;
tell) # what it has of the key, and what it may hear of it in a request, in two pieces
    echo "error: ours is '${REAP_API_KEY-}${OPENAI_API_KEY-}'"
    printf 'error: Bearer secr'
    sleep 0.3
    echo et-key
    exit 3 ;;
stolen)
    # the first time somebody takes the port before we do
    for a; do [ "$was" != --port ] || break; was=$a; done
    echo "$a" >>"$FAKE_DIR/ports"
    [ -e "$FAKE_DIR/thief" ] && exec "$BAD" "$FAKE_DIR/port" "$FAKE_DIR/log" "$a"
    "$BAD" "$FAKE_DIR/thief" "$FAKE_DIR/log" "$a" mute >/dev/null 2>&1 </dev/null &
    echo $! >"$FAKE_DIR/thief.pid"
    while [ ! -s "$FAKE_DIR/thief" ]; do sleep 0.02; done
    echo 'words that nobody knows' >&2
    exit 1 ;;
*) exec sleep 1000 ;;
esac
X
chmod +x fake
export FAKE_DIR=$T/fakes
mkdir fakes
REAP_LLAMA_SERVER=$T/nothere fails 2 "REAP_LLAMA_SERVER: '.*nothere' is no program" -- serve "$TINY" -q
export REAP_LLAMA_SERVER=$T/fake
dies() { # FAKE RC WORDS
    local fake=$1
    shift
    FAKE=$fake rc "$1" serve "$TINY" -q -- --threads 1
    shift
    one_line "$@"
}
dies die 1 'llama-server ended with status 7: error: the model is no good$'
dies kill 1 'llama-server was ended by signal 9: it printed nothing'
dies silent 1 'ended with status 1: it printed nothing'
has fakes/args "--model $TINY --alias tinymoe-Q8_0.gguf --host 127.0.0.1 --port [0-9]+ --threads 1\$"
has fakes/env '^localhost 1$'

# How threads wait and in what pages memory lies: what the user set stays, huge pages are asked for where the kernel wants to be asked.
huge=glibc.malloc.hugetlb
grep -q '\[madvise\]' /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null && asked=$huge=1 || asked=
hears() { # WORDS of GOMP_SPINCOUNT and GLIBC_TUNABLES
    FAKE=silent rc 1 serve "$TINY" -q
    expect "'$(cat fakes/memory)' is '$1'" test "$(cat fakes/memory)" = "$1"
}
unset GOMP_SPINCOUNT OMP_WAIT_POLICY GLIBC_TUNABLES
hears "2000 ${asked:-none}"
GOMP_SPINCOUNT=7 GLIBC_TUNABLES=$huge=0 hears "7 $huge=0"
OMP_WAIT_POLICY=passive GLIBC_TUNABLES=glibc.malloc.perturb=0 hears "none glibc.malloc.perturb=0${asked:+:$asked}"
# A command that computes starts itself again with them, once: it waits for its text meanwhile.
"$REAP" profile "$TINY" -c - -o never.json -q < <(sleep 30) 2>.err &
pid=$!
for ((i = 0; i < 100; i++)); do
    tr '\0' '\n' <"/proc/$pid/environ" >environ
    grep -q '^GOMP_SPINCOUNT=2000$' environ && break
    sleep 0.1
done
has environ '^GOMP_SPINCOUNT=2000$' "${asked:+^GLIBC_TUNABLES=$asked\$}"
kill "$pid"
wait "$pid"
# Not where glibc takes its setting away, as it would start without end, nor where it is ld.so that would be started, with the command as the program.
ends() { # PROGRAM...
    timeout 60 "$@" profile no.gguf -c - -o never.json -q </dev/null >.out 2>.err
    expect "status $? of $1 is 2" test $? = 2
    has .err "^reap: .*no\\.gguf"
}
loader=$(ldd "$REAP" 2>/dev/null | grep -oE '^[[:space:]]*/[^ ]*/ld[^ ]*' | tr -d '[:space:]')
if [[ $loader ]] && "$loader" "$REAP" --version >/dev/null 2>&1; then
    ends "$loader" "$REAP"
else
    left_out 'ld.so with the program as its argument'
fi
cp "$REAP" other-rights
chmod 711 . # or it could not start itself
if [[ $EUID = 0 ]] && chown 65534 other-rights && chmod 4755 other-rights && ./other-rights --version >/dev/null 2>&1; then
    ends ./other-rights
else
    left_out 'a set-id program: this needs root'
fi
rm other-rights
REAP_API_KEY=secret-key OPENAI_API_KEY=other-secret FAKE=tell rc 1 serve "$TINY" -v
has .err "^error: ours is ''\$" '^error: Bearer \[REAP_API_KEY\]$' "^reap: llama-server ended with status 3: error: ours is '' / error: Bearer \[REAP_API_KEY\]\$"
lacks .err 'secr'
lacks fakes/args secret
FAKE=die rc 1 serve "$TINY" -v
lacks .err $'\x1b'
FAKE=hang rc 1 serve "$TINY" -q --load-timeout 1
one_line 'not ready after 1 s'
gone() { ! kill -0 "$1" 2>/dev/null; }
expect 'nothing is left of it' wait_for 5 gone "$(cat fakes/pid)"
fails 2 'config.json is missing' -- serve "$MODELS/qwen3_moe"
fails 2 'nothere.gguf' -- serve nothere.gguf
fails 2 "unexpected operand 'b'" -- serve "$TINY" b
fails 2 "'--port' is given to llama-server by reap" -- serve "$TINY" -- --port 8080
fails 2 'out of range' -- serve "$TINY" --port 65536
fails 2 "'no.such.host.invalid' is no address" -- serve "$TINY" -q --host no.such.host.invalid
# killed while it waits: no child is left, not even after SIGKILL
for s in INT TERM KILL; do
    rm -f fakes/pid
    FAKE=hang "${heeds_int[@]}" "$REAP" serve "$TINY" >.out 2>.err </dev/null &
    pid=$!
    wait_for 20 test -s fakes/pid || say_bad 'the stand-in does not start'
    kill -$s $pid
    wait $pid 2>/dev/null
    got=$?
    n_checks=$((n_checks + 1))
    [[ $s = KILL && $got = 137 || $got = 130 ]] || say_bad "SIG$s while loading: exit status $got"
    expect "SIG$s: the child is gone" wait_for 5 gone "$(cat fakes/pid)"
done
# a port that is taken between our look at it and the server's own: another one
export BAD=$BIN/bad_server
if [[ -x $BAD ]]; then
    rm -f fakes/pid
    FAKE=stolen "${heeds_int[@]}" "$REAP" serve "$TINY" >serve.out 2>serve.err </dev/null &
    pid=$!
    expect 'the second port is served' wait_for 20 grep -q '^url ' serve.out
    kill -INT $pid
    wait $pid 2>/dev/null
    expect 'two starts' test "$(sort -u fakes/ports | wc -l)" = 2
    has serve.out "127\.0\.0\.1:$(tail -1 fakes/ports)\$"
    kill "$(cat fakes/thief.pid)"
fi
# what a run gives the engine it gives the server, too: a model that needs it is asked with it
Q=$MODELS/qwen3_moe
echo "hello" >one.txt
FAKE=die rc 1 run "$Q/model.gguf" --calib "$Q/texts.jsonl:2" -t 1 --prompts one.txt -o asked.gguf --cpu-moe -fa off \
    -ctk bf16 -dev none -ub 256 --no-mmap --chat-template chatml
has .err 'llama-server ended with status 7'
has fakes/args '--threads 1 --ubatch-size 256 --device none --cpu-moe --flash-attn off --cache-type-k bf16 --load-mode none --no-jinja --chat-template chatml$'
rm -rf asked.gguf*
unset REAP_LLAMA_SERVER

# the one beside the program comes first
mkdir here
cp "$REAP" here/reap
printf '#!/bin/sh\necho beside; exit 9\n' >here/llama-server
chmod +x here/llama-server
n_checks=$((n_checks + 1))
here/reap serve "$TINY" -q >.out 2>.err
[[ $? = 1 ]] && grep -q 'status 9: beside$' .err || { say_bad 'the llama-server beside reap is not taken'; show .err; }
rm -r here

# ---- the real one
if [[ $BIN = "$SRC"/* ]]; then
    # an engine that was installed, or given by hand, has its programs elsewhere, or has none
    if grep -q 'REAP_LLAMA_DIR:PATH=.' "$BIN/CMakeCache.txt" && ! command -v llama-server >/dev/null; then
        skip 'the engine was given by REAP_LLAMA_DIR, and there is no llama-server'
    fi
fi
bash "$SRC/scripts/engine.sh" --tools llama-server >tools 2>engine.err
built=$?
if ((built)) && grep -q 'no source of libllama' engine.err; then
    skip 'no llama-server, and no source to build it from'
fi
expect 'scripts/engine.sh builds llama-server' test $built = 0
((built == 0)) || { tail -20 engine.err; finish; }
export REAP_LLAMA_SERVER="$(tail -1 tools)/llama-server"
pid=
trap '[[ $BASHPID != $$ ]] || { [[ -z $pid ]] || kill -9 $pid 2>/dev/null; cleanup; }' EXIT

begin() { # ARGS: starts it and waits for the address
    rm -f serve.out
    "${heeds_int[@]}" "$REAP" serve "$@" >serve.out 2>serve.err </dev/null &
    pid=$!
    ended_or_ready() { grep -qE '^url |^ "url"' serve.out || ! kill -0 $pid; }
    wait_for 120 ended_or_ready
    url=$(sed -n 's/^url *//p; s/^ "url": "\(.*\)",$/\1/p' serve.out)
    if [[ -z $url ]]; then
        say_bad 'no address appears'
        show serve.err
        finish
    fi
    child=$(grep -lE "^PPid:[[:space:]]*$pid\$" /proc/[0-9]*/status 2>/dev/null | sed 's/[^0-9]//g')
}
end() { # SIGNAL: $got is the exit status
    kill -"$1" $pid
    wait $pid 2>/dev/null
    got=$?
    pid=
    n_checks=$((n_checks + 1))
}
begin "$TINY"
has serve.out '^url +http://127\.0\.0\.1:[0-9]+$' '^model +tinymoe \(qwen3moe, 13\.2 MB; 32 experts per layer, 4 used\)$'
port=${url##*:}
rc 1 serve "$TINY" --port "$port"
has .err "^reap: port $port of 127\.0\.0\.1 is taken"

mkdir -p prompts/a prompts/b
echo 'int main(void)' >prompts/a/one.txt
echo 'for (int i = 0; i < n; i++)' >prompts/a/two.txt
echo '{"prompt":"hello","max_tokens":4}' >prompts/b/rows.jsonl
batch=(batch --server "$url" --prompts prompts --max-tokens 8)
ok "${batch[@]}" -o base.json
json base.json model/id='"tinymoe-Q8_0.gguf"' model/n_params=12328128 n_prompts=3 results/0/finish_reason='"length"' \
    results/0/completion_tokens=8 results/2/completion_tokens=4
expect 'the server and its tokenizer count alike' \
    test "$("$JSON" get base.json results/2/response_tokens)" -ge 1
has .out '^int main\(void\)$' 'length; [0-9]+ tokens in, 8 out'
# greedy decoding repeats itself; a text without a chat template is another request
ok "${batch[@]}" -o again.json
ok compare base.json again.json --json
json .out total/n=3 total/exact/count=3 total/similarity_mean=1.0 total/base/endless/count=3
ok "${batch[@]}" -o raw.json --completions --parallel 3
json raw.json endpoint='"completions"' results/0/completion_tokens=8
# too long for the context: the server's own words
yes 'word' | head -5000 >long.txt
rc 1 batch --server "$url" --prompts long.txt --prompts prompts -o mixed.json --max-tokens 4
has .err '1 of 4 prompts failed'
json mixed.json results/0/status='"failed"' results/1/status='"ok"' results/3/status='"ok"'
"$JSON" get mixed.json results/0/error >error
has error 'status 400: .*context'
# the server goes away in the middle

"$REAP" batch --server "$url" --prompts prompts -o dies.json --max-tokens 100000 --repeat 50 --force --retry-wait 0.01 --brief \
    >.out 2>.err </dev/null &
b=$!
wait_for 60 grep -q '"status": "ok"' dies.json
kill -9 "$child"
wait $b
got=$?
expect "the batch ends with 1, not $got" test $got = 1
has .err 'prompts are not answered, the same command goes on'
expect 'what was answered is kept' grep -q '"status": "ok"' dies.json
wait $pid
got=$?
pid=
expect "reap serve gives the status of its child: 137, not $got" test $got = 137
has serve.err 'llama-server ended with status 137'

for s in INT TERM HUP KILL; do
    begin "$TINY" --json -- -c 256 --no-warmup
    json serve.out command='"serve"' pid="$child" n_experts=32 architecture='"qwen3moe"'
    end $s
    case $s in
    KILL) expect "SIGKILL: $got" test $got = 137 ;;
    HUP) expect "SIGHUP ends the server: $got" test $got = 0 -o $got = 129 ;;
    *) expect "SIG$s: the server's own status 0, not $got" test $got = 0 ;;
    esac
    expect "SIG$s: no llama-server is left" wait_for 10 gone "$child"
done
# both at once, as other commands use it
if [[ -x $BIN/serve_batch ]]; then
    expect 'server and batch in one' "$BIN/serve_batch" "$TINY" prompts one.json
    json one.json n_prompts=3 results/2/status='"ok"'
    ok compare base.json one.json --json
    json .out total/exact/count=3
    head -c 100000 "$TINY" >cut.gguf
    refuse 'with a model that does not load' "$BIN/serve_batch" cut.gguf prompts two.json
    absent two.json
    refuse 'with prompts that are not there' "$BIN/serve_batch" "$TINY" nothere two.json
    no_child() { ! pgrep -f -- "llama-server .*--model ($TINY|cut.gguf)" >/dev/null; } # not the other tests' --model
    ! command -v pgrep >/dev/null || expect 'no server is left' no_child
fi
# ---- a chat is the same text for the server and for a profile: templates of the engine's sources, without the answer that the server would write
templates=$(bash "$SRC/scripts/engine.sh" --source 2>/dev/null | tail -1)/models/templates
cat >chats.jsonl <<'X'
{"messages": [{"role": "system", "content": "You are terse."}, {"role": "user", "content": " What is a prime? \n"}]}
{"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4", "reasoning_content": "Easy: 4."}, {"role": "user", "content": "Name «one» prime."}]}
{"messages": [{"role": "user", "content": "Weather in Zürich?"}, {"role": "assistant", "content": "I look.", "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Zürich", "days": 3}}}]}, {"role": "tool", "tool_call_id": "call_1", "name": "get_weather", "content": "{\"t\": 21}"}], "tools": [{"type": "function", "function": {"name": "get_weather", "description": "Weather of a city.", "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "the city"}, "days": {"type": "integer"}}, "required": ["city"]}}}]}
X
post() { # PATH: what is on standard input, to the server; its answer
    local body host=${url#http://} line LC_ALL=C
    body=$(cat)
    exec 7<>"/dev/tcp/${host%:*}/${host##*:}" || return
    printf 'POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
        "$1" "$host" ${#body} "$body" >&7
    while IFS= read -r line <&7 && [[ $line != $'\r' ]]; do :; done
    cat <&7
    exec 7>&-
}
for name in Qwen-Qwen3-0.6B GLM-4.6 deepseek-ai-DeepSeek-V3.1 openai-gpt-oss-120b; do
    file=$templates/$name.jinja
    [[ -f $file ]] || { echo "left out: no $file"; continue; }
    ok profile "$TINY" --calib chats.jsonl --no-shuffle --show-samples 3 --chat-template-file "$file" --json
    cp .out ours.json
    begin "$TINY" -- -t 1 --no-warmup --chat-template-file "$file"
    for i in 0 1 2; do
        sed -n "$((i + 1))s/^{/{\"add_generation_prompt\": false, /p" chats.jsonl | post /apply-template >theirs.json
        expect "$name: chat $((i + 1)) is the same for llama-server and for a profile" \
            test "$("$JSON" get ours.json samples/$i/text)" = "$("$JSON" get theirs.json prompt)"
    done
    end TERM
done
# what does not load
head -c 100000 "$TINY" >cut.gguf
rc 1 serve cut.gguf
has .err '^reap: llama-server ended with status [0-9]+: .*cut\.gguf|^reap: llama-server ended with status [0-9]+: .*fail'
rc 1 serve "$TINY" -q -- --no-such-option
one_line 'llama-server ended with status 1: .*no-such-option'

# ---- prompts in a run: a folder is converted into the cache, asked, and the pruned one too
export REAP_CACHE=$T/cache
Q=$MODELS/qwen3_moe
mkdir asked
echo 'The licence says' >asked/a.txt
echo 'int main' >asked/b.txt
ok run "$Q/hf" --calib "$Q/texts.jsonl" --prune-ratio 0.25 -t 1 --prompts asked --max-tokens 8 -o pruned
has .out 'answers stopped by limit' 'answers alike'
json pruned.work/answers-before.json schema='"reap.batch/1"' results/1/status='"ok"'
json pruned.work/answers-after.json results/1/status='"ok"'
json pruned.work/compare.json schema='"reap.compare/1"' total/n=2
has pruned.work/report.html 'The licence says'
expect 'two files in the cache' test "$(find cache/converted -name '*.gguf' | wc -l)" = 2
ok run "$Q/hf" --calib "$Q/texts.jsonl" --prune-ratio 0.25 -t 1 --prompts asked --max-tokens 8 -o pruned
has .err 'ask the parent already done' 'ask the result already done'
fails 2 "nowhere" 'does not exist' -- run "$Q/hf" --calib "$Q/texts.jsonl" --prompts nowhere -o other
finish
