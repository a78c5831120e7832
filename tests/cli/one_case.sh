# Outputs on a file system that does not tell a from A (vfat, a Mac's): two files of a checkpoint that would be one there are an error, and neither
# replaces the other. tests/faults/fold.c stands for such a file system.
. "$(dirname "$0")/lib.bash"
. "$SRC/tests/cli/checkpoint.bash"
export GOMP_SPINCOUNT=2000 GLIBC_TUNABLES=glibc.malloc.hugetlb=0 # or the program starts itself again
export FOLD=$T/disk
plan=$FORMS/mixtral/pruned/plan.json
fold=$(preloadable libfold.so)
folded() { LD_PRELOAD=$fold "$@"; }
folded "$REAP" --version >/dev/null 2>&1 && [[ -e $fold ]] || skip "nothing can be preloaded"
mkdir disk
prune() { folded "$REAP" prune ck --plan "$plan" -o disk/out --quiet >.out 2>.err </dev/null; }
fresh() {
    rm -rf ck disk/out
    cp -r "$FORMS/mixtral" ck
    rm -rf ck/pruned ck/README.md
}

fresh
expect 'a checkpoint without such names' prune
compare "$FORMS/mixtral/pruned" disk/out

for pair in 'Notes.txt notes.txt' 'LICENSE License' 'Config.JSON -' 'readme.md -' 'Reap.json -'; do
    fresh
    read -r a b <<<"$pair"
    echo one >"ck/$a"
    [[ $b = - ]] || echo two >"ck/$b"
    prune
    expect "$pair: status 2" test $? = 2
    one_line 'cannot be written into .disk/out.' 'differs by case or accents only'
    absent disk/out
done
fresh
mkdir ck/Docs ck/docs
echo one >ck/Docs/a
echo two >ck/docs/b
prune
expect 'two folders: status 2' test $? = 2
one_line 'docs' 'differs by case'
absent disk/out
expect 'nothing unfinished' test -z "$(ls -A disk)"
untouched
finish
