# What rows hold and the model is not given: said once, kept in the stats file, shown by stats, added up by merge.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
cat >rows.jsonl <<'END'
{"prompt":"Add 1 and 2.","chosen":"3","rejected":"4"}
{"messages":[{"role":"user","content":"Add 2 and 2."},{"role":"assistant","content":"4","thinking":"two and two"}]}
{"messages":[{"role":"user","content":"Which time is it?"},{"role":"assistant","content":"Noon.","thinking":"a clock"}],"note":"a row's own"}
END
ok profile "$TINY" --calib rows.jsonl -t 1 -o s.json
has .err "^reap: warning: not used for calibration: 'rejected' \(1 row\), .*'messages.thinking' \(2 messages\)"
lacks .err '_token'
expect 'one warning for all' test "$(grep -c 'not used' .err)" = 1
json s.json calibration/unused/rejected=1 'calibration/unused/messages.thinking=2' 'calibration/samples/0/n_tokens'
has s.json '<\|im_start\|>' # as the model was given it
ok stats s.json
has .out "^not used +'rejected' \(1 row\)"
# all of a row is used: nothing is said, and nothing is in the file
head -1 rows.jsonl | sed 's/,"rejected":"4"//' >used.jsonl
ok profile "$TINY" --calib used.jsonl -t 1 -o used.json
lacks .err 'not used'
lacks used.json '"unused"'
ok stats merge s.json used.json -o sum.json
json sum.json calibration/unused/rejected=1
# the name that the template does read
echo "{% for m in messages %}{{ m.role }}: {{ m.content }}{% if m.reasoning_content is defined %}<think>{{ m.reasoning_content }}{% endif %}{% endfor %}" >t.jinja
ok profile "$TINY" --calib rows.jsonl -t 1 -o t.json --chat-template-file t.jinja
has .err "'messages.thinking' \(2 messages\).*; the template reads thoughts under 'reasoning_content' \(--map reasoning_content=thinking\)"
json t.json 'calibration/chat/thoughts="reasoning_content"'
ok stats t.json
has .out "^not used .*; the template reads thoughts under 'reasoning_content' \(--map reasoning_content=thinking\)"
sed 's/"thinking"/"reasoning_content"/' rows.jsonl >renamed.jsonl
ok profile "$TINY" --calib renamed.jsonl -t 1 -o t.json --chat-template-file t.jinja -f
lacks .err 'messages'
has t.json '<think>'
ok profile "$TINY" --calib rows.jsonl -t 1 -o t.json --chat-template-file t.jinja --map reasoning_content=thinking -f # what the warning says
lacks .err 'messages'
has t.json '<think>'
ok eval "$TINY" --calib rows.jsonl
has .err "^reap: warning: not scored: 'rejected' \(1 row\)"
finish
