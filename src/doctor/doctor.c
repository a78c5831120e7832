/* doctor.c - see doctor.h. */
#include "doctor/doctor.h"
#include "base/disk.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/memory.h"
#include "base/text.h"
#include "convert/load.h"
#include "engine/machine.h"
#include "model/view.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct job {
    const struct engine_opts *o;
    json_t *out, *advice;
    struct memory memory;
    uint64_t there; /* free on GPUs */
    bool gpu;
    uint32_t n_fails;
};

enum level { FAILS, SLOW, HINT };
static const char *const levels[] = {[FAILS] = "fails", [SLOW] = "slow", [HINT] = "hint"};

static __attribute__((format(printf, 3, 4))) void advise(struct job *j, enum level level, const char *fmt,
                                                         ...)
{
    va_list ap;
    char *s;
    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        BUG("a line cannot be made");
    va_end(ap);
    json_t *x = json_object();
    json_object_set_new(x, "level", json_string(levels[level]));
    json_object_set_new(x, "text", json_text(s));
    json_array_append_new(j->advice, x);
    j->n_fails += level == FAILS;
    free(s);
}

static json_t *count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

/* ---- the machine ---- */

static void look_engine(struct job *j)
{
    struct buf b = {0};
    json_object_set_new(j->out, "engine", json_string(engine_version()));
    engine_backends(&b);
    json_object_set_new(j->out, "backends", json_text(b.s ? b.s : ""));
    buf_clear(&b);
}

/* Devices of the system that a build without their backend does not see. */
static void look_for_gpus(struct job *j)
{
    static const struct {
        const char *file, *build;
    } seen[] = {{"/dev/nvidiactl", "REAP_CUDA=ON"},
                {"/dev/kfd", "REAP_HIP=ON"},
                {"/dev/dri/renderD128", "REAP_VULKAN=ON"}};
    if (engine_offloads()) {
        advise(j, SLOW, "this build can use a GPU and finds none: all layers run on the CPU");
        return;
    }
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
        if (file_exists(seen[i].file)) {
            advise(j, SLOW, "there is a GPU (%s) that this build does not use: make %s", seen[i].file,
                   seen[i].build);
            return;
        }
}

static void look_devices(struct job *j)
{
    struct engine_device d;
    json_t *list = json_array();
    for (uint32_t i = 0; engine_device(i, &d); i++) {
        json_t *x = json_object();
        json_object_set_new(x, "name", json_text(d.name));
        json_object_set_new(x, "description", json_text(d.description));
        json_object_set_new(x, "offload", json_boolean(d.offload));
        json_object_set_new(x, "free", count(d.free));
        json_object_set_new(x, "total", count(d.total));
        json_array_append_new(list, x);
        j->gpu = j->gpu || d.offload;
        j->there += d.offload ? d.free : 0;
    }
    json_object_set_new(j->out, "devices", list);
    if (!j->gpu)
        look_for_gpus(j);
}

static void look_cpu(struct job *j)
{
    struct buf used = {0}, lacks = {0}, info = {0};
    struct err ignored = {0};
    json_t *cpu = json_object();
    engine_cpu_features(&used);
    buf_str(&used, "");
    int64_t threads = j->o->threads > 0 ? j->o->threads : engine_cores();
    if (file_read_all("/proc/cpuinfo", 4 << 20, &info, &ignored)) {
        buf_str(&info, "");
        doctor_cpu_lacks(info.s, used.s, &lacks);
    }
    buf_str(&lacks, "");
    json_object_set_new(cpu, "cores", json_integer(engine_cores()));
    json_object_set_new(cpu, "threads", json_integer(threads));
    json_object_set_new(cpu, "used", json_text(used.s));
    json_object_set_new(cpu, "unused", json_text(lacks.s));
    json_object_set_new(j->out, "cpu", cpu);
    if (lacks.n)
        advise(j, SLOW, "this CPU has %s, which this build does not use: make it here, with REAP_NATIVE=ON",
               lacks.s);
    if (threads > (int64_t)engine_cores())
        advise(j, SLOW, "%lld threads on %u cores: more than one for each slows it down", (long long)threads,
               engine_cores());
    buf_clear(&used);
    buf_clear(&lacks);
    buf_clear(&info);
}

static void look_memory(struct job *j)
{
    json_t *m = json_object();
    if (memory_look("", &j->memory)) {
        json_object_set_new(m, "free", count(j->memory.free));
        json_object_set_new(m, "total", count(j->memory.total));
        json_object_set_new(m, "limited", json_boolean(j->memory.limited));
    }
    json_object_set_new(j->out, "memory", m);
}

/* Whoever starts here and names an output without a folder fails at it. */
static void look_here(struct job *j)
{
    if (access(".", W_OK | X_OK) != 0)
        advise(j, HINT, "nothing can be written in this folder (%s): give -o a path in another one",
               strerror(errno));
}

/* ---- the model ---- */

static void look_disk(struct job *j, const struct view *v)
{
    struct statvfs fs;
    char a[32], c[32];
    bool cold = false;
    double rate = disk_rate(view_largest_file(v), &cold);
    json_t *d = json_object();
    json_object_set_new(d, "bytes_per_second", rate > 0 ? json_real(rate) : json_null());
    json_object_set_new(d, "past_the_cache", json_boolean(cold));
    if (statvfs(".", &fs) == 0) {
        uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
        json_object_set_new(d, "free_here", count(room));
        if (room < v->bytes)
            advise(j, HINT,
                   "%s are free in this folder, the whole model has %s: give -o a path on another disk",
                   human_bytes(room, a), human_bytes(v->bytes, c));
    }
    json_object_set_new(j->out, "disk", d);
    if (rate > 0 && (double)v->bytes / rate > 300)
        advise(j, SLOW, "reading the model once takes %s at %s/s: put it on a faster disk",
               human_secs((double)v->bytes / rate, a), human_bytes((uint64_t)rate, c));
}

/* The whole of a checkpoint is converted into memory, a GGUF file is mapped. */
static void check_memory(struct job *j, const struct view *v)
{
    char a[32], b[32], c[32];
    uint64_t free = j->memory.free + j->there;
    if (!j->memory.total || v->bytes <= free)
        return;
    human_bytes(v->bytes, a);
    human_bytes(free, b);
    if (v->format->converts)
        advise(
            j, FAILS,
            "the weights are %s, and %s are free: a folder is loaded as a whole; --type q8_0 or q4_0 makes it "
            "smaller, or reap convert it to a file, which is mapped",
            a, b);
    else
        advise(
            j, SLOW,
            "the weights are %s, and %s are free (%s on GPUs): what does not fit is read from the disk again for "
            "each step; a smaller type to profile serves as well (reap quantize), the plan fits the large one",
            a, b, human_bytes(j->there, c));
}

static void look_model(struct job *j, const char *path)
{
    struct err e = {0};
    struct engine_opts o = *j->o;
    struct view *v = view_open(path, &e);
    json_t *m = json_object();
    json_object_set_new(m, "path", json_text(path));
    json_object_set_new(j->out, "model", m);
    if (!v) {
        advise(j, FAILS, "%s", e.msg);
        return;
    }
    json_object_set_new(m, "format", json_string(v->format->name));
    json_object_set_new(m, "bytes", count(v->bytes));
    json_object_set_new(m, "n_experts", count(v->shape.n_experts));
    if (!view_check_prunable(v, &e))
        advise(j, FAILS, "it cannot be pruned: %s", e.msg);
    err_clear(&e);
    o.vocab_only = true; /* loads what can be wrong, and no weights */
    struct engine *g = load_engine(v, &o, &e);
    if (!g)
        advise(j, FAILS, "the engine does not run it: %s", e.msg);
    engine_free(g);
    check_memory(j, v);
    look_disk(j, v);
    view_free(v);
}

json_t *doctor_look(const char *model, const struct engine_opts *o, uint32_t *n_fails)
{
    struct job j = {.o = o, .out = json_object(), .advice = json_array()};
    look_engine(&j);
    look_devices(&j);
    look_cpu(&j);
    look_memory(&j);
    look_here(&j);
    if (model)
        look_model(&j, model);
    json_object_set_new(j.out, "advice", j.advice);
    *n_fails = j.n_fails;
    return j.out;
}

/* ---- as text ---- */

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s && *s ? s : "-";
}

/* What may come from a path or a file: no line ends in it. */
static void put_text(struct buf *b, const json_t *o, const char *key)
{
    const char *s = text(o, key);
    buf_safe(b, s, strlen(s));
}

static const char *bytes(const json_t *o, const char *key, char dst[32])
{
    return human_bytes((uint64_t)json_number_value(json_object_get(o, key)), dst);
}

static void put_devices(const json_t *o, struct buf *b)
{
    size_t i;
    json_t *d;
    char x[32], y[32];
    json_array_foreach (json_object_get(o, "devices"), i, d) {
        buf_fmt(b, "%-10s %s (%s)", i ? "" : "devices", text(d, "name"), text(d, "description"));
        if (json_is_true(json_object_get(d, "offload")))
            buf_fmt(b, ", %s of %s free", bytes(d, "free", x), bytes(d, "total", y));
        buf_char(b, '\n');
    }
}

static void put_model(const json_t *o, struct buf *b)
{
    const json_t *m = json_object_get(o, "model"), *d = json_object_get(o, "disk");
    char x[32];
    if (!m)
        return;
    buf_fmt(b, "%-10s ", "model");
    put_text(b, m, "path");
    if (json_object_get(m, "bytes"))
        buf_fmt(b, ": %s, %s of weights, %lld experts in each layer", text(m, "format"), bytes(m, "bytes", x),
                (long long)json_integer_value(json_object_get(m, "n_experts")));
    buf_char(b, '\n');
    if (json_is_number(json_object_get(d, "bytes_per_second")))
        buf_fmt(b, "%-10s %s/s read%s", "disk", bytes(d, "bytes_per_second", x),
                json_is_true(json_object_get(d, "past_the_cache")) ? "" : " (from the page cache, maybe)");
    else if (d)
        buf_fmt(b, "%-10s the model is too small to tell how fast", "disk");
    if (json_object_get(d, "free_here"))
        buf_fmt(b, "; %s free in this folder", bytes(d, "free_here", x));
    if (d)
        buf_char(b, '\n');
}

void doctor_text(const json_t *o, struct buf *b)
{
    const json_t *cpu = json_object_get(o, "cpu"), *m = json_object_get(o, "memory");
    char x[32], y[32];
    size_t i;
    json_t *a;
    buf_fmt(b, "%-10s reap " REAP_VERSION ", %s, backends: %s\n", "build", text(o, "engine"),
            text(o, "backends"));
    put_devices(o, b);
    buf_fmt(b, "%-10s %lld cores, %lld threads; code uses %s\n", "cpu",
            (long long)json_integer_value(json_object_get(cpu, "cores")),
            (long long)json_integer_value(json_object_get(cpu, "threads")), text(cpu, "used"));
    if (json_object_get(m, "free"))
        buf_fmt(b, "%-10s %s of %s free%s\n", "memory", bytes(m, "free", x), bytes(m, "total", y),
                json_is_true(json_object_get(m, "limited")) ? " (limited by a control group)" : "");
    put_model(o, b);
    json_array_foreach (json_object_get(o, "advice"), i, a) {
        buf_fmt(b, "%s%-10s ", i ? "" : "\n", text(a, "level"));
        put_text(b, a, "text");
        buf_char(b, '\n');
    }
    if (!json_array_size(json_object_get(o, "advice")))
        buf_str(b, "\nnothing to say against it\n");
}
