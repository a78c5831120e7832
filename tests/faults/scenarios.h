/* scenarios.h - what the fault injector runs: commands as records. See faults.c. In a command '@' is the folder of inputs,
 * '%' the address of the test server; words are parted by spaces. */
#ifndef REAP_TESTS_SCENARIOS_H
#define REAP_TESTS_SCENARIOS_H

#include <stdbool.h>

struct scenario {
    const char *name;
    const char *cmd;
    /* Outputs, in the folder of the run. "-" is what is printed. The first of several is the one by which readers find
     * the others. */
    const char *outs;
    const char
        *before; /* "INPUT>NAME ...": what is under these names when the command begins; NULL: nothing */
    const char *again; /* how the command is repeated; NULL: as it is */
    const char *kept;  /* names that may be there until it is done: what it goes on from; NULL: none */
    bool
        goes_on; /* outputs may be half of the way: JSON files are whole, and the same command ends with the same */
    bool quick; /* in make test, too */
    int cost;   /* about the milliseconds of a run, by which fewer are made */
};

/* How the inputs are made, with the same program. */
static const char *const inputs[] = {
    "profile @/m.gguf -c @/texts.jsonl -t 1 -o @/stats.json -q",
    "profile @/m.gguf -c @/texts.jsonl -t 1 --shard 1/2 -o @/part-1.json -q",
    "profile @/m.gguf -c @/texts.jsonl -t 1 --shard 2/2 -o @/part-2.json -q",
    "stats export @/stats.json -o @/foreign.json -q",
    "prune @/m.gguf -p @/plan.json -o @/pruned.gguf -q",
    "prune @/ckpt -p @/plan.json -o @/pruned -q",
    "prune @/ckpt -p @/other.json -o @/pruned-other -q",
    "eval @/m.gguf --text @/held.txt --ctx 64 -t 1 -o @/eval.json -q",
    "batch --server % --prompts @/prompts.jsonl -o @/answers.json -q",
    "batch --server % --prompts @/prompts.jsonl -o @/answers-2.json -q",
};

/* A stats file, and the pairs beside it. */
#define STATS "o.json o.json.pairs"
#define SPLIT "o-00001-of-00003.gguf o-00002-of-00003.gguf o-00003-of-00003.gguf"

static const struct scenario scenarios[] = {
    {"prune", "prune @/m.gguf -p @/plan.json -o o.gguf -q", "o.gguf", .cost = 12},
    {"prune-force", "prune @/m.gguf -p @/plan.json -o o.gguf -f -q", "o.gguf", "@/m.gguf>o.gguf", .cost = 12},
    {"imatrix-cut", "prune @/im.gguf -p @/plan.json -o o.gguf -f -q", "o.gguf", "@/m.gguf>o.gguf", .cost = 8},
    {"quantize-imatrix", "quantize @/m.gguf q4_0 --imatrix @/im.gguf -t 1 -o o.gguf -f -q", "o.gguf",
     "@/im.gguf>o.gguf", .cost = 100},
    {"split", "prune @/s-00001-of-00003.gguf -p @/plan.json -o o.gguf -q", SPLIT, .cost = 15},
    {"split-force", "prune @/s-00001-of-00003.gguf -p @/plan.json -o o.gguf -f -q", SPLIT,
     "@/s-00001-of-00003.gguf>o-00001-of-00003.gguf @/s-00002-of-00003.gguf>o-00002-of-00003.gguf "
     "@/s-00003-of-00003.gguf>o-00003-of-00003.gguf",
     .cost = 15},
    {"split-some", "prune @/s-00001-of-00003.gguf -p @/plan.json -o o.gguf -f -q", SPLIT,
     "@/s-00001-of-00003.gguf>o-00001-of-00003.gguf @/s-00003-of-00003.gguf>o-00003-of-00003.gguf",
     .quick = true, .cost = 15},
    {"mtp", "prune @/mtp.gguf -p @/mtp-plan.json --mtp keep -o o.gguf -q", "o.gguf mtp-o.gguf", .cost = 15},
    {"mtp-force", "prune @/mtp.gguf -p @/mtp-plan.json --mtp keep -o o.gguf -f -q", "o.gguf mtp-o.gguf",
     "@/m.gguf>o.gguf @/mtp.gguf>mtp-o.gguf", .quick = true, .cost = 15},
    {"run-mtp",
     "run @/mtp.gguf -c @/texts.jsonl --text @/held.txt --eval-ctx 64 -t 1 --mtp keep -o o.gguf -q",
     "o.gguf mtp-o.gguf o.gguf.work", .goes_on = true, .cost = 200},
    {"folder", "prune @/ckpt -p @/plan.json -o o -q", "o", .cost = 15},
    {"folder-force", "prune @/ckpt -p @/plan.json -o o -f -q", "o", "@/pruned-other>o", .quick = true,
     .cost = 15},
    {"plan", "plan @/stats.json -r 0.25 --model @/m.gguf -o o.json -q", "o.json", .cost = 8},
    {"plan-force", "plan @/stats.json -r 0.25 -o o.json -f -q", "o.json", "@/other.json>o.json",
     .quick = true, .cost = 8},
    {"merge", "stats merge @/part-1.json @/part-2.json -o o.json -q", STATS, .quick = true, .cost = 8},
    {"merge-force", "stats merge @/part-1.json @/part-2.json -o o.json -f -q", STATS,
     "@/stats.json>o.json @/stats.json.pairs>o.json.pairs", .cost = 8},
    {"export", "stats export @/stats.json -o o.json -q", "o.json", .cost = 8},
    {"import", "stats import @/foreign.json --model @/m.gguf -o o.json -q", "o.json", .cost = 8},
    {"report",
     "report --stats @/stats.json -p @/plan.json --eval @/eval.json --compare @/answers.json --compare @/answers-2.json -o o.html -q",
     "o.html", .cost = 10},
    {"verify", "verify @/m.gguf @/pruned.gguf --write-plan o.json -q", "o.json", .cost = 10},
    {"verify-folder", "verify @/ckpt @/pruned -q", "-", .cost = 12},
    {"inspect", "inspect @/m.gguf", "-", .cost = 8},
    {"inspect-folder", "inspect @/ckpt", "-", .quick = true, .cost = 8},
    {"stats", "stats @/stats.json", "-", .cost = 8},
    {"compare", "compare @/answers.json @/answers-2.json -o o.json -q", "o.json", .cost = 8},
    {"convert", "convert @/ckpt -o o.gguf -t 1 -q", "o.gguf", .cost = 30},
    {"profile", "profile @/m.gguf -c @/texts.jsonl -t 1 -o o.json -q", STATS, .cost = 35},
    {"profile-save", "profile @/m.gguf -c @/texts.jsonl -t 1 --sequences 1 --save-every 0.0001 -o o.json -q",
     STATS,
     .again =
         "profile @/m.gguf -c @/texts.jsonl -t 1 --sequences 1 --save-every 0.0001 -o o.json -q --resume",
     .goes_on = true, .quick = true, .cost = 50},
    {"profile-imatrix",
     "profile @/m.gguf -c @/texts.jsonl -t 1 --sequences 1 --save-every 0.0001 -o o.json --imatrix o.gguf -q",
     STATS " o.gguf",
     .again =
         "profile @/m.gguf -c @/texts.jsonl -t 1 --sequences 1 --save-every 0.0001 -o o.json --imatrix o.gguf -q "
         "--resume",
     .goes_on = true, .cost = 60},
    {"profile-folder", "profile @/ckpt -c @/texts.jsonl -t 1 -o o.json -q", STATS, .cost = 60},
    {"eval", "eval @/m.gguf -c @/texts.jsonl -t 1 -o o.json --logprobs l.jsonl -q", "o.json l.jsonl",
     .cost = 40},
    {"eval-force", "eval @/m.gguf -c @/texts.jsonl -t 1 -o o.json --logprobs l.jsonl -f -q", "o.json l.jsonl",
     "@/eval.json>o.json @/texts.jsonl>l.jsonl", .quick = true, .cost = 40},
    {"sweep",
     "sweep @/m.gguf -s @/stats.json --text @/held.txt --ctx 64 -r 0.25,0.5 --max-kl 9 -t 1 -o o.json -q",
     "o.json", .kept = "o.json.state", .cost = 60},
    {"sweep-types",
     "sweep @/m.gguf -s @/stats.json --text @/held.txt --ctx 64 -r 0.25 --types q8_0 --fit 1G -t 1 -o o.json -q",
     "o.json",
     .again =
         "sweep @/m.gguf -s @/stats.json --text @/held.txt --ctx 64 -r 0.25 --types q8_0 --fit 1G -t 1 -o o.json -f -q",
     .kept = "o.json.state", .cost = 110},
    {"choose",
     "choose @/m.gguf -s @/stats.json --text @/held.txt --ctx 64 -r 0.25 --criteria reap,frequency -t 1 -o o.json -q",
     "o.json", .cost = 60},
    {"refine",
     "refine @/m.gguf -p @/plan.json -s @/stats.json --text @/held.txt --ctx 16 --near 1 --trials 2 -t 1 -o o.json -q",
     "o.json", .kept = "o.json.state", .cost = 60},
    {"run", "run @/m.gguf -c @/texts.jsonl --text @/held.txt --eval-ctx 64 -t 1 -o o.gguf -q",
     "o.gguf o.gguf.work", .goes_on = true, .cost = 150},
    {"quantize", "quantize @/m.gguf q8_0 -o o.gguf -q", "o.gguf", .cost = 40},
    {"batch", "batch --server % --prompts @/prompts.jsonl -o o.json --retries 0 -q", "o.json",
     .goes_on = true, .kept = "o.json.reap-journal", .cost = 40},
};

#endif
