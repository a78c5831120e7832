#!/usr/bin/env bash
# reap report over files of strangers: every string of every kind of file that it reads, one after the other and all at once, is markup
# that would run. Nothing of it is markup in the page; with a chromium the page is opened, and nothing runs.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1

# What ends an attribute, an element, a comment, a script and a JSON string, and then runs; seen by a mark in the document.
run='document.documentElement.setAttribute("data-ran",1)'
evil="x'\"></script></style></title></pre><script>$run</script><img src=x onerror='$run'><svg onload='$run'><a href='javascript:$run'>y</a>--><![CDATA[]]>&lt;b id=ran&gt;\${$run}{{$run}}"
evil_json=${evil//\\/\\\\}
evil_json=\"${evil_json//\"/\\\"}\"

# ---- one of each kind, with strings wherever one may be ----
"$JSON" set "$SRC/examples/stats.json" calibration/samples '[{"file":"b.jsonl","line":12,"id":"i","n_tokens":15,"text":"Hi","cut":true}]' \
    calibration/unused '{"rejected":20}' calibration/chat '{"from":"model","sha256":"0123456789abcdef0123","kwargs":{"words":"w"},"date":"2026-11-28"}' >stats.json
cp "$SRC/examples/plan.json" plan.json
text='"n_tokens":900,"n_windows":3,"n_scored":400,"nll":3.5,"ppl":50,"ppl_stderr":1.5'
against='"base_ppl":40,"base_ppl_stderr":1.5,"ln_ppl_ratio":0.22,"ln_ppl_ratio_stderr":0.02,"kl":{"mean":0.125,"stderr":0.015,"median":0.06,"p90":0.25,"p99":0.75,"max":2.5},"top1_agreement":0.875,"dp_rms":0.0625'
model='"model":{"architecture":"qwen3moe","name":"tinymoe","n_experts":32,"router_hash":"faf818861ac0dc94604c269c7706f16464a87d24eb77fed06fa5d8836ac8c99c"}'
printf '{"schema":"reap.eval/1","file":"f","engine":"e",%s,"texts":[{"name":"a.txt","file":"a",%s},{"name":"b.txt",%s}],"total":{%s}}\n' "$model" "$text" "$text" "$text" >eval.json
printf '{"schema":"reap.eval/1","base":{"file":"b","name":"p"},%s,"texts":[{"name":"a.txt",%s,%s}],"total":{%s,%s}}\n' "$model" "$text" "$against" "$text" "$against" >against.json
point='"n_keep":16,"bytes":4000000,"ppl":60,"base_ppl":40,"kl":{"mean":0.5,"stderr":0.01},"top1_agreement":0.75'
printf '{"schema":"reap.sweep/1",%s,"base":{"n_experts":32,"bytes":6000000,"ppl":40},"texts":["t"],"points":[{"criterion":"reap","ratio":0.5,%s},{"criterion":"frequency","ratio":0.25,%s}],"chosen":1}\n' \
    "$model" "$point" "$point" >sweep.json
call='[{"id":"c","function":{"name":"look","arguments":"{\"at\": \"sky\"}"}}]'
side() { printf '{"response":"%s","reasoning":"r","refusal":"no","finish_reason":"stop","error":"e","tool_calls":%s}' "$1" "$call"; }
printf '{"schema":"reap.compare/1","base":{"file":"a","model":"m","server":"s"},"pruned":{"file":"b"},"total":{"n":1},"rows":[{"id":"two","category":"c","prompt":"alike","similarity":0.75,"base":%s,"pruned":%s}]}\n' \
    "$(side 'a b')" "$(side 'a c')" >compare.json
batch() {
    printf '{"schema":"reap.batch/1","model":{"id":"m"},"server":"s","results":[{"id":"x","category":"g","key":"k","prompt_sha256":"p","repeat":0,"status":"ok","messages":[{"role":"user","content":"and now?"},{"role":"assistant","reasoning_content":"h","tool_calls":[{"function":{"name":"before","arguments":"{\\"k\\": 1}"}}]},{"role":"tool","name":"n","content":[{"type":"text","text":"so"}]}],"parameters":{"tools":[{"type":"function","function":{"name":"look","description":"d","parameters":{"required":["at"]}}}]},"response":"%s","reasoning":"q","finish_reason":"tool_calls","refusal":"I may not","tool_calls":%s},{"id":"y","key":"l","prompt_sha256":"o","repeat":0,"status":"error","error":"out of luck","messages":[{"role":"user","content":"u"}]}]}\n' "$1" "$call"
}
batch 'an answer' >batch-a.json
batch 'an other answer' >batch-b.json
printf '{"schema":"reap.run/1","version":"v","steps":{"profile":{"key":"a","files":"f","engine":"e"},"prune":{"writing":"x"},"verify":{"key":"b"}},"stats":"s.json","outcome":{"date":"2026-11-28","model":"/nowhere/m","output":"o","card":"/nowhere/README.md","bytes_before":9,"bytes_after":7},"job":{"model":"m","calib":["a"],"criterion":"reap"}}\n' >run.json

tags() { grep -o '<[a-zA-Z!/][^>]*>' "$1"; }
n_taken=0 n_refused=0
page_is_ours() { # WHAT FILE
    n_checks=$((n_checks + 1))
    if grep -qE "<img src=x|<svg onload|<script>document|<a href='javascript|data-ran\",1\)</script>|<b id=ran" "$2"; then
        say_bad "$1: markup of a file is markup of the page"
    fi
    fit_for_terminal "$2" || say_bad "$1: controls in the page"
}
# The strings of a file one after the other; those that may be anything are then all set at once in evil-FILE.
every() { # FILE ARGS...: the report of it; FILE is ./in.json there
    local file=$1 path sets=() schema
    shift
    schema=$("$JSON" get "$file" schema)
    each_of "strings in $file" $("$JSON" strings "$file" | grep -v '^schema$')
    for path in "${each[@]}"; do
        "$JSON" set "$file" "$path" "$evil_json" >in.json || { say_bad "json_tool set $path"; continue; }
        "$REAP" report "$@" -o out.html -f >.out 2>.err </dev/null
        case $? in
        0)
            n_taken=$((n_taken + 1))
            sets+=("$path" "$evil_json")
            page_is_ours "$schema $path" out.html
            ;;
        2) n_refused=$((n_refused + 1)) ;; # names of files of ours, words of ours
        *) say_bad "$schema $path: $(cat .err)" ;;
        esac
        fit_for_terminal .out .err || say_bad "$schema $path: what must not reach a terminal"
    done
    "$JSON" set "$file" "${sets[@]}" >"evil-$file"
}
every stats.json --stats in.json
every plan.json --plan in.json --stats stats.json -f
every eval.json --plan plan.json --eval in.json --eval eval.json -f
every against.json --plan plan.json --against in.json -f
every sweep.json --plan plan.json --sweep in.json -f
every compare.json --plan plan.json --compare in.json -f
every batch-a.json --plan plan.json --compare in.json --compare batch-b.json -f
mkdir work && cp stats.json plan.json work
every run.json work
expect "most strings may be anything: $n_taken taken, $n_refused refused" test "$n_taken" -gt 60

# ---- all at once, in files of such names ----
name="$(printf '%s' "$evil" | tr / _ | head -c 200).json"
ok report --stats evil-stats.json --plan evil-plan.json --eval evil-eval.json --eval evil-eval.json --sweep evil-sweep.json --compare evil-compare.json --title "$evil" -o evil.html -f
cp evil-stats.json "$name"
ok report --stats "$name" --plan evil-plan.json --against evil-against.json --compare evil-batch-a.json --compare evil-batch-a.json -o evil2.html -f
cp evil-stats.json work/stats.json && cp evil-plan.json work/plan.json && cp in.json work/run.json && cp evil-compare.json work/compare.json
ok report work -o evil3.html -f
for f in evil.html evil2.html evil3.html; do
    page_is_ours "$f" "$f"
    has "$f" 'x&#39;&quot;&gt;&lt;/script&gt;'
    expect "$f: two scripts, data and ours" test "$(grep -o '<script[^>]*>' "$f" | sort | tr '\n' ' ')" = '<script type="application/json" id="map-data"> <script> '
    expect "$f: no handler, no address" test -z "$(tags "$f" | grep -E ' on[a-z]+=|javascript:|src="[^d]|href="[^#d]')"
done

# ---- in a browser ----
browser=
for b in chromium chromium-browser google-chrome; do command -v "$b" >/dev/null && { browser=$b; break; }; done
see() { # FILE: the document after the scripts in dom.html, messages of the console in .log
    HOME=$T timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$T/profile" \
        --enable-logging=stderr --v=0 --virtual-time-budget=2000 --dump-dom "file://$T/$1" >"$T/dom.html" 2>"$T/.log" </dev/null
}
echo '<p>here</p><script>document.documentElement.setAttribute("data-ran",1)</script>' >runs.html
if [[ -z $browser ]]; then
    left_out "pages in a browser: no chromium"
elif ! see runs.html || ! grep -q 'data-ran="1"' dom.html; then
    left_out "pages in a browser: it does not start"
else
    for f in evil.html evil2.html evil3.html; do
        see "$f"
        has dom.html 'id="main"'
        lacks dom.html 'data-ran="' '<img src="?x' '<svg onload' '<b id="?ran'
        lacks .log CONSOLE
    done
fi
finish
