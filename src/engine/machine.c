/* machine.c - see machine.h and cost.h. */
#include "engine/machine.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "engine/cost.h"
#include "engine/expert_backend.h"
#include "engine/library.h"

#include <ggml-backend.h>
#include <llama.h>
#include <string.h>

/* ---- what is there ---- */

bool engine_device(uint32_t i, struct engine_device *d)
{
    library_init();
    if (i >= ggml_backend_dev_count())
        return false;
    ggml_backend_dev_t dev = ggml_backend_dev_get(i);
    enum ggml_backend_dev_type type = ggml_backend_dev_type(dev);
    size_t free = 0, total = 0;
    ggml_backend_dev_memory(dev, &free, &total);
    *d = (struct engine_device){.offload = type == GGML_BACKEND_DEVICE_TYPE_GPU ||
                                           type == GGML_BACKEND_DEVICE_TYPE_IGPU,
                                .free = free,
                                .total = total};
    snprintf(d->name, sizeof d->name, "%s", ggml_backend_dev_name(dev));
    snprintf(d->description, sizeof d->description, "%s", ggml_backend_dev_description(dev));
    return true;
}

bool engine_offloads(void)
{
    library_init();
    for (size_t i = 0; i < ggml_backend_reg_count(); i++) {
        const char *name = ggml_backend_reg_name(ggml_backend_reg_get(i));
        if (strcmp(name, "CPU") != 0 && strcmp(name, "BLAS") != 0 && strcmp(name, "RPC") != 0 &&
            strcmp(name, EXPERT_BACKEND) != 0)
            return true;
    }
    return false;
}

void engine_backends(struct buf *b)
{
    library_init();
    for (size_t i = 0; i < ggml_backend_reg_count(); i++)
        buf_fmt(b, "%s%s", i ? " " : "", ggml_backend_reg_name(ggml_backend_reg_get(i)));
}

void engine_cpu_features(struct buf *b)
{
    library_init();
    ggml_backend_reg_t cpu = ggml_backend_reg_by_name("CPU");
    void *get = cpu ? ggml_backend_reg_get_proc_address(cpu, "ggml_backend_get_features") : NULL;
    ggml_backend_get_features_t features;
    memcpy(&features, &get, sizeof features); /* a pointer to data is none to a function in C */
    struct ggml_backend_feature *f = get ? features(cpu) : NULL;
    for (uint32_t n = 0; f && f->name; f++)
        if (!strcmp(f->value, "1"))
            buf_fmt(b, "%s%s", n++ ? " " : "", f->name);
}

/* ---- before a model is loaded ---- */

static bool has_gpu(const struct engine_opts *o, uint64_t *free)
{
    struct engine_device d;
    bool has = false;
    if (o->rpc)
        return true; /* what a server has is not asked: it may not answer, and nobody watches yet */
    for (uint32_t i = 0; engine_device(i, &d); i++)
        if (d.offload && !(o->device && !strcmp(o->device, "none"))) {
            has = true;
            *free += d.free;
        }
    return has;
}

static void foresee_layers(const struct engine_opts *o, bool gpu)
{
    static bool said;
    if (o->n_gpu_layers <= 0 || gpu || (o->device && !strcmp(o->device, "none")) || said)
        return;
    said = true;
    log_warn("-ngl %lld: %s; all layers stay on the CPU", (long long)o->n_gpu_layers,
             engine_offloads()
                 ? "no GPU is found (reap doctor)"
                 : "this build has no GPU, make REAP_CUDA=ON makes one that has (also REAP_HIP, "
                   "REAP_VULKAN, REAP_METAL)");
}

bool machine_fits(uint64_t bytes, const struct engine_opts *o, struct memory *m, uint64_t *there)
{
    *there = 0;
    (void)has_gpu(o, there);
    if (o->rpc || !memory_look("", m))
        return true;
    if (o->memory)
        *m = (struct memory){.total = o->memory, .free = o->memory, .limited = true};
    return bytes <= m->free + *there;
}

bool machine_maps(const struct engine_opts *o)
{
    return !o->load_mode || !strcmp(o->load_mode, "auto") || strstr(o->load_mode, "mmap");
}

bool engine_foresee(const char *path, uint64_t bytes, bool whole, const struct engine_opts *o, struct err *e)
{
    struct memory m;
    uint64_t there = 0;
    char a[32], b[32], c[32], gpus[64] = "";
    foresee_layers(o, has_gpu(o, &there));
    if (machine_fits(bytes, o, &m, &there))
        return true;
    if (there)
        snprintf(gpus, sizeof gpus, " and %s on GPUs", human_bytes(there, c));
    human_bytes(bytes, a);
    human_bytes(m.free, b);
    const char *limited = m.limited ? " (by a control group)" : "";
    if (whole && (!o->load_mode || !strcmp(o->load_mode, "auto")))
        return err_set(
            e, ERR_FAILED,
            "%s has %s of weights, and %s of memory%s%s are free: a folder is loaded as a whole. reap convert makes a "
            "file of it, which need not fit; --type q4_0 makes it smaller; --load-mode none tries it all the same",
            path, a, b, limited, gpus);
    log_warn("%s has %s of weights, and %s of memory%s%s are free: %s", path, a, b, limited, gpus,
             machine_maps(o) && !whole ? "it will be read from the disk again and again"
                                       : "loading it may be ended by the system");
    return true;
}

/* ---- what it takes ---- */

/* "load_tensors:   CPU_Mapped model buffer size =    12.60 MiB" */
static void add_buffer(struct cost *c, const char *line)
{
    char name[48];
    double mib;
    const char *colon = strchr(line, ':'), *size = strstr(line, "buffer size = ");
    if (!colon || !size || sscanf(colon + 1, " %47s", name) != 1 || sscanf(size + 14, "%lf", &mib) != 1 ||
        !(mib >= 0 && mib < 1e12))
        return;
    ggml_backend_dev_t d = ggml_backend_dev_by_name(name);
    bool there = d && ggml_backend_dev_type(d) != GGML_BACKEND_DEVICE_TYPE_CPU &&
                 ggml_backend_dev_type(d) != GGML_BACKEND_DEVICE_TYPE_ACCEL;
    /* Of a mapped file each buffer reaches from the first to the last of its weights: those of two overlap. */
    size_t n = strlen(name), tail = strlen("_Mapped");
    if (!there && n > tail && !strcmp(name + n - tail, "_Mapped"))
        c->mapped = true;
    else {
        uint64_t bytes = (uint64_t)(mib * (1 << 20));
        *(there ? &c->there : &c->host) += bytes;
        c->copied += !there && strstr(line, "model buffer") ? bytes : 0;
    }
}

static void on_line(void *ud, const char *line, bool is_error)
{
    struct cost *c = ud;
    const char *s = strstr(line, "offloaded ");
    unsigned n, all;
    (void)is_error;
    if (strstr(line, "buffer size = "))
        add_buffer(c, line);
    else if (s && sscanf(s, "offloaded %u/%u layers", &n, &all) == 2) {
        c->layers = n;
        c->all = all;
    }
}

void cost_begin(struct cost *c, const struct engine_opts *o)
{
    struct engine_device d;
    struct memory m;
    bool none = o->device && !strcmp(o->device, "none");
    size_t n = 0;
    *c = (struct cost){0};
    c->host_free = memory_look("", &m) ? m.free : 0;
    for (uint32_t i = 0; !none && engine_device(i, &d); i++) {
        if (!d.offload || n >= sizeof c->devices)
            continue;
        n += (size_t)snprintf(c->devices + n, sizeof c->devices - n, "%s%s (%s)", n ? ", " : "", d.name,
                              d.description);
        c->there_free += d.free;
    }
    library_listen(on_line, c);
}

void cost_go_on(struct cost *c)
{
    library_listen(on_line, c);
}

void cost_try(struct cost *c)
{
    library_listen(on_line, c);
}

void cost_end(void)
{
    library_listen(NULL, NULL);
}

/* Memory of the host: buffers, and the weights that stay in the file, which are those that are neither on devices nor copied into
 * buffers, as weights that the engine rearranges are. */
static void say_host(struct buf *b, const struct cost *c, const struct engine_opts *o, bool streamed)
{
    char x[32], y[32], z[32];
    uint64_t elsewhere = c->there + c->copied;
    uint64_t weights = c->mapped && o->weights > elsewhere ? o->weights - elsewhere : 0;
    if (!c->host_free || !(c->host || weights))
        return;
    human_bytes(c->host_free, z);
    if (streamed)
        buf_fmt(b, "; %s and weights of %s, streamed, of %s free memory", human_bytes(c->host, x),
                human_bytes(weights, y), z);
    else
        buf_fmt(b, "; %s of %s free memory", human_bytes(c->host + weights, x), z);
}

void cost_say(struct cost *c, const struct engine_opts *o, uint64_t n_tokens, bool streamed)
{
    struct buf b = {0};
    char x[32], y[32];
    if (c->said)
        return;
    c->said = true;
    buf_str(&b, "engine: ");
    if (c->devices[0] && c->all)
        buf_fmt(&b, "%s with %u of %u layers", c->devices, c->layers, c->all);
    else
        buf_str(&b, "CPU");
    buf_fmt(&b, ", %lld thread%s, %lld tokens a step", (long long)o->threads, o->threads == 1 ? "" : "s",
            (long long)o->ubatch);
    if (c->there)
        buf_fmt(&b, "; %s of %s there", human_bytes(c->there, x), human_bytes(c->there_free, y));
    say_host(&b, c, o, streamed);
    if (n_tokens)
        buf_fmt(&b, "; %s tokens", human_count(n_tokens, x));
    log_note("%s", b.s);
    buf_clear(&b);
}
