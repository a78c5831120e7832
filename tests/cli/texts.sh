# No test takes the sources or the documents of this repository as text to calibrate or evaluate on: an edit of those would change a test of
# something else. Texts for tests are in tests/data/text.
. "$(dirname "$0")/lib.bash"
cd "$SRC" || exit 1

# Where the scripts name them: tests about the sources and documents themselves, the sources of tools, one hash.
of_subject='^tests/cli/(layers|docs_consistent|docs_examples|texts|demo|readme|library)\.sh:'
of_tools='(base=|tool |cc -std|openssl dgst)'
all=$(grep -nE '\$\{?SRC\}?"?/(src|docs|man|README|CONTRIBUTING)' tests/cli/*.sh tests/cli/*.bash tests/archs.sh)
expect 'the pattern finds the lines that may' grep -qE "^tests/cli/lib\.bash:.*$of_tools" <<<"$all"
left=$(grep -vE "$of_subject" <<<"$all" | grep -vE "$of_tools|^tests/archs\.sh:[0-9]+: *sed -n|^tests/cli/[a-z_]+\.(sh|bash):[0-9]+:#")
[[ -z $left ]] || say_bad "sources or documents of the repository as text: $left"

# The unit tests: nothing above tests/data but the model.
left=$(grep -nE 'TEST_DATA_DIR "/\.\.' tests/unit/*.[ch] tests/fake/*.[ch] | grep -vE '/\.\./\.\./(models|examples)/|/\.\./fuzz')
[[ -z $left ]] || say_bad "a unit test leaves tests/data: $left"
n_checks=$((n_checks + 2))
finish
