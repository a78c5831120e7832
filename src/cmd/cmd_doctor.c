/* cmd_doctor.c - what this machine makes of a model; nothing is written. */
#include "cmd/cmd.h"
#include "doctor/doctor.h"

static bool run(char const *const *args, uint32_t n, struct err *e)
{
    uint32_t n_fails;
    struct buf b = {0};
    json_t *o = doctor_look(n ? args[0] : NULL, &cmd_engine, &n_fails);
    bool ok;
    if (cmd_json) {
        ok = cmd_print_json("doctor", o, e);
    } else {
        doctor_text(o, &b);
        json_decref(o);
        ok = cmd_print(&b, e);
    }
    if (ok && n_fails)
        ok = err_set(e, ERR_CHECK, "%u thing%s would fail here", n_fails, n_fails == 1 ? "" : "s");
    return ok;
}

const struct cmd cmd_doctor = {
    .name = "doctor",
    .usage = "[MODEL]",
    .summary = "engine, devices, memory and disk of this machine; what would be slow or fail, and what to do",
    .example = "  reap doctor\n"
               "  reap doctor qwen3-30b-a3b-q4_k_m.gguf\n",
    .opts = (const struct opt *const[]){engine_opt_table, NULL},
    .min_args = 0,
    .max_args = 1,
    .models = 1,
    .run = run,
};
