# libreap as somebody finds it who installs it: pkg-config, the header in C and C++, the example (its result has the bytes of `reap prune`), the
# parts of docs/library.md, what the library gives away and what it takes from libc. What its functions do: tests/library/.
. "$(dirname "$0")/lib.bash"
cd "$T" || exit 1
cc=${ENGINE_CC:-cc} cxx=${ENGINE_CXX:-c++} # of a cross build (make test-arm64)
for need in $cc $cxx pkg-config readelf cmake; do
    command -v $need >/dev/null || skip "no $need"
done
flags=
! grep -q '^REAP_SANITIZE:BOOL=ON' "$BIN/CMakeCache.txt" || flags='-fsanitize=address,undefined'

sysroot=$(sed -n 's/^REAP_SYSROOT:[A-Z]*=//p' "$BIN/CMakeCache.txt")
[[ -z $sysroot ]] || flags+=$(printf ' --sysroot=%q' "$sysroot")

env -u DESTDIR cmake --install "$BIN" --prefix "$T/a place" >install.txt 2>&1 || { say_bad 'cmake --install'; show install.txt; finish; }
mv 'a place' 'another place' # the folder may be moved
where="$T/another place"
pc=$(find "$where" -name reap.pc)
export PKG_CONFIG_PATH=${pc%/*} LD_LIBRARY_PATH=${pc%/pkgconfig/*} LD_BIND_NOW=1 # whatever the library lacks ends a program at once
expect 'pkg-config knows it' pkg-config --exists reap
expect 'its version is that of the program' test "reap $(pkg-config --modversion reap)" = "$("$where/bin/reap" --version | cut -d' ' -f1,2)"
lib=$(readlink -f "$LD_LIBRARY_PATH/libreap.so")
expect 'the library has the version in its name' test "${lib##*/}" = "libreap.so.$(pkg-config --modversion reap)"

build() { # COMPILER FLAGS... (sources among them), -o OUT
    local words
    words=$(printf '%q ' "$@")
    eval "$words $flags $(pkg-config --cflags --libs reap) ${LDFLAGS-} -pthread" >build.txt 2>&1 || { say_bad "cannot build: $words"; show build.txt; }
    n_checks=$((n_checks + 1))
    [[ ! -s build.txt ]] || { say_bad "warnings of: $words"; show build.txt; }
}
warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
cp "$SRC/examples/prune.c" .
build "$cc" -std=c99 "${warnings[@]}" prune.c -o prune
build "$cxx" -std=c++11 -x c++ "${warnings[@]}" prune.c -o prune-c++
echo '#include <reap.h>' >alone.c
build "$cc" -std=c99 "${warnings[@]}" -Wmissing-prototypes -c alone.c -o alone.o
build "$cxx" -std=c++11 -x c++ "${warnings[@]}" -c alone.c -o alone.o

# the example
ok plan "$SRC/examples/stats.json" --prune-ratio 0.25 --model "$TINY" -o plan.json
ok prune "$TINY" --plan plan.json -o want.gguf
for program in ./prune ./prune-c++; do
    rm -f out.gguf
    "$program" "$TINY" "$SRC/examples/stats.json" out.gguf 0.25 >out.txt 2>err.txt
    expect "$program: exit status 0" test $? = 0
    has out.txt '^out.gguf: 10.5 MB of 13.3 MB$'
    lacks err.txt '^reap' 'warning'
    has err.txt '^pruning: 100 %$' '^verifying: 100 %$'
    expect "$program: the bytes of reap prune" cmp want.gguf out.gguf
done
ok verify "$TINY" out.gguf --plan plan.json
./prune "$TINY" "$SRC/examples/stats.json" out.gguf 0.25 >out.txt 2>err.txt
expect 'an output that is there: exit status 2' test $? = 2
has err.txt "^output 'out.gguf' exists"
./prune none.gguf "$SRC/examples/stats.json" x.gguf 0.25 >out.txt 2>err.txt
expect 'no such model: exit status 2' test $? = 2
expect 'and one line' test "$(wc -l <err.txt)" = 1
absent x.gguf
expect 'the output that was there is as it was' cmp want.gguf out.gguf
no_parts

# the parts of the page: each in a function of its own
awk '/^```c$/ { n++; on = 1; printf "static int part%d(reap_model *model, reap_stats *stats, reap_plan *plan, const char *out)\n{\nreap_error e;\n", n; next }
    /^```$/ && on { on = 0; print "(void)model, (void)stats, (void)plan, (void)out, (void)e;\nreturn 0;\n}" }
    on
    END { print "int main(int n, char **v)\n{\nreap_error e;\n(void)n;"
          print "reap_model *m = reap_model_open(v[1], &e);\nreap_stats *s = reap_stats_open(v[2], &e);\nreap_plan *p = reap_plan_open(v[3], &e);\nint bad = !m || !s || !p;"
          for (i = 1; i <= n; i++) printf "bad = bad || part%d(m, s, p, \"x.gguf\");\n", i
          print "reap_plan_close(p);\nreap_stats_close(s);\nreap_model_close(m);\nreturn bad;\n}" }' "$SRC/docs/library.md" >body.c
printf '#include <reap.h>\n#include <stdio.h>\n#include <stdlib.h>\n' | cat - body.c >page.c
expect 'three parts' test "$(grep -c '^static int part' page.c)" = 3
build "$cc" -std=c99 "${warnings[@]}" -Wno-uninitialized -Wno-maybe-uninitialized page.c -o page
./page "$TINY" "$SRC/examples/stats.json" plan.json >out.txt 2>err.txt
expect 'the parts run' test $? = 0
has out.txt '^tinymoe: 6 layers of 32 experts$' '^16 experts: 7.5 MB$' '^x.gguf would have [0-9]* bytes$' '^block 5 keeps experts [0-9]* to [0-9]*$'
lacks err.txt .
absent x.gguf

# a file of MTP blocks alone: written, looked at, verified, and no model to cut
M=$SRC/tests/data/families/glm4_moe
ok prune "$M/model.gguf" --plan "$M/plan.json" -o cut.gguf --mtp keep
"$EDIT" mtp-cut.gguf mtp-bad.gguf flip blk.3.ffn_down_exps.weight 5 || say_bad 'gguf_edit'
cat >mtp.c <<'EOF'
#include <reap.h>
#include <stdio.h>
#include <string.h>
int main(int n, char **v)
{
    reap_error e;
    reap_model *m = reap_model_open(v[1], &e), *x = reap_model_open(v[2], &e);
    reap_plan *p = reap_plan_open(v[3], &e);
    reap_stats *s = reap_stats_open(v[4], &e);
    reap_model_info info;
    reap_verify_result r;
    reap_prune_options o;
    reap_prune_result w;
    uint32_t keep[] = {0};
    if (n != 5 || !m || !x || !p || !s)
        return 1;
    REAP_INIT(&info);
    REAP_INIT(&r);
    reap_model_get_info(x, &info);
    printf("%u layers, the last %u of %u blocks: %s\n", info.n_layers, info.n_mtp, info.n_blocks, info.refusal);
    memset(&e, 0, sizeof e);
    int code = reap_verify(m, x, NULL, NULL, &r, &e);
    printf("verify: %d, %u found, %s\n", code, r.found != NULL, code ? e.message : "the same");
    reap_verify_result_clear(&r);
    printf("with a plan: %d\n", reap_verify(m, x, p, "Other", NULL, &e));
    printf("as a parent: %d, %s\n", reap_verify(x, m, NULL, NULL, NULL, &e), e.message);
    printf("plan: %d, %s\n", reap_plan_check(p, x, 1, &e), e.message);
    printf("statistics: %d, %s\n", reap_stats_check(s, x, &e), e.message);
    printf("keep: %d, %s\n", reap_plan_from_keep(x, keep, 1, &e) != NULL, e.message);
    printf("prune: %d, %s\n", reap_prune(x, p, "no.gguf", NULL, NULL, &e), e.message);
    REAP_INIT(&o);
    REAP_INIT(&w);
    o.keep_mtp = o.force = 1;
    if (reap_prune(m, p, "lib.gguf", &o, &w, &e) == REAP_OK)
        printf("written: %s and %s, %u files\n", w.files[0], w.files[w.n_files - 1], w.n_files);
    reap_prune_result_clear(&w);
    o.drop_mtp = 1;
    printf("both: %d, %s\n", reap_prune(m, p, "no.gguf", &o, NULL, &e), e.message);
    reap_stats_close(s);
    reap_plan_close(p);
    reap_model_close(x);
    reap_model_close(m);
    return 0;
}
EOF
build "$cc" -std=c99 "${warnings[@]}" mtp.c -o mtp
./mtp "$M/model.gguf" mtp-cut.gguf "$M/plan.json" "$SRC/examples/stats.json" >out.txt 2>err.txt
expect 'a file of MTP blocks: exit status 0' test $? = 0
has out.txt '^0 layers, the last 1 of 4 blocks: has experts in MTP blocks alone' '^verify: 0, 0 found, the same$' '^with a plan: 0$' \
    '^as a parent: 2, mtp-cut.gguf: has experts in MTP blocks alone.*give the model itself$' '^plan: 2, mtp-cut.gguf: has experts in MTP blocks alone.*give the model itself$' \
    '^statistics: 2, mtp-cut.gguf: has experts in MTP blocks alone.*give the model itself$' \
    '^keep: 0, mtp-cut.gguf: cannot be pruned: has experts in MTP blocks alone' '^prune: 2, mtp-cut.gguf: cannot be pruned: has experts in MTP blocks alone' \
    '^written: lib.gguf and mtp-lib.gguf, 2 files$' '^both: 2, prune options: drop_mtp and keep_mtp are both set'
lacks err.txt .
expect 'the library keeps MTP blocks as reap does: the model' cmp lib.gguf cut.gguf
expect 'the library keeps MTP blocks as reap does: their file' cmp mtp-lib.gguf mtp-cut.gguf
absent no.gguf
./mtp "$M/model.gguf" mtp-bad.gguf "$M/plan.json" "$SRC/examples/stats.json" >out.txt 2>err.txt
has out.txt '^verify: 3, 0 found, mtp-bad.gguf: 1 difference from .*differs at byte 5$'

# what others see of it
declared=$(grep -oE '\breap_[a-z_]+\(' "$where/include/reap.h" | tr -d '(' | sort -u)
names() { # of the dynamic symbols, those that the library has (1), or takes (0)
    readelf --dyn-syms -W "$lib" | awk -v has="$1" '$5 ~ /GLOBAL|WEAK/ && ($7 != "UND") == has { sub(/@.*/, "", $8); print $8 }' | sort -u
}
exported=$(names 1)
expect 'there are functions' test "$(wc -l <<<"$declared")" -gt 25
if [[ $flags != *sanitize* ]]; then
    expect 'what is exported is what is declared' diff <(echo "$declared") <(echo "$exported")
    names 0 >takes.txt
    lacks takes.txt '^(v?f?printf|v?dprintf|puts|fputs|putchar|fwrite|perror|stdout|stderr|isatty)$' '^(signal|sigaction|sigaltstack|raise|kill)$' \
        '^(exit|_exit|_Exit|atexit|fork|system)$' '^(getenv|secure_getenv|setenv|environ|setlocale|chdir|umask|setrlimit64|setrlimit)$' \
        '^json_set_alloc_funcs' '^(llama|ggml|gguf)_'
    has takes.txt '^abort$' '^malloc$'
fi

# a host that writes numbers with commas
if command -v localedef >/dev/null && localedef -i de_DE -f UTF-8 "$T/de_DE.UTF-8" >/dev/null 2>&1; then
    LOCPATH=$T COMMA_LOCALE=de_DE.UTF-8 "$BIN/test_library" test_locale >out.txt 2>&1
    expect 'files have points where the host has commas' test $? = 0
    has out.txt 'OK \] test_locale'
    lacks out.txt 'left out'
else
    left_out 'a locale with commas: localedef makes none here'
fi
finish
