# make demo: its table is the one in the README (another CPU rounds differently, and may choose another expert near the cut: 4 % of a
# perplexity), what is pruned by REAP loses less than what is pruned at random, the report is there, the last line is for a model of one's own.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
DEMO_WORK=$T/demo bash "$SRC/scripts/demo.sh" >demo.txt 2>demo.err
expect 'the demo ends with status 0' test $? = 0
lacks demo.txt $'\x1b' $'\r'
expect 'the last line' grep -q '^\$ .*reap run MODEL.gguf --calib ' <(tail -n 1 demo.txt)
has demo.txt '^The report, for a browser: .*/demo/report.html$' '^Every pruned file was verified'
has demo/report.html '</html>'
expect 'four pruned files were verified' test "$(grep -c "every byte is the parent's" demo/log.txt)" = 4

# "LABEL|MB|code|ratio|prose|ratio" for each row of the table, in columns as printed
table() { # FILE
    sed -nE 's/^ *((full model|25 % pruned|50 % pruned)[^.]*[a-z]) +([0-9.]+) MB +([0-9.]+) +x([0-9.]+) +([0-9.]+) +x([0-9.]+)$/\1|\3|\4|\5|\6|\7/p' "$1"
}
table demo.txt >got
table "$SRC/README.md" >want
expect 'the table has five rows' test "$(wc -l <got)" = 5
expect 'the README has the same rows and sizes' diff <(cut -d'|' -f1,2 want) <(cut -d'|' -f1,2 got)
expect 'the README has the figures of the demo' awk -F'|' '
    NR == FNR { for (i = 3; i <= 6; i++) want[FNR, i] = $i; next }
    { for (i = 3; i <= 6; i++) if ($i > 1.04 * want[FNR, i] || $i < want[FNR, i] / 1.04) { print $1 ": " $i ", in the README " want[FNR, i]; bad = 1 } }
    END { exit bad }' want got
expect 'REAP loses less than chance' awk -F'|' '{ code[FNR] = $3; prose[FNR] = $5 }
    END { exit !(code[2] < code[3] && prose[2] < prose[3] && code[4] < code[5] && prose[4] < prose[5] && code[1] < code[2]) }' got
finish
