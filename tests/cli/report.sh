#!/usr/bin/env bash
# reap report: one page that loads nothing, with a section for all that is known and none for the rest; text from files stays text;
# the same inputs give the same bytes; inputs that contradict are refused. With a chromium the page is opened, too.
. "$(dirname "$0")/lib.bash"

STATS=$SRC/examples/stats.json PLAN=$SRC/examples/plan.json
cd "$T" || exit 1

# ---- inputs ----
eval_file() { # FILE NAME N_EXPERTS PPL EXTRA
    local name=$2 text
    text="\"n_tokens\":900,\"n_windows\":3,\"n_scored\":400,\"nll\":3.5,\"ppl\":$4,\"ppl_stderr\":1.5${5:-}"
    printf '{"schema":"reap.eval/1","model":{"architecture":"qwen3moe","name":"tinymoe","n_experts":%d},"texts":[{"name":"%s",%s},{"name":"b.txt",%s}],"total":{%s}}\n' \
        "$3" "$name" "$text" "$text" "$text" >"$1"
}
eval_file before.json a.txt 32 40
eval_file after.json a.txt 24 50
eval_file against.json a.txt 24 50 ',"base_ppl":40,"base_ppl_stderr":1.5,"ln_ppl_ratio":0.22,"ln_ppl_ratio_stderr":0.02,"kl":{"mean":0.125,"stderr":0.015,"median":0.06,"p90":0.25,"p99":0.75,"max":2.5},"top1_agreement":0.875,"dp_rms":0.0625'
point() { printf '{"criterion":"%s","ratio":%s,"n_keep":%d,"bytes":%d,"ppl":%s,"base_ppl":40,"kl":{"mean":%s,"stderr":0.01},"top1_agreement":0.75}' "$@"; }
printf '{"schema":"reap.sweep/1","base":{"n_experts":32,"bytes":6000000,"ppl":40},"points":[%s,%s,%s],"chosen":1}\n' "$(point reap 0.3 24 5000000 44 0.1)" \
    "$(point reap 0.5 16 4000000 60 0.5)" "$(point frequency 0.25 24 5000000 47 0.2)" >sweep.json
rate='{"count":1,"rate":0.5,"low":0.25,"high":0.75}'
total="{\"n\":2,\"exact\":$rate,\"similarity_mean\":0.625,\"base\":{\"endless\":$rate,\"loops\":$rate,\"words\":12},\"pruned\":{\"endless\":$rate,\"words\":13}}"
printf '{"schema":"reap.compare/1","total":%s,"rows":[{"id":"two","prompt":"alike","similarity":0.75,"base":{"response":"long","endless":true,"finish_reason":"length"},"pruned":{"response":"short","finish_reason":"stop"}},{"id":"one","prompt":"why?","similarity":0.5,"base":{"response":"because"},"pruned":{"response":"so it is","reasoning":"let me think","loop_period":3,"finish_reason":"length"}}]}\n' \
    "$total" >compare.json
batch() { printf '{"schema":"reap.batch/1","results":[{"id":"x","key":"k","prompt_sha256":"p","repeat":0,"status":"ok","messages":[{"role":"user","content":"hello there"}],"response":"%s","finish_reason":"stop"}]}\n' "$1"; }
batch 'answer of the parent' >batch-a.json
batch 'answer of the result' >batch-b.json

all=(--stats "$STATS" --plan "$PLAN" --eval before.json --eval after.json --sweep sweep.json --compare compare.json --model "$TINY")
sections() { grep -o '<section id="[a-z]*"' "$1" | sed 's/.*="//; s/"//' | tr '\n' ' '; }
holds() { # FILE SECTIONS...
    local f=$1 want
    shift
    n_checks=$((n_checks + 1))
    want="$* "
    [[ $(sections "$f") == "$want" ]] || say_bad "$f has the sections '$(sections "$f")', expected '$want'"
}

# ---- a section for all that is there ----
ok report "${all[@]}" -o full.html
has .out 'full.html: 12 sections'
holds full.html summary remarks made text quality sweep map layers scores stability low answers
has full.html '<p class="lead">21.6 % smaller, perplexity 25.0 % higher on 2 texts.</p>' \
    'Prune, or quantise. 25 % of the experts go from a file of 8.58 bits a weight' \
    'reap sweep [^ ]*.gguf --stats stats.json --text FILE --types q6_k,q5_k_m,q4_k_m,q3_k_m --allow-requantize --json &gt; sweep.json'
# with a table of types the question is answered
printf '{"schema":"reap.sweep/1","base":{"n_experts":32,"bytes":13000000,"ppl":40},"points":[%s,%s,%s]}\n' \
    '{"criterion":"reap","n_keep":32,"bytes":13000000,"ppl":40,"kl":{"mean":0,"stderr":0}}' \
    '{"criterion":"reap","n_keep":24,"bytes":10000000,"ppl":42,"kl":{"mean":0.05,"stderr":0.001}}' \
    '{"type":"Q4_K_M<b>","criterion":"reap","n_keep":32,"bytes":9000000,"ppl":41,"kl":{"mean":0.01,"stderr":0.001}}' >types.json
ok report --stats "$STATS" --plan "$PLAN" --against against.json --sweep types.json --model "$TINY" -o types.html
lacks types.html 'Prune, or quantise. 25' 'Q4_K_M<b>'
has types.html '<li>at 10.0 MB: Q4_K_M&lt;b&gt; of the whole model .9.00 MB, KL 0.01. is better than 25 % pruned as it is .KL 0.05.</li>' \
    'class="front"' '<td>yes</td>' \
    '<p class="verdict">25 % of the experts removed: KL divergence 0.125, top-1 agreement 0.875, perplexity .. 1.246 on 2 texts.</p>'
ok report --stats "$STATS" -o stats.html
holds stats.html summary made text map layers scores stability low
lacks stats.html 'id="marks"' '"kept"'
has stats.html 'by the even and by the odd samples alone'
ok stats export "$STATS" -o profile.json
ok stats import profile.json --model "$TINY" -o imported.json
ok report --stats imported.json -o imported.html # of no samples that are told apart
holds imported.html summary made map layers scores low
lacks imported.html 'by the even'
# the calibration text as the model was given it, made safe
"$JSON" set "$STATS" calibration/samples '[{"file":"<b>.jsonl","line":1234,"n_tokens":1500,"text":"<|im_start|>user\nHi <script>","cut":true},{"file":"b.txt","n_tokens":2,"text":"plain"},7,{"file":"x"}]' \
    calibration/unused '{"rejected":20,"messages.<i>":1,"bad":"x"}' calibration/chat '{"from":"model","sha256":"0123456789abcdef0123","kwargs":{"enable_thinking":false},"date":"2026-11-28"}' >text.json
ok report --stats text.json -o text.html
holds text.html summary made text map layers scores stability low
has text.html "Not used: &#39;rejected&#39; \(20 rows\), &#39;messages.&lt;i&gt;&#39; \(1 message\)\." "the model.s own chat template" \
    '0123456789abcdef …' 'enable_thinking' '2026-11-28' '&lt;b&gt;.jsonl</bdi>, line 1,234, 1,500 tokens, the beginning' \
    '<pre>&lt;\|im_start\|&gt;user' 'Hi &lt;script&gt;' 'b.txt</bdi>, 2 tokens<' '<pre>plain</pre>'
ok report --plan "$PLAN" -o plan.html
holds plan.html summary made map layers
lacks plan.html '"reap_sum"'
ok report --stats "$STATS" --plan "$PLAN" --eval before.json --against against.json -o against.html
holds against.html summary made text quality map layers scores stability low
has against.html '>0.1250 <small>± 0.015<' '>0.7500<' '>87.5 %<' '>6.2 %<' '>40 <small>± 1.5<' '× 1.250 <small>± 0.025<'
ok report --stats "$STATS" --plan "$PLAN" --compare batch-a.json --compare batch-b.json -o batch.html
has batch.html 'answer of the <del>parent</del>' 'answer of the <ins>result</ins>' 'hello there' 'similarity 75.0 %'
# calls are shown as calls, also of earlier turns; what is wrong with them is said
answer() { # NAME ARGUMENTS: of a chat in which a tool was called before
    printf '{"schema":"reap.batch/1","results":[{"id":"x","key":"k","prompt_sha256":"p","repeat":0,"status":"ok","messages":[{"role":"user","content":"and now?"},{"role":"assistant","tool_calls":[{"function":{"name":"before","arguments":"{\\"k\\": 1}"}}]},{"role":"tool","content":"it is so"}],"parameters":{"tools":[{"function":{"name":"look","parameters":{"required":["at"]}}}]},"response":"","finish_reason":"tool_calls","refusal":"I <may> not","tool_calls":[{"function":{"name":"%s","arguments":"%s"}}]}]}\n' "$@"
}
answer look '{\"at\": \"sky\"}' >call-a.json
answer look '{\"at\": \"</bdi></ins><script>\"}' >call-b.json
ok report --plan "$PLAN" --compare call-a.json --compare call-b.json -o call.html
has call.html '<pre><b>call</b> <bdi>look \{&quot;at&quot;: <del>&quot;sky&quot;\}</del></bdi></pre>' '<ins>&quot;&lt;/bdi&gt;&lt;/ins&gt;&lt;script&gt;&quot;\}</ins></bdi>' \
    '<pre><b>call</b> <bdi>before \{&quot;k&quot;: 1\}</bdi></pre>' '<b>tool</b> <bdi>it is so' 'I &lt;may&gt; not' 'Tools are called in 1 pairs: the same functions in 100.0 %' 'ended: tool_calls'
lacks call.html 'an empty answer' 'arguments do not fit'
wrong_call() { # NAME ARGUMENTS WORDS
    answer "$1" "$2" >call-b.json
    ok report --plan "$PLAN" --compare call-a.json --compare call-b.json -o call.html --force
    has call.html "<b>$3</b>"
}
wrong_call look '{}' 'arguments do not fit the tool'
wrong_call look '{' 'arguments are no JSON'
wrong_call gone '{\"at\": 1}' 'calls a tool that there is not'
ok report --stats "$STATS" --plan "$PLAN" --eval before.json --eval after.json --model "$TINY" -o sizes.html
lacks sizes.html 'id="sweep"' # two points are a straight line
ok report --stats "$STATS" --title 'A <b>title</b>' -o title.html
has title.html '<title>A &lt;b&gt;title&lt;/b&gt;</title>'

# Numbers: experts, perplexity, what is lost (of the plan's own "lost"), the removed ids of layer 0.
has full.html '<b>24 <span>of 32</span></b>' '<b>25.0 %</b>' '<b>50</b><small>from 40, × 1.250' '<td>&#215; 1.250|<td>× 1.250' '>19.4 %<' \
    '<td class="left ids">0, 3, 13, 14, 18, 26, 30, 31</td>' 'mean of gate x' 'faf818861ac0dc94' '>3,556<' 'because' 'so it is' 'let me think' '<b>ends in a loop</b>' 'stopped by the limit</p>' '50.0 % <small>.25.0 % to 75.0 %' 'mean similarity 62.5 %' '>frequency<' \
    'reap <b>.chosen.</b></th><td>16</td><td>50.0 %</td><td>4</td><td>60</td><td>× 1.500</td><td>0.5000</td><td>75.0 %</td>' '<td>24</td><td>25.0 %</td><td>5</td>'
expect 'one answer of four loops; to be cut is no loop' test "$(grep -c '<b>ends in a loop</b>' full.html)" = 1
expect 'the least similar first' test "$(grep -oE '<h3>(one|two) ' full.html | tr -d '\n')" = '<h3>one <h3>two '
has full.html 'eae7fb9aa2daf66d2b064061e24630468a0ce9ca828be3da5315d89f66c54bee' "$(sha256sum "$STATS" | cut -c1-64)"

# ---- the file is complete in itself ----
for f in full.html batch.html plan.html; do
    has "$f" '^<!DOCTYPE html>' '<html lang="en">' 'name="viewport"' '<main id="main"' 'class="skip" href="#main"' \
        "default-src 'none'" "script-src 'sha256-" '@media print' 'prefers-color-scheme: dark' '</html>$'
    lacks "$f" '(src|href|action|poster|data|srcset|xlink:href)="?(https?:)?//' '<link[^>]*stylesheet' '@import' 'url\(' 'https?://' ' on[a-z]+="'
    expect "$f: anchors lead somewhere" bash -c 'for a in $(grep -o "href=\"#[a-z]*\"" '"$f"' | cut -d\" -f2 | tr -d \#); do grep -q "id=\"$a\"" '"$f"' || { echo $a; exit 1; }; done'
    expect "$f: two scripts, data and ours" test "$(grep -c '<script' "$f")" = 2
done
# the policy names the script that is there
body=$(sed -n '/^<script>/,/^<\/script>/p' full.html | wc -l)
n_checks=$((n_checks + 1))
policy=$(grep -o "sha256-[A-Za-z0-9+/=]*" full.html | head -1 | cut -c8-)
actual=$(openssl dgst -sha256 -binary "$SRC/src/report/report.js" 2>/dev/null | base64)
[[ -z $actual || $policy == "$actual" ]] || say_bad "the policy allows $policy, the script is $actual ($body lines)"

# ---- hostile text ----
evil='<script>alert(1)<\/script>\\"'"'"'><img src=x onerror=alert(1)>\\u2028\\u202e-->\\u0000'
evil=${evil%'\\u0000'}
sed "s|\"tinymoe\"|\"$evil\"|; s|examples/calibration/plain.txt|$evil|; s|llama.cpp v0.5.0|$evil|" "$STATS" >evil-stats.json
sed "s|\"tinymoe\"|\"$evil\"|; s|\"stats.json\"|\"$evil\"|" "$PLAN" >evil-plan.json
name='<img src=x onerror=alert(1)>&.json'
eval_file "$name" '<script>alert(2)<\/script>' 99 40
printf '{"schema":"reap.sweep/1","points":[{"criterion":"<svg onload=alert(3)>","n_keep":16,"ppl":3}]}\n' >evil-sweep.json
printf '{"schema":"reap.compare/1","total":{"n":1},"rows":[{"id":"<i>","prompt":"</pre><script>alert(4)</script>","base":{"response":"<b>x</b>"},"pruned":{"response":"</script><script>","finish_reason":"<u>"}}]}\n' >evil-compare.json
ok report --stats evil-stats.json --plan evil-plan.json --eval "$name" --eval "$name" --sweep evil-sweep.json --compare evil-compare.json -o evil.html --force
has evil.html '&lt;script&gt;alert\(1\)' '&lt;script&gt;alert\(2\)' '&lt;svg onload' '&lt;/pre&gt;&lt;script&gt;alert\(4\)' '&lt;b&gt;x&lt;/b&gt;' 'id="remarks"' 'bdi'
lacks evil.html '<script>alert' '<img src=x' '<svg onload' '<b>x' '<i>' '<u>' '<s>' $'\u2028' $'\u202e'
expect "only our scripts" test "$(grep -o '<script[^>]*>' evil.html | sort | tr '\n' ' ')" = '<script type="application/json" id="map-data"> <script> '

# ---- the same bytes ----
ok report "${all[@]}" -o again.html
expect "the same inputs give the same bytes" cmp full.html again.html
mkdir sub && cp "$STATS" "$PLAN" sub
ok report --stats sub/stats.json --plan sub/plan.json -o sub/a.html
ok report --stats "$STATS" --plan "$PLAN" -o b.html
expect "not even the folder matters" cmp sub/a.html b.html

# ---- folder of a run ----
mkdir work && cp "$STATS" work/stats.json && cp "$PLAN" work/plan.json && cp before.json work/eval-before.json && cp after.json work/eval-after.json && cp compare.json work/compare.json
printf '{"schema":"reap.run/1","steps":{"profile":{"key":"a"},"prune":{"writing":"x"},"verify":{"key":"b"}}}\n' >work/run.json
ok report work -o work/report.html
holds work/report.html summary made text quality map layers scores stability low answers
has work/report.html 'profile, verify' '<p class="lead">25.0 % of the experts removed, perplexity 25.0 % higher on 2 texts, every kept byte is the parent.+s .verified..</p>'
# what the record says of the last call: sizes, a date that is one; a model that is gone is not looked for
outcome() { printf '{"schema":"reap.run/1","steps":{"verify":{"key":"b"}},"outcome":{"date":"%s","model":"/nowhere/m.gguf","bytes_before":1000,"bytes_after":750}}\n' "$1" >work/run.json; }
outcome 2026-11-28
ok report work -o dated.html
has dated.html '<p class="lead">25.0 % smaller, .*</p>' '<small class="date">2026-11-28</small></p>' '<b>750 B</b><small>from 1 kB|<b>750 B'
lacks dated.html 'Command to repeat'
printf '{"schema":"reap.run/1","steps":{},"job":{"calib":["/home/me/a.txt","b c"],"model":"<m>.gguf","cpu-moe":true,"prune-ratio":"25%%","ctx":512,"x y":1,"mlock":false}}\n' >work/run.json
ok report work -o job.html
has job.html '<code>reap run &#39;&lt;m&gt;.gguf&#39; --calib a.txt --calib &#39;b c&#39; --cpu-moe --prune-ratio 25% --ctx 512</code>'
lacks job.html '/home/me' 'mlock' 'x y'
outcome '<b>'
ok report work -o dated.html --force
lacks dated.html 'class="date"'
fails 2 'exists' -- report work -o work/report.html
ok report work -o work/report.html --force
fails 2 'is an input' -- report work -o work/plan.json --force
mkdir empty
fails 2 'neither stats.json nor plan.json' -- report empty -o x.html
fails 2 'not a folder' -- report "$PLAN" -o x.html

# ---- --json ----
ok report --stats "$STATS" -o j.html --json
json "$T/.out" 'report="j.html"' n_sections=8

# ---- refusals ----
fails 2 'output is missing' -- report --stats "$STATS"
fails 2 'stats or --plan' -- report -o x.html
fails 2 'stats or --plan' -- report --eval before.json -o x.html
fails 2 'at most 2' -- report --stats "$STATS" --eval before.json --eval after.json --eval after.json -o x.html
cp "$STATS" s.json && cp "$PLAN" p.json
fails 2 'is an input' -- report --stats s.json -o s.json --force
fails 2 'is an input' -- report --stats s.json --plan p.json -o p.json --force
fails 2 'is an input' -- report --stats s.json --eval before.json -o before.json --force
ln -s s.json link.json
fails 2 'is an input' -- report --stats s.json -o link.json --force
fails 2 'exists' -- report --stats "$STATS" -o full.html
fails 2 "schema is 'reap.plan/1', expected 'reap.stats/1'" -- report --stats "$PLAN" -o x.html
fails 2 "schema is 'reap.stats/1', expected 'reap.plan/1'" -- report --plan "$STATS" -o x.html
fails 2 "schema is 'reap.plan/1', expected 'reap.eval/1'" -- report --stats "$STATS" --eval "$PLAN" -o x.html
fails 2 "expected 'reap.sweep/1'" -- report --stats "$STATS" --sweep before.json -o x.html
fails 2 "expected 'reap.compare/1'" -- report --stats "$STATS" --compare before.json -o x.html
fails 2 "expected 'reap.batch/1'" -- report --stats "$STATS" --compare compare.json --compare compare.json -o x.html
# a member of a wrong type, and what is needed and missing, is named with its place
wrong() { # SCHEMA BODY PART...
    local schema=$1 body=$2
    shift 2
    printf '{"schema":"reap.%s/1",%s}\n' "$schema" "$body" >wrong.json
    case $schema in
    eval) fails 2 wrong.json "$@" -- report --stats "$STATS" --eval wrong.json -o x.html ;;
    *) fails 2 wrong.json "$@" -- report --stats "$STATS" "--$schema" wrong.json -o x.html ;;
    esac
}
wrong sweep '"points":[{"criterion":5}]' "point 0: 'criterion' is an integer"
wrong sweep '"points":[7]' 'point 0 is an integer, expected an object'
wrong sweep '"points":[{"criterion":"reap","n_keep":1,"kl":{"mean":"x"}}]' "point 0.kl: 'mean' is a string"
wrong sweep '"points":[],"chosen":0' "'chosen' is 0, there are 0 points"
wrong sweep '"base":[]' "'base' is a list"
wrong eval '"texts":[]' "'total' is missing"
wrong eval '"total":{},"texts":[{"ppl":1}]' "text 0: 'name' is missing"
wrong eval '"total":{"ppl":"1"},"texts":[]' "total: 'ppl' is a string"
wrong compare '"rows":[]' "'total' is missing"
wrong compare '"total":{"n":1},"rows":[{"id":"a","base":"text","pruned":"text"}]' "row 0: 'base' is a string, expected an object"
echo '[1, 2]' >list.json
fails 2 "schema is missing, expected 'reap.eval/1'" -- report --stats "$STATS" --eval list.json -o x.html
echo '{"schema":' >cut.json
fails 2 'cut.json: line' -- report --stats "$STATS" --eval cut.json -o x.html
fails 2 'nothing.json' -- report --stats nothing.json -o x.html
sed 's/"router_hash": "faf8/"router_hash": "0000/' "$PLAN" >other.json
fails 2 'different models' 'router_hash' -- report --stats "$STATS" --plan other.json -o x.html
ok report --stats "$STATS" --plan other.json -o other.html --force
has other.html 'id="remarks"' 'of different models'
printf '{"schema":"reap.plan/1","n_keep":1,"keep":{"0":[1],"1":[1]}}\n' >few.json
fails 2 'has 2 layers' 'has 6' -- report --stats "$STATS" --plan few.json -o x.html
printf '{"schema":"reap.plan/1","n_keep":1,"keep":{"0":[1],"1":[1],"2":[1],"3":[1],"4":[1],"9":[1]}}\n' >wrong.json
fails 2 'layer 9 is not a layer' -- report --stats "$STATS" --plan wrong.json -o x.html
printf '{"schema":"reap.plan/1","n_keep":1,"keep":{"0":[1],"1":[1],"2":[1],"3":[1],"4":[1],"5":[32]}}\n' >range.json
fails 2 'expert 32 is out of range' -- report --stats "$STATS" --plan range.json -o x.html
ok report --plan range.json -o guessed.html
has guessed.html 'does not say how many experts'
holds guessed.html summary remarks made layers
sed 's/"sha256": "[0-9a-f]*"/"sha256": "00"/' "$PLAN" >foreign.json
ok report --stats "$STATS" --plan foreign.json -o foreign.html
has foreign.html 'made from another file than stats.json'
no_parts

# ---- in a browser ----
browser=
for b in chromium chromium-browser google-chrome; do command -v "$b" >/dev/null && { browser=$b; break; }; done
if [[ -n $browser ]]; then
    # Everything is loaded, and what the script makes is there: the controls are not hidden any more, the canvas has taken the image's place.
    see() { # FILE: the document after the scripts, messages of the console on .log
        HOME=$T timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$T/profile" \
            --enable-logging=stderr --v=0 --virtual-time-budget=2000 --dump-dom "file://$T/$1" >"$T/dom.html" 2>"$T/.log" </dev/null
    }
    if see full.html && [[ -s dom.html ]]; then
        for f in full.html evil.html stats.html plan.html batch.html; do
            see "$f"
            lacks "$T/.log" 'CONSOLE'
            lacks "$T/dom.html" '<img src="?x'
        done
        see full.html
        has dom.html '<canvas width="32" height="6"' 'role="application"' '<button type="button" aria-pressed="true">reap</button>'
    else
        left_out "pages in a browser: it does not start"
    fi
else
    left_out "pages in a browser: no chromium"
fi
finish
